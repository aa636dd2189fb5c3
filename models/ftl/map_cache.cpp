#include "models/ftl/map_cache.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

MapCache::MapCache(const MapCacheConfig& config, base::Scheduler& scheduler,
                   base::StatisticsRegistry& statistics, const std::string& name)
    : scheduler_(scheduler),
      segment_units_(config.entries_per_page),
      segment_bytes_(config.entries_per_page * kEntryBytes),
      capacity_(static_cast<std::size_t>(config.bytes / segment_bytes_)),
      read_time_(std::chrono::nanoseconds(config.read_ns)),
      write_back_(config.write_back),
      write_time_(std::chrono::nanoseconds(config.write_ns)),
      readers_(config.reads, base::Timeline(name + ".map_reader")),
      writers_(config.reads, base::Timeline(name + ".map_writer")),
      buffers_(segment_bytes_) {
  if (!std::has_single_bit(segment_units_)) {  // a page of host memory holds whole segments
    throw base::UserError("map_cache.entries_per_page: must be a power of two");
  }
  if (capacity_ == 0) {
    throw base::UserError("map_cache.bytes: 0, or at least a page of the table (" +
                          std::to_string(segment_bytes_) + ")");
  }
  statistics.add(name + ".map_cache.hits", "1", "commands that found all their mapping cached",
                 hits_);
  statistics.add(name + ".map_cache.host_hits", "1", "segments read from host memory", host_hits_);
  statistics.add(name + ".map_cache.misses", "1", "segments read from the NAND", misses_);
  statistics.add(name + ".map_cache.host_errors", "1",
                 "segments in host memory that were not what was written", host_errors_);
  statistics.add(name + ".map_cache.write_backs", "1",
                 "changed segments that were written to the NAND", write_backs_);
  statistics.add(name + ".map_cache.written", "bytes", "of the table, written to the NAND",
                 [this] { return write_backs_ * segment_bytes_; });
}

void MapCache::touch(std::uint64_t segment) {
  const auto place = places_.find(segment);
  if (place != places_.end()) {
    order_.splice(order_.begin(), order_, place->second);
    return;
  }
  if (order_.size() == capacity_) {
    static_cast<void>(evict());
  }
  order_.push_front(segment);
  places_[segment] = order_.begin();
}

// The segment that was not used for longest leaves. When the NAND has it.
base::Time MapCache::evict() {
  const std::uint64_t victim = order_.back();
  places_.erase(victim);
  order_.pop_back();
  const bool changed = changed_.erase(victim) != 0;
  keep_in_host(victim, changed);
  const base::Time now = scheduler_.now();
  if (!changed) return now;
  ++write_backs_;
  return writers_[victim % writers_.size()].reserve(now, write_time_) + write_time_;
}

// True if it waits no longer.
bool MapCache::advance(Waiter& waiter) {
  while (waiter.next <= waiter.last) {
    if (!cached(waiter.next)) {
      load(waiter.next);
      return false;
    }
    if (waiter.change) changed_.insert(waiter.next);
    touch(waiter.next++);
  }
  return true;
}

bool MapCache::ready_or_wait(std::uint64_t first, std::uint64_t count, bool change,
                             std::uint64_t token, base::Callback ready) {
  Waiter waiter{ready, token, first / segment_units_, (first + count - 1) / segment_units_, change};
  if (advance(waiter)) {
    ++hits_;
    return true;
  }
  waiters_.push_back(waiter);
  return false;
}

bool MapCache::forget(std::uint64_t token) {
  return waiters_.remove_if([&](const Waiter& waiter) { return waiter.token == token; }) != 0;
}

void MapCache::power_cut() {
  order_.clear();
  places_.clear();
  changed_.clear();
}

void MapCache::load(std::uint64_t segment) {
  if (loading_.count(segment) != 0) return;
  const std::uint64_t slot = slots_.empty() ? 0 : segment % slots_.size();
  if (memory_ == nullptr || withdrawing_ || slots_.empty() || slots_[slot] != segment + 1) {
    load_from_nand(segment);
    return;
  }
  loading_[segment] = Load::kFromHost;
  ++host_accesses_;
  base::BufferRef& buffer = arriving_[segment];
  buffer = buffers_.take();
  memory_->read(slot * segment_bytes_, {buffer->data(), segment_bytes_}, buffer,
                base::Callback::of<&MapCache::from_host>(this, segment));
}

// In the room of a changed segment when that has been written.
void MapCache::load_from_nand(std::uint64_t segment) {
  loading_[segment] = Load::kFromNand;
  ++misses_;
  base::Time room = scheduler_.now();
  const bool full = order_.size() + loading_.size() > capacity_ && !order_.empty();
  if (full && changed_.count(order_.back()) != 0) room = evict();
  if (room > scheduler_.now()) {
    scheduler_.at<&MapCache::read_nand>(room, this, segment);
  } else {
    read_nand(segment);
  }
}

void MapCache::read_nand(std::uint64_t segment) {
  base::Timeline& reader = readers_[segment % readers_.size()];
  const base::Time start = reader.reserve(scheduler_.now(), read_time_);
  scheduler_.at<&MapCache::loaded>(start + read_time_, this, segment);
}

void MapCache::from_host(std::uint64_t segment) {
  std::uint64_t number = 0;
  std::memcpy(&number, arriving_[segment]->data(), sizeof number);
  arriving_.erase(segment);
  const bool good = !memory_->failed() && number == segment;
  host_access_ended();
  if (!good) {
    ++host_errors_;
    if (!slots_.empty()) slots_[segment % slots_.size()] = 0;
    load_from_nand(segment);
    return;
  }
  ++host_hits_;
  loaded(segment);
}

void MapCache::loaded(std::uint64_t segment) {
  loading_.erase(segment);
  touch(segment);
  std::vector<base::Callback> ready;  // a call-back may bring new reads
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    if (waiter->next == segment && advance(*waiter)) {
      ready.push_back(waiter->ready);
      waiter = waiters_.erase(waiter);
    } else {
      ++waiter;
    }
  }
  for (const base::Callback& each : ready) each();
}

// A segment that leaves the controller stays with the host, in the page that its number says.
void MapCache::keep_in_host(std::uint64_t segment, bool changed) {
  if (memory_ == nullptr || withdrawing_ || slots_.empty()) return;
  const std::uint64_t slot = segment % slots_.size();
  if (slots_[slot] == segment + 1 && !changed) return;
  slots_[slot] = segment + 1;
  ++host_accesses_;
  const base::BufferRef buffer = buffers_.take();
  std::memset(buffer->data(), 0, segment_bytes_);
  std::memcpy(buffer->data(), &segment, sizeof segment);
  memory_->write(slot * segment_bytes_, {buffer->data(), segment_bytes_}, buffer,
                 base::Callback::of<&MapCache::written>(this, slot));
}

void MapCache::written(std::uint64_t) {
  host_access_ended();
}

void MapCache::host_access_ended() {
  if (--host_accesses_ == 0 && withdrawing_) give_back();
}

void MapCache::lent(BorrowedMemory& memory, bool intact) {
  const std::size_t pages = memory.bytes() / segment_bytes_;
  memory_ = &memory;
  withdrawing_ = false;
  host_accesses_ = 0;
  if (!intact || slots_.size() != pages) slots_.assign(pages, 0);
}

void MapCache::withdraw(base::Callback done) {
  withdrawing_ = true;
  withdrawn_ = done;
  if (host_accesses_ == 0) scheduler_.after<&MapCache::give_back>(base::kTimeZero, this);
}

void MapCache::give_back() {
  if (!withdrawing_) return;  // it was dropped meanwhile
  withdrawing_ = false;
  memory_ = nullptr;
  withdrawn_();
}

// Reads of host memory that never come back are made good from the NAND.
void MapCache::dropped() {
  memory_ = nullptr;
  withdrawing_ = false;
  host_accesses_ = 0;
  slots_.clear();
  arriving_.clear();
  for (auto& [segment, load] : loading_) {
    if (load == Load::kFromHost) load_from_nand(segment);
  }
}

}  // namespace nvmesim::models
