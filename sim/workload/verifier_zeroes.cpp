// Discards and write zeroes: whole chunks that nothing else touched are kept as ranges, so that
// discarding a drive costs no memory per sector.
#include <algorithm>

#include "sim/workload/verifier.hpp"

namespace nvmesim::workload {

// Visits the existing chunks of a range; in what order does not matter to the outcome, but it is
// the same in every run.
template <class Visit>
void Verifier::for_chunks_in(std::uint64_t first, std::uint64_t end, Visit visit) {
  if (first >= end) return;
  if (end - first <= chunks_.size()) {
    for (std::uint64_t number = first; number < end; ++number) {
      if (const std::uint32_t index = find(number); index != kNone) visit(index);
    }
    return;
  }
  for (std::uint32_t index = 0; index < chunks_.size(); ++index) {
    if (chunks_[index].number >= first && chunks_[index].number < end) visit(index);
  }
}

void Verifier::begin_zeroes(const Ticket& ticket) {
  const std::uint64_t sector = ticket.sector;
  const std::uint64_t last = sector + ticket.sectors;
  ZeroRange range;
  range.first = base::ceil_div(sector, kChunkSectors);
  range.end = last / kChunkSectors;
  range.ticket = ticket;
  if (sector % kChunkSectors != 0) {
    const std::uint64_t edge = sector / kChunkSectors;
    add_candidate(chunks_[find_or_make(edge)], ticket, mask_of(edge, sector, ticket.sectors));
  }
  if (last % kChunkSectors != 0 && range.end >= range.first) {
    const std::uint64_t edge = range.end;
    add_candidate(chunks_[find_or_make(edge)], ticket, mask_of(edge, sector, ticket.sectors));
  }
  for_chunks_in(range.first, range.end,
                [&](std::uint32_t index) { add_candidate(chunks_[index], ticket, kWhole); });
  zero_ranges_.push_back(range);
}

void Verifier::end_zeroes(const Ticket& ticket, bool failed) {
  const std::uint64_t last = ticket.sector + ticket.sectors;
  const auto range =
      std::find_if(zero_ranges_.begin(), zero_ranges_.end(),
                   [&](const ZeroRange& r) { return r.ticket.version == ticket.version; });
  NVMESIM_ASSERT(range != zero_ranges_.end(), "a discard ended that had not begun");
  range->ended = tick_;
  range->failed = failed;
  if (ticket.sector % kChunkSectors != 0) {
    end_candidate(find(ticket.sector / kChunkSectors), ticket, failed);
  }
  if (last % kChunkSectors != 0 && range->end >= range->first) {
    end_candidate(find(range->end), ticket, failed);
  }
  for_chunks_in(range->first, range->end,
                [&](std::uint32_t index) { end_candidate(index, ticket, failed); });
  settle_zero_ranges();
}

// A range counts as zeroed once every read that began before its end has ended.
void Verifier::settle_zero_ranges() {
  const std::uint64_t oldest = oldest_read();
  const auto gone =
      std::remove_if(zero_ranges_.begin(), zero_ranges_.end(), [&](const ZeroRange& range) {
        if (range.ended >= oldest) return false;
        if (!range.failed) add_zeroed(range.first, range.end);
        return true;
      });
  zero_ranges_.erase(gone, zero_ranges_.end());
}

void Verifier::add_zeroed(std::uint64_t first, std::uint64_t end) {
  if (first >= end) return;
  auto at = zeroed_.upper_bound(first);
  if (at != zeroed_.begin() && std::prev(at)->second >= first) --at;
  while (at != zeroed_.end() && at->first <= end) {
    first = std::min(first, at->first);
    end = std::max(end, at->second);
    at = zeroed_.erase(at);
  }
  zeroed_.emplace(first, end);
}

bool Verifier::zeroed(std::uint64_t chunk) const {
  const auto after = zeroed_.upper_bound(chunk);
  return after != zeroed_.begin() && std::prev(after)->second > chunk;
}

}  // namespace nvmesim::workload
