#include "sim/workload/verifier.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::workload {

Verifier::Mask Verifier::mask_of(std::uint64_t chunk, std::uint64_t sector, std::uint64_t sectors) {
  const std::uint64_t first = chunk * kChunkSectors;
  const std::uint64_t from = std::max(sector, first) - first;
  const std::uint64_t to = std::min(sector + sectors, first + kChunkSectors) - first;
  return static_cast<Mask>((1U << to) - (1U << from));
}

std::uint32_t Verifier::find(std::uint64_t number) const {
  const auto found = index_.find(number);
  return found == index_.end() ? kNone : found->second;
}

// A chunk that is looked at for the first time. What it held is unknown, unless the drive is new or
// it lies in a settled range of zeroes; zeroes in flight may arrive in it as well.
std::uint32_t Verifier::find_or_make(std::uint64_t number) {
  const auto next = static_cast<std::uint32_t>(chunks_.size());
  const auto [place, made] = index_.try_emplace(number, next);
  if (!made) return place->second;
  NVMESIM_ASSERT(next != kNone, "more chunks to verify than 32 bits can number");
  Chunk& chunk = chunks_.emplace_back();
  chunk.number = number;
  const bool was_zeroed = zeroed(number);
  if (was_zeroed || config_.new_drive) {
    std::fill(std::begin(chunk.settled), std::end(chunk.settled), kZeroes);
  }
  if (was_zeroed) chunk.written = kWhole;
  for (const ZeroRange& range : zero_ranges_) {
    if (range.ended != kAlive || number < range.first || number >= range.end) continue;
    add_candidate(chunk, range.ticket, kWhole);
  }
  return next;
}

Verifier::Candidates& Verifier::contest(Chunk& chunk) {
  if (chunk.contest != kSettled) return contests_[chunk.contest];
  if (free_contests_.empty()) {
    free_contests_.push_back(static_cast<std::uint32_t>(contests_.size()));
    contests_.emplace_back();
  }
  chunk.contest = free_contests_.back();
  free_contests_.pop_back();
  Candidates& candidates = contests_[chunk.contest];
  for (std::uint32_t i = 0; i < kChunkSectors; ++i) {
    const auto bit = static_cast<Mask>(1U << i);
    const auto same = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
      return c.version == chunk.settled[i];
    });
    if (same != candidates.end()) {
      same->mask |= bit;
    } else {
      candidates.push_back({chunk.settled[i], 0, 0, kAlive, bit});
    }
  }
  return candidates;
}

void Verifier::add_candidate(Chunk& chunk, const Ticket& ticket, Mask mask) {
  contest(chunk).push_back({version_of(ticket), ticket.begun, kAlive, kAlive, mask});
  chunk.written |= mask;
}

void Verifier::end_candidate(std::uint32_t index, const Ticket& ticket, bool failed) {
  Chunk& chunk = chunks_[index];
  NVMESIM_ASSERT(chunk.contest != kSettled, "a write ended in a chunk where none was open");
  Candidates& candidates = contests_[chunk.contest];
  const auto own = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
    return c.version == version_of(ticket) && c.ended == kAlive;
  });
  NVMESIM_ASSERT(own != candidates.end(), "a write ended that had not begun");
  own->ended = tick_;
  if (!failed) supersede(candidates, ticket, own->mask);
  settle(index);
}

// An acknowledged write replaces what had ended before it began.
void Verifier::supersede(Candidates& candidates, const Ticket& by, Mask mask) const {
  const std::size_t count = candidates.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto overlap = static_cast<Mask>(candidates[i].mask & mask);
    if (overlap == 0 || candidates[i].superseded != kAlive) continue;
    if (candidates[i].ended >= by.begun) continue;  // open, or overlapped in time
    Candidate old = candidates[i];
    old.mask = overlap;
    old.superseded = tick_;
    candidates[i].mask &= static_cast<Mask>(~overlap);
    if (candidates[i].mask == 0) {
      candidates[i] = old;
    } else {
      candidates.push_back(old);
    }
  }
}

// Takes out versions that no open read can see any more. True if superseded ones remain.
bool Verifier::drop_superseded(Candidates& candidates) const {
  const std::uint64_t oldest = oldest_read();
  const auto gone = std::remove_if(candidates.begin(), candidates.end(),
                                   [&](const Candidate& c) { return c.superseded < oldest; });
  candidates.erase(gone, candidates.end());
  const auto is_old = [](const Candidate& c) { return c.superseded != kAlive; };
  if (std::none_of(candidates.begin(), candidates.end(), is_old)) return false;
  if (candidates.size() > kMaxCandidates) {
    // A very old read is open: it may see anything here, rather than one of ever more versions.
    Candidate any{kAnything, 0, 0, 0, 0};
    for (const Candidate& c : candidates) {
      if (!is_old(c)) continue;
      any.mask |= c.mask;
      any.superseded = std::max(any.superseded, c.superseded);
    }
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(), is_old),
                     candidates.end());
    candidates.push_back(any);
  }
  return true;
}

void Verifier::settle(std::uint32_t index) {
  Chunk& chunk = chunks_[index];
  if (chunk.contest == kSettled) return;
  Candidates& candidates = contests_[chunk.contest];
  if (drop_superseded(candidates)) {
    if (!chunk.leftover) leftovers_.push_back({tick_, index});
    chunk.leftover = true;
    return;
  }
  Mask covered = 0;
  for (const Candidate& c : candidates) {
    if (c.ended == kAlive || (covered & c.mask) != 0) return;
    covered |= c.mask;
  }
  NVMESIM_ASSERT(covered == kWhole, "a sector is left without a version");
  for (const Candidate& c : candidates) {
    for (std::uint32_t i = 0; i < kChunkSectors; ++i) {
      if ((c.mask >> i & 1U) != 0) chunk.settled[i] = c.version;
    }
  }
  candidates.clear();
  free_contests_.push_back(chunk.contest);
  chunk.contest = kSettled;
}

Verifier::Ticket Verifier::begin(host::BioOp op, std::uint64_t sector, std::uint32_t sectors) {
  Ticket ticket{0, ++tick_, sector, sectors, op};
  if (op == host::BioOp::kRead) {
    reads_.push_back({tick_, false});
  } else if (sectors > 0 && op != host::BioOp::kFlush) {
    ticket.version = next_write_++;
    ++result_.writes;
    if (writes_zeroes(op)) {
      begin_zeroes(ticket);
    } else {
      for (std::uint64_t c = sector / kChunkSectors; c * kChunkSectors < sector + sectors; ++c) {
        add_candidate(chunks_[find_or_make(c)], ticket, mask_of(c, sector, sectors));
      }
    }
  }
  return ticket;
}

void Verifier::end(const Ticket& ticket, bool failed) {
  ++tick_;
  if (ticket.op == host::BioOp::kRead) {
    end_read(ticket);
  } else if (ticket.version != 0) {
    if (writes_zeroes(ticket.op)) {
      end_zeroes(ticket, failed);
    } else {
      const std::uint64_t end = ticket.sector + ticket.sectors;
      for (std::uint64_t c = ticket.sector / kChunkSectors; c * kChunkSectors < end; ++c) {
        end_candidate(find(c), ticket, failed);
      }
    }
  }
}

void Verifier::end_read(const Ticket& ticket) {
  const auto found = std::lower_bound(
      reads_.begin(), reads_.end(), ticket.begun,
      [](const OpenRead& read, std::uint64_t begun) { return read.begun < begun; });
  NVMESIM_ASSERT(found != reads_.end() && found->begun == ticket.begun && !found->ended,
                 "a read ended that had not begun");
  found->ended = true;
  while (!reads_.empty() && reads_.front().ended) reads_.pop_front();
  settle_zero_ranges();
  while (!leftovers_.empty() && leftovers_.front().tick < oldest_read()) {
    const std::uint32_t chunk = leftovers_.front().chunk;
    leftovers_.pop_front();
    chunks_[chunk].leftover = false;
    settle(chunk);
  }
}

VerifyResult Verifier::result() const {
  VerifyResult result = result_;
  for (const Chunk& chunk : chunks_) {
    result.sectors_written += static_cast<unsigned>(std::popcount(chunk.written));
    if (zeroed(chunk.number)) result.sectors_written -= kChunkSectors;
  }
  for (const auto& [first, end] : zeroed_) result.sectors_written += (end - first) * kChunkSectors;
  return result;
}

}  // namespace nvmesim::workload
