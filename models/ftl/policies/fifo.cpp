#include "models/ftl/policies/fifo.hpp"

namespace nvmesim::models {

void FifoGc::closed(std::uint32_t superblock, std::uint32_t valid) {
  links_[superblock] = {kNone, tail_, valid};
  (tail_ == kNone ? head_ : links_[tail_].next) = superblock;
  tail_ = superblock;
}

void FifoGc::changed(std::uint32_t superblock, std::uint32_t valid) {
  links_[superblock].valid = valid;
}

void FifoGc::removed(std::uint32_t superblock) {
  const Link link = links_[superblock];
  (link.previous == kNone ? head_ : links_[link.previous].next) = link.next;
  (link.next == kNone ? tail_ : links_[link.next].previous) = link.previous;
}

std::optional<std::uint32_t> FifoGc::pick(std::uint32_t most_valid) {
  for (std::uint32_t at = head_; at != kNone; at = links_[at].next) {
    if (links_[at].valid <= most_valid) return at;
  }
  return std::nullopt;
}

}  // namespace nvmesim::models
