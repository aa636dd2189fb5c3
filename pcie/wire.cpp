#include "pcie/wire.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kSettleBytes = std::uint64_t{1} << 24;

std::uint32_t next_tlp_bytes(const LongTransfer& transfer) {
  return transfer.remaining == 1 ? transfer.segments.last_bytes : transfer.segments.full_bytes;
}

}  // namespace

Wire::Wire(base::Pace pace) {
  set_pace(pace);
}

void Wire::set_pace(base::Pace pace) {
  NVMESIM_ASSERT(active_ == 0, "the pace of a busy wire was changed");
  epoch_ = free_at_;
  position_ = 0;
  pace_ = pace;
  const std::uint64_t units = base::ceil_div(kSettleBytes, pace.denominator());
  unit_bytes_ = pace.denominator() * units;
  unit_time_ = base::picoseconds(static_cast<std::int64_t>(pace.numerator_ps() * units));
}

base::Time Wire::queue_short(base::Time now, std::uint64_t bytes) {
  advance(now);
  if (active_ == 0 && now > free_at_) {
    epoch_ = now;
    position_ = 0;
  }
  position_ += bytes;
  settle();
  return free_at_;
}

void Wire::send_long(base::Time now, LongTransfer& transfer) {
  transfer.remaining = transfer.segments.tlps;
  transfer.next = nullptr;
  advance(now);
  const bool idle = active_ == 0 && now >= free_at_;
  join(transfer, now >= turn_ends_);
  if (!idle) return;
  // Nothing to wait for: the first TLP begins now, before whatever comes in the same instant.
  if (now > free_at_) {
    epoch_ = now;
    position_ = 0;
  }
  run_to(position_ + 1);
  settle();
  if (active_ != 0) turn_ends_ = free_at_;
}

void Wire::join(LongTransfer& transfer, bool behind_last) {
  if (active_ == kWindow) {
    (waiting_ == nullptr ? waiting_ : waiting_tail_->next) = &transfer;
    waiting_tail_ = &transfer;
    return;
  }
  window_[active_++] = &transfer;
  if (!behind_last && active_ > 1) std::swap(window_[active_ - 1], window_[active_ - 2]);
}

LongTransfer* Wire::take_finished() {
  LongTransfer* transfer = finished_;
  if (transfer != nullptr) finished_ = transfer->next;
  return transfer;
}

Wire::Forecast Wire::first_to_finish() const {
  if (active_ == 0) return {};
  const Finish finish = first_finish();
  return {window_[finish.index], epoch_ + pace_(finish.position)};
}

base::Time Wire::drained_at(std::uint64_t more) const {
  if (active_ == 0 && more == 0) return free_at_;
  std::uint64_t bytes = position_ + more;
  const auto add = [&bytes](const LongTransfer& transfer) {
    if (transfer.remaining == 0) return;
    bytes += std::uint64_t{transfer.remaining - 1} * transfer.segments.full_bytes +
             transfer.segments.last_bytes;
  };
  for (std::size_t i = 0; i < active_; ++i) add(*window_[i]);
  for (const LongTransfer* each = waiting_; each != nullptr; each = each->next) add(*each);
  return epoch_ + pace_(bytes);
}

// The first TLP boundary at or behind `now`, and who has finished up to it.
void Wire::catch_up(base::Time now) {
  const std::uint64_t target = first_position_at(now);
  bool mid_transfer = false;
  while (active_ != 0 && position_ < target) {
    const Finish finish = first_finish();
    if (finish.position <= target) {
      run_to_finish(finish);
      mid_transfer = false;
    } else {
      mid_transfer = run_to(target);
    }
  }
  settle();
  turn_ends_ = mid_transfer ? free_at_ : base::kTimeZero;
}

// With fewest TLPs left, and first in turn among those, a transfer has sent its last TLP when those
// in front of it have sent as many as it, and those behind it one less.
Wire::Finish Wire::first_finish() const {
  std::size_t index = 0;
  std::uint64_t full_sum = 0;
  for (std::size_t i = 0; i < active_; ++i) {
    if (window_[i]->remaining < window_[index]->remaining) index = i;
    full_sum += window_[i]->segments.full_bytes;
  }
  std::uint64_t position = position_ + full_sum * (window_[index]->remaining - 1);
  for (std::size_t i = 0; i < index; ++i) position += window_[i]->segments.full_bytes;
  return {index, position + window_[index]->segments.last_bytes};
}

void Wire::run_to_finish(const Finish& finish) {
  const std::uint32_t rounds = window_[finish.index]->remaining;
  for (std::size_t i = 0; i < active_; ++i) {
    window_[i]->remaining -= i <= finish.index ? rounds : rounds - 1;
  }
  position_ = finish.position;
  rotate(finish.index + 1);
  retire(active_ - 1);
}

// Up to the first boundary at or behind `target`, if none finishes before `target`. True if the
// last of the window has sent the last TLP and has more.
bool Wire::run_to(std::uint64_t target) {
  std::uint64_t round_bytes = 0;
  std::uint64_t least = window_[0]->remaining;
  for (std::size_t i = 0; i < active_; ++i) {
    round_bytes += window_[i]->segments.full_bytes;
    least = std::min<std::uint64_t>(least, window_[i]->remaining);
  }
  // A last TLP may be longer than the others: in bytes that may look like a round too many.
  const std::uint64_t rounds = std::min((target - position_) / round_bytes, least - 1);
  if (rounds != 0) {
    for (std::size_t i = 0; i < active_; ++i) {
      window_[i]->remaining -= static_cast<std::uint32_t>(rounds);
    }
    position_ += rounds * round_bytes;
  }
  std::size_t turn = 0;
  while (position_ < target) {
    LongTransfer& transfer = *window_[turn];
    position_ += next_tlp_bytes(transfer);
    --transfer.remaining;
    ++turn;
  }
  if (turn != 0) rotate(turn);
  // Only the TLP that crosses the target can have been a last one.
  if (window_[active_ - 1]->remaining != 0) return true;
  retire(active_ - 1);
  return false;
}

void Wire::retire(std::size_t index) {
  LongTransfer* transfer = window_[index];
  NVMESIM_ASSERT(transfer->remaining == 0, "a transfer left the wire before its last TLP");
  transfer->end = epoch_ + pace_(position_);
  transfer->next = nullptr;
  (finished_ == nullptr ? finished_ : finished_tail_->next) = transfer;
  finished_tail_ = transfer;
  if (waiting_ != nullptr) {
    window_[index] = waiting_;
    waiting_ = waiting_->next;
    window_[index]->next = nullptr;
  } else {
    --active_;
  }
}

void Wire::rotate(std::size_t by) {
  if (by == active_ || active_ == 1) return;
  const auto begin = window_.begin();
  std::rotate(begin, begin + static_cast<std::ptrdiff_t>(by),
              begin + static_cast<std::ptrdiff_t>(active_));
}

// The least byte position that is reached at `when` or later.
std::uint64_t Wire::first_position_at(base::Time when) const {
  __extension__ using Wide = unsigned __int128;
  const auto elapsed = static_cast<std::uint64_t>((when - epoch_).count());
  if (elapsed == 0) return 0;
  const Wide product = Wide{elapsed - 1} * pace_.denominator();
  if ((product >> 64) == 0) {
    return static_cast<std::uint64_t>(product) / pace_.numerator_ps() + 1;
  }
  return static_cast<std::uint64_t>(product / pace_.numerator_ps()) + 1;
}

// Keeps the position small, by an amount of bytes that takes a whole number of picoseconds.
void Wire::settle() {
  while (position_ >= unit_bytes_) {
    position_ -= unit_bytes_;
    epoch_ += unit_time_;
  }
  free_at_ = epoch_ + pace_(position_);
}

}  // namespace nvmesim::pcie
