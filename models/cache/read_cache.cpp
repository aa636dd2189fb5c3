#include "models/cache/read_cache.hpp"

#include <fmt/format.h>

#include "models/media.hpp"

namespace nvmesim::models {

ReadCache::ReadCache(const ReadCacheConfig& config, base::StatisticsRegistry& statistics,
                     const std::string& name)
    : slots_(config.bytes / kUnitBytes), index_(slots()) {
  if (config.bytes != 0 && !enabled()) {
    throw base::UserError(
        fmt::format("read_cache.bytes: {} is less than a unit of {}", config.bytes, kUnitBytes));
  }
  if (!enabled() && config.ahead_units != 0) {
    throw base::UserError("read_cache.ahead_units: without read_cache.bytes nothing is read ahead");
  }
  if (!enabled()) return;
  clear();
  statistics.add(name + ".read_cache.hits", "1", "4 KiB units served from the read cache", hits_);
  statistics.add(name + ".read_cache.ahead_units", "1", "4 KiB units read ahead", ahead_units_);
  statistics.add(name + ".read_cache.ahead_hits", "1", "of these, such that were asked for",
                 ahead_hits_);
}

void ReadCache::clear() {
  free_.clear();
  for (std::uint32_t slot = slots(); slot-- > 0;) {
    if (slots_[slot].state != State::kFree && !slots_[slot].stale) index_.erase(slots_[slot].unit);
    slots_[slot] = {};
    free_.push_back(slot);
  }
  newest_ = oldest_ = kNone;
}

void ReadCache::link(std::uint32_t slot) {
  slots_[slot].older = newest_;
  slots_[slot].newer = kNone;
  (newest_ == kNone ? oldest_ : slots_[newest_].newer) = slot;
  newest_ = slot;
}

void ReadCache::unlink(std::uint32_t slot) {
  const Slot& gone = slots_[slot];
  (gone.newer == kNone ? newest_ : slots_[gone.newer].older) = gone.older;
  (gone.older == kNone ? oldest_ : slots_[gone.older].newer) = gone.newer;
}

void ReadCache::drop(std::uint32_t slot) {
  if (slots_[slot].state == State::kPresent) unlink(slot);
  if (!slots_[slot].stale) index_.erase(slots_[slot].unit);
  slots_[slot] = {};
  free_.push_back(slot);
}

void ReadCache::use(std::uint32_t slot) {
  ++hits_;
  if (slots_[slot].ahead) ++ahead_hits_;
  slots_[slot].ahead = false;
  if (slots_[slot].state != State::kPresent) return;
  unlink(slot);
  link(slot);
}

std::uint32_t ReadCache::take(std::uint64_t unit, bool ahead) {
  if (free_.empty() && oldest_ != kNone) drop(oldest_);
  if (free_.empty()) return kNone;
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].unit = unit;
  slots_[slot].state = State::kLoading;
  slots_[slot].ahead = ahead;
  if (ahead) ++ahead_units_;
  index_.set(unit, slot);
  return slot;
}

void ReadCache::loaded(std::uint32_t slot, bool good) {
  if (!good || slots_[slot].stale) {
    drop(slot);
    return;
  }
  slots_[slot].state = State::kPresent;
  link(slot);
}

void ReadCache::forget(std::uint64_t first, std::uint64_t count) {
  const auto forget_slot = [this](std::uint32_t slot) {
    if (slots_[slot].state == State::kPresent) {
      drop(slot);
      return;
    }
    slots_[slot].stale = true;
    index_.erase(slots_[slot].unit);
  };
  if (count <= slots_.size()) {
    for (std::uint64_t unit = first; unit < first + count; ++unit) {
      if (const std::uint32_t slot = find(unit); slot != kNone) forget_slot(slot);
    }
    return;
  }
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    const Slot& each = slots_[slot];
    if (each.state == State::kFree || each.stale || each.unit - first >= count) continue;
    forget_slot(slot);
  }
}

}  // namespace nvmesim::models
