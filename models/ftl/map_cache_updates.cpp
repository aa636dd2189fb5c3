// MapCache: what the collector changes in the table.
#include <algorithm>
#include <vector>

#include "models/ftl/map_cache.hpp"

namespace nvmesim::models {

void MapCache::unit_moved(std::uint64_t unit, std::uint32_t superblock) {
  const std::uint64_t number = unit / segment_units_;
  std::vector<std::uint32_t>& holds = holds_[number];
  if (holds.empty()) updates_.push(number);
  if (std::find(holds.begin(), holds.end(), superblock) != holds.end()) return;
  holds.push_back(superblock);
  pages_.hold(superblock);
}

// A few at a time, so that loads of the host do not wait behind all of them.
void MapCache::updates_follow() {
  while (!updates_.empty() && updating_.size() < updates_at_a_time_) update(updates_.pop());
  settle_soon();
}

void MapCache::update(std::uint64_t number) {
  const auto found = segments_.find(number);
  const bool here = found != segments_.end() && (found->second.state == State::kCached ||
                                                 found->second.state == State::kLeaving);
  if (here) {
    updated(number);
    return;
  }
  ++update_loads_;
  updating_.insert(number);
  want(number, true);
}

// It is in the controller, changed; what was moved may be erased.
void MapCache::updated(std::uint64_t number) {
  ++updates_done_;
  updating_.erase(number);
  if (const auto found = segments_.find(number); found != segments_.end()) {
    Segment& segment = found->second;
    segment.changed = true;
    if (segment.state == State::kCached) order_.splice(order_.begin(), order_, segment.order);
  }
  const auto holds = holds_.extract(number);
  for (const std::uint32_t superblock : holds.mapped()) pages_.release(superblock);
}

}  // namespace nvmesim::models
