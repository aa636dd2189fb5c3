// Nand: how data to be programmed reaches the dies, and what follows a program.
#include <algorithm>
#include <utility>

#include "models/nand/nand.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

// In SLC mode the pages of a program lie in as many wordlines.
base::Time Nand::program_time(const DieJob& job) const {
  if (job.slc) return slc_program_ * geometry_.program_rows;
  return program_[job.row / geometry_.program_rows % program_.size()];
}

// Of the program that loads behind the current one, if there is one; else of the current one.
void Nand::page_in(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument);
  Die& die = dies_[number];
  const bool behind = die.loading != nullptr;
  DieJob& job = behind ? *die.loading : *die.current;
  base::Scheduler::Handle& event = behind ? die.load_event : die.event;
  Channel& channel = channel_of(number);
  const base::Time now = scheduler_.now();
  if (!channel_policy_->joins(now, channel.line.free_at(), die.in_since)) {
    event = scheduler_.at<&Nand::page_in>(channel.line.free_at(), this, number);
    return;
  }
  const base::Time duration = command_ + pace_(geometry_.page_bytes);
  const base::Time end = channel.line.reserve(now, duration) + duration;
  channel.bytes += geometry_.page_bytes;
  if (++job.pages_in < job.pages) {
    die.in_since = end;
    event = scheduler_.at<&Nand::page_in>(end, this, number);
    return;
  }
  if (behind) {
    die.loaded = true;
    die.loaded_at = end;
    return;
  }
  ++job.passes;
  start_array(number, end, program_time(job) + polled_inside(), end);
}

// The array works on the last pass of a program, and a program is next: its data goes in meanwhile.
void Nand::load_next(std::uint32_t number) {
  Die& die = dies_[number];
  const bool free = die.phase == Phase::kArray && die.loading == nullptr && die.waiting > 0 &&
                    is_program(*die.current) && die.current->passes >= config_.program_passes;
  if (!free) return;
  const base::Time now = scheduler_.now();
  const std::size_t queue = policy_->pick(die.heads, now);
  if (!is_program(*die.heads[queue])) return;
  DieJob& job = *die.heads[queue];
  die.heads[queue] = job.next;
  --die.waiting;
  ++programs_;
  ++cache_programs_;
  die.loading = &job;
  die.loaded = false;
  // The registers are free when the array has taken over what is in them.
  job.begun = die.in_since = std::max(now, die.array_begin);
  job.waited.fill(base::kTimeZero);
  die.load_event = scheduler_.at<&Nand::page_in>(job.begun, this, number);
}

void Nand::take_loaded(std::uint32_t number) {
  Die& die = dies_[number];
  DieJob& job = *std::exchange(die.loading, nullptr);
  const base::Time now = scheduler_.now();
  die.current = &job;
  die.cause = cause_of(job.job_class);
  die.begun = now;
  if (!die.loaded) {
    die.phase = Phase::kDataIn;
    die.event = die.load_event;
    return;
  }
  ++job.passes;
  const base::Time begin = std::max(now, die.loaded_at);
  start_array(number, begin, program_time(job) + polled_inside(), begin);
}

// True if the poll is on its way; when it is over, array_done() comes again.
bool Nand::poll_status(std::uint32_t number) {
  Die& die = dies_[number];
  die.current->polled = !die.current->polled;
  if (!die.current->polled) return false;
  const base::Time end = channel_of(number).line.reserve(scheduler_.now(), status_) + status_;
  die.phase = Phase::kStatus;
  die.event = scheduler_.at<&Nand::array_done>(end, this, number);
  return true;
}

}  // namespace nvmesim::models
