#include "models/ftl/map_cache.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

MapCache::MapCache(const MapCacheConfig& config, std::uint64_t units, TablePages& pages,
                   base::Scheduler& scheduler, base::StatisticsRegistry& statistics,
                   const std::string& name)
    : scheduler_(scheduler),
      pages_(pages),
      units_(units),
      segment_units_(config.entries_per_page),
      segment_bytes_(config.entries_per_page * kMapEntryBytes),
      page_segments_(std::max(kPageEntries / config.entries_per_page, 1u)),
      capacity_(static_cast<std::size_t>(config.bytes / segment_bytes_)),
      updates_at_a_time_(std::clamp<std::size_t>(capacity_ / 2, 1, 8)),
      write_back_(config.write_back),
      buffers_(segment_bytes_) {
  if (!std::has_single_bit(segment_units_)) {  // a page holds whole segments
    throw base::UserError("map_cache.entries_per_page: must be a power of two");
  }
  if (capacity_ == 0) {
    throw base::UserError("map_cache.bytes: 0, or at least a segment of the table (" +
                          std::to_string(segment_bytes_) + ")");
  }
  pages_.set_stuck_listener(base::Callback::of<&MapCache::pages_stuck>(this));
  const auto add = [&](const char* what, const char* help, const std::uint64_t& value) {
    statistics.add(name + ".map_cache." + what, "1", help, value);
  };
  add("hits", "reads and writes that found all their mapping, or nothing to find", hits_);
  add("host_hits", "segments read from host memory", host_hits_);
  add("misses", "segments read from their pages", misses_);
  add("merges", "pages read because a part of them was written", merges_);
  add("host_errors", "segments in host memory that were not what was written", host_errors_);
  add("write_backs", "pages of the table written", write_backs_);
  add("updates", "segments changed by what the collector moved", updates_done_);
  add("update_loads", "of these, such that were not in the controller", update_loads_);
  statistics.add_level(name + ".map_cache.most_segments", "1",
                       "most segments in the controller at a time; more than it has room for if "
                       "the collector had to go on without space for pages of the table",
                       [this] { return most_; });
}

bool MapCache::ready_or_wait(const Range& range, Use use, std::uint64_t token,
                             base::Callback ready) {
  if (range.count == 0) return true;
  const std::uint64_t last = (range.first + range.count - 1) / segment_units_;
  Waiter waiter{ready,
                token,
                range.first / segment_units_,
                last,
                first_whole(range.gap),
                end_of_whole(range.gap_end),
                use};
  const bool now = advance(waiter);
  if (now && use != Use::kTrim) ++hits_;
  if (!now) waiters_.push_back(waiter);
  settle_soon();
  return now;
}

bool MapCache::forget(std::uint64_t token) {
  return waiters_.remove_if([&](const Waiter& waiter) { return waiter.token == token; }) != 0;
}

// True if it waits no longer.
bool MapCache::advance(Waiter& waiter) {
  while (waiter.next <= waiter.last) {
    if (waiter.next >= waiter.gap && waiter.next < waiter.gap_end) {
      waiter.next = waiter.gap_end;
      continue;
    }
    if (!use(waiter.next, waiter.use)) return false;
    ++waiter.next;
  }
  return true;
}

bool MapCache::use(std::uint64_t number, Use use) {
  auto found = segments_.find(number);
  const bool here = found != segments_.end() && (found->second.state == State::kCached ||
                                                 found->second.state == State::kLeaving);
  if (!here) {
    if (use != Use::kChange && !pages_.present(page_of(number))) return true;
    want(number, false);
    found = segments_.find(number);
  }
  Segment& segment = found->second;
  if (segment.state == State::kCached) {
    order_.splice(order_.begin(), order_, segment.order);
    if (use != Use::kLookUp) segment.changed = true;
    return true;
  }
  if (segment.state != State::kLeaving) return false;
  if (use == Use::kLookUp) return true;  // it is still there
  segment.wanted = true;
  return false;
}

void MapCache::want(std::uint64_t number, bool urgent) {
  const auto [found, is_new] = segments_.try_emplace(number);
  if (is_new) queue_.push_back(number);
  if (urgent) found->second.urgent = true;
  if (found->second.state == State::kQueued) make_room();
}

// Loads take their rooms in order; the least recently used ones are vacated for them.
void MapCache::make_room() {
  if (std::exchange(making_room_, true)) {
    look_again_ = true;
    return;
  }
  do {
    look_again_ = false;
    do {
      load_next();
    } while (used_ - leaving_ + std::min(queue_.size(), capacity_) > capacity_ && evict_one());
    if (pages_.stuck()) load_urgent();
  } while (look_again_);
  making_room_ = false;
}

// A load of what has no page ends at once, and who waits for it must be told.
void MapCache::pages_stuck() {
  make_room();
  settle_soon();
}

void MapCache::load_next() {
  while (!queue_.empty() && used_ < capacity_) {
    const std::uint64_t number = queue_.front();
    queue_.pop_front();
    load(number);
  }
}

void MapCache::load_urgent() {
  for (auto next = queue_.begin(); next != queue_.end();) {
    const std::uint64_t number = *next;
    if (!segments_[number].urgent) {
      ++next;
      continue;
    }
    next = queue_.erase(next);
    load(number);
  }
}

// False if none can leave now.
bool MapCache::evict_one() {
  for (auto oldest = order_.rbegin(); oldest != order_.rend(); ++oldest) {
    const auto found = segments_.find(*oldest);
    Segment& segment = found->second;
    if (segment.fresh || (segment.changed && writing_.count(page_of(*oldest)) != 0)) continue;
    keep_in_host(found->first, segment.changed);
    if (segment.changed) {
      evict_changed(found->first, segment);
    } else {
      drop_cached(found);
    }
    return true;
  }
  return false;
}

void MapCache::drop_cached(std::map<std::uint64_t, Segment>::iterator found) {
  order_.erase(found->second.order);
  segments_.erase(found);
  --used_;
}

void MapCache::evict_changed(std::uint64_t number, Segment& segment) {
  order_.erase(segment.order);
  segment.state = State::kLeaving;
  ++leaving_;
  writing_.insert(page_of(number));
  if (needs_merge(number)) {
    ++merges_;
    pages_.read(page_of(number), base::Callback::of<&MapCache::page_merged>(this, tagged(number)));
  } else {
    write_page(number);
  }
}

// Whether the page says something of segments that are not here.
bool MapCache::needs_merge(std::uint64_t number) const {
  const std::uint64_t page = page_of(number);
  if (page_segments_ == 1 || !pages_.present(page)) return false;
  for (std::uint64_t i = page * page_segments_; i < (page + 1) * page_segments_; ++i) {
    if (i * segment_units_ >= units_) break;
    const auto found = segments_.find(i);
    const bool here = found != segments_.end() && (found->second.state == State::kCached ||
                                                   found->second.state == State::kLeaving);
    if (!here) return true;
  }
  return false;
}

void MapCache::page_merged(std::uint64_t tagged_segment) {
  if (is_old(tagged_segment)) return;
  const std::uint64_t number = number_of(tagged_segment);
  if (segments_[number].changed) {
    write_page(number);
  } else {  // it was deallocated meanwhile
    page_left(tagged_segment);
  }
}

// All that is known of the page goes into it.
void MapCache::write_page(std::uint64_t number) {
  const std::uint64_t page = page_of(number);
  for (auto each = segments_.lower_bound(page * page_segments_);
       each != segments_.end() && each->first < (page + 1) * page_segments_; ++each) {
    each->second.changed = false;
  }
  ++write_backs_;
  pages_.write(page, base::Callback::of<&MapCache::page_left>(this, tagged(number)));
}

void MapCache::page_left(std::uint64_t tagged_segment) {
  if (is_old(tagged_segment)) return;
  const std::uint64_t number = number_of(tagged_segment);
  writing_.erase(page_of(number));
  --leaving_;
  Segment& segment = segments_[number];
  if (segment.changed) {  // by the collector, meanwhile: it stays
    loaded(number);
  } else {
    const bool wanted = segment.wanted;
    segments_.erase(number);
    --used_;
    if (wanted) want(number, false);
  }
  make_room();
  settle();
}

void MapCache::load(std::uint64_t number) {
  ++used_;
  most_ = std::max<std::uint64_t>(most_, used_);
  Segment& segment = segments_[number];
  if (in_host(number)) {
    load_from_host(number, segment);
  } else {
    load_from_page(number, segment);
  }
}

void MapCache::load_from_page(std::uint64_t number, Segment& segment) {
  if (!pages_.present(page_of(number))) {
    loaded(number);
    return;
  }
  segment.state = State::kFromPage;
  ++misses_;
  pages_.read(page_of(number), base::Callback::of<&MapCache::page_read>(this, tagged(number)));
}

void MapCache::page_read(std::uint64_t tagged_segment) {
  if (is_old(tagged_segment)) return;
  loaded(number_of(tagged_segment));
  settle();
}

void MapCache::loaded(std::uint64_t number) {
  Segment& segment = segments_[number];
  segment.state = State::kCached;
  segment.urgent = segment.wanted = false;
  segment.fresh = true;
  order_.push_front(number);
  segment.order = order_.begin();
  loaded_.push(number);
}

void MapCache::settle_soon() {
  if (loaded_.empty() || std::exchange(settle_pending_, true)) return;
  scheduler_.at<&MapCache::settle_by_entry>(scheduler_.now(), this);
}

void MapCache::settle_by_entry() {
  settle_pending_ = false;
  settle();
}

// Tells who waits for what was loaded; from entries only.
void MapCache::settle() {
  if (std::exchange(settling_, true)) return;
  std::vector<base::Callback> ready;  // a call-back may bring new reads
  while (!loaded_.empty()) {
    const std::uint64_t number = loaded_.pop();
    if (updating_.count(number) != 0) updated(number);
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
      if (waiter->next == number && advance(*waiter)) {
        ready.push_back(waiter->ready);
        waiter = waiters_.erase(waiter);
      } else {
        ++waiter;
      }
    }
    if (const auto found = segments_.find(number); found != segments_.end()) {
      found->second.fresh = false;
    }
    make_room();
    if (loaded_.empty()) updates_follow();
  }
  settling_ = false;
  for (const base::Callback& each : ready) each();
}

// Without write_back. What is on its way is there already.
void MapCache::written(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t page = first / kPageEntries; page <= (first + count - 1) / kPageEntries;
       ++page) {
    if (pages_.present(page)) continue;
    ++write_backs_;
    pages_.write(page, {});
  }
}

void MapCache::unmapped(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t begin = first_whole(first);
  const std::uint64_t end = end_of_whole(first + count);
  if (count == 0 || begin >= end) return;
  for (auto each = segments_.lower_bound(begin); each != segments_.end() && each->first < end;) {
    const auto found = each++;
    found->second.changed = false;
    if (found->second.state == State::kCached) drop_cached(found);
  }
  if (end - begin < slots_.size()) {
    for (std::uint64_t i = begin; i < end; ++i) {
      std::uint64_t& kept = slots_[i % slots_.size()];
      if (kept == i + 1) kept = 0;
    }
  } else {
    for (std::uint64_t& kept : slots_) {
      if (kept > begin && kept <= end) kept = 0;
    }
  }
  const std::uint64_t first_page = base::ceil_div(begin, page_segments_);
  const std::uint64_t end_page =
      first + count == units_ ? table_pages(units_) : end / page_segments_;
  if (first_page < end_page) pages_.drop(first_page, end_page - first_page);
  make_room();
  settle_soon();
}

void MapCache::power_cut() {
  ++epoch_;
  for (const auto& [number, holds] : holds_) {
    for (const std::uint32_t superblock : holds) pages_.release(superblock);
  }
  holds_.clear();
  updating_.clear();
  while (!updates_.empty()) updates_.pop();
  while (!loaded_.empty()) loaded_.pop();
  segments_.clear();
  order_.clear();
  queue_.clear();
  writing_.clear();
  used_ = leaving_ = 0;
}

std::size_t MapCache::check_invariants() const {
  std::size_t queued = 0;
  std::size_t cached = 0;
  std::size_t leaving = 0;
  for (const auto& [number, segment] : segments_) {
    if (segment.state == State::kQueued) ++queued;
    if (segment.state == State::kCached) ++cached;
    if (segment.state == State::kLeaving) ++leaving;
  }
  NVMESIM_ASSERT(queued == queue_.size(), "segments wait for rooms outside of the queue");
  NVMESIM_ASSERT(cached == order_.size(), "the order of cached segments is wrong");
  NVMESIM_ASSERT(leaving == leaving_ && leaving == writing_.size(), "leaving segments are wrong");
  NVMESIM_ASSERT(used_ + queued == segments_.size(), "the count of rooms is wrong");
  NVMESIM_ASSERT(holds_.size() == updates_.size() + updating_.size(), "updates were lost");
  return used_;
}

}  // namespace nvmesim::models
