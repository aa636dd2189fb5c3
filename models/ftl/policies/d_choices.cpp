#include "models/ftl/policies/d_choices.hpp"

namespace nvmesim::models {

void DChoicesGc::closed(std::uint32_t superblock, std::uint32_t valid) {
  valid_[superblock] = valid;
  place_[superblock] = static_cast<std::uint32_t>(members_.size());
  members_.push_back(superblock);
}

void DChoicesGc::removed(std::uint32_t superblock) {
  const std::uint32_t last = members_.back();
  members_[place_[superblock]] = last;
  place_[last] = place_[superblock];
  members_.pop_back();
}

std::optional<std::uint32_t> DChoicesGc::pick(std::uint32_t most_valid) {
  std::optional<std::uint32_t> best;
  const auto consider = [&](std::uint32_t superblock) {
    if (valid_[superblock] > most_valid) return;
    if (!best || valid_[superblock] < valid_[*best]) best = superblock;
  };
  if (members_.empty()) return best;
  for (std::uint32_t i = 0; i < choices_; ++i) consider(members_[random_.below(members_.size())]);
  if (best) return best;
  for (const std::uint32_t superblock : members_) consider(superblock);
  return best;
}

}  // namespace nvmesim::models
