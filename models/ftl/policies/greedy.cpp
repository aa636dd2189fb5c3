#include "models/ftl/policies/greedy.hpp"

#include <algorithm>

namespace nvmesim::models {

GreedyGc::GreedyGc(std::uint32_t superblocks, std::uint32_t superblock_units)
    : links_(superblocks), lists_(superblock_units + 1), least_(superblock_units) {}

void GreedyGc::closed(std::uint32_t superblock, std::uint32_t valid) {
  List& list = lists_[valid];
  links_[superblock] = {kNone, list.tail, valid};
  (list.tail == kNone ? list.head : links_[list.tail].next) = superblock;
  list.tail = superblock;
  least_ = std::min(least_, valid);
}

void GreedyGc::removed(std::uint32_t superblock) {
  const Link link = links_[superblock];
  List& list = lists_[link.valid];
  (link.previous == kNone ? list.head : links_[link.previous].next) = link.next;
  (link.next == kNone ? list.tail : links_[link.next].previous) = link.previous;
}

void GreedyGc::changed(std::uint32_t superblock, std::uint32_t valid) {
  removed(superblock);
  closed(superblock, valid);
}

std::optional<std::uint32_t> GreedyGc::pick(std::uint32_t most_valid) {
  while (least_ + 1 < lists_.size() && lists_[least_].head == kNone) ++least_;
  if (least_ > most_valid || lists_[least_].head == kNone) return std::nullopt;
  return lists_[least_].head;
}

}  // namespace nvmesim::models
