#include "models/ftl/policies/windowed.hpp"

namespace nvmesim::models {

void WindowedGc::closed(std::uint32_t superblock, std::uint32_t valid) {
  links_[superblock] = {kNone, tail_, valid};
  (tail_ == kNone ? head_ : links_[tail_].next) = superblock;
  tail_ = superblock;
}

void WindowedGc::removed(std::uint32_t superblock) {
  const Link link = links_[superblock];
  (link.previous == kNone ? head_ : links_[link.previous].next) = link.next;
  (link.next == kNone ? tail_ : links_[link.next].previous) = link.previous;
}

std::optional<std::uint32_t> WindowedGc::pick(std::uint32_t most_valid) {
  std::optional<std::uint32_t> best;
  std::uint32_t seen = 0;
  for (std::uint32_t at = head_; at != kNone; at = links_[at].next) {
    if (seen++ >= window_ && best) break;
    if (links_[at].valid > most_valid) continue;
    if (!best || links_[at].valid < links_[*best].valid) best = at;
  }
  return best;
}

}  // namespace nvmesim::models
