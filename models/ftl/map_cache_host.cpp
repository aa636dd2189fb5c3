// MapCache: segments in memory that the host lends.
#include <cstring>

#include "models/ftl/map_cache.hpp"

namespace nvmesim::models {

bool MapCache::in_host(std::uint64_t number) const {
  return memory_ != nullptr && !withdrawing_ && !slots_.empty() &&
         slots_[number % slots_.size()] == number + 1;
}

void MapCache::load_from_host(std::uint64_t number, Segment& segment) {
  segment.state = State::kFromHost;
  ++host_accesses_;
  base::BufferRef& buffer = arriving_[tagged(number)];
  buffer = buffers_.take();
  memory_->read(number % slots_.size() * segment_bytes_, {buffer->data(), segment_bytes_}, buffer,
                base::Callback::of<&MapCache::from_host>(this, tagged(number)));
}

void MapCache::from_host(std::uint64_t tagged_segment) {
  const std::uint64_t expected = number_of(tagged_segment);
  std::uint64_t found = 0;
  std::memcpy(&found, arriving_[tagged_segment]->data(), sizeof found);
  arriving_.erase(tagged_segment);
  const bool good = !memory_->failed() && found == expected;
  host_access_ended();
  if (is_old(tagged_segment)) return;
  if (good) {
    ++host_hits_;
    loaded(expected);
  } else {
    ++host_errors_;
    if (!slots_.empty()) slots_[expected % slots_.size()] = 0;
    load_from_page(expected, segments_[expected]);
  }
  settle();
}

// A segment that leaves the controller stays with the host, in the page that its number says.
void MapCache::keep_in_host(std::uint64_t number, bool changed) {
  if (memory_ == nullptr || withdrawing_ || slots_.empty()) return;
  const std::uint64_t slot = number % slots_.size();
  if (slots_[slot] == number + 1 && !changed) return;
  slots_[slot] = number + 1;
  ++host_accesses_;
  const base::BufferRef buffer = buffers_.take();
  std::memset(buffer->data(), 0, segment_bytes_);
  std::memcpy(buffer->data(), &number, sizeof number);
  memory_->write(slot * segment_bytes_, {buffer->data(), segment_bytes_}, buffer,
                 base::Callback::of<&MapCache::host_has_it>(this, slot));
}

void MapCache::host_has_it(std::uint64_t) {
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

// Reads of host memory that never come back are made good from the pages.
void MapCache::dropped() {
  memory_ = nullptr;
  withdrawing_ = false;
  host_accesses_ = 0;
  slots_.clear();
  arriving_.clear();
  for (auto& [number, segment] : segments_) {
    if (segment.state == State::kFromHost) load_from_page(number, segment);
  }
  settle_soon();
}

}  // namespace nvmesim::models
