// Nand: programs and erases that are suspended for the host's reads.
#include <algorithm>

#include "models/nand/nand.hpp"

namespace nvmesim::models {
// A host read waits behind a program or an erase in the array: suspend it now, later or never.
void Nand::consider_suspend(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument);
  Die& die = dies_[number];
  if (die.phase != Phase::kArray || die.loading != nullptr) return;
  if (die.heads[static_cast<std::size_t>(JobClass::kHostRead)] == nullptr) return;
  DieJob& job = *die.current;
  const bool erase = job.job_class == JobClass::kErase;
  if (!(erase ? config_.erase_suspend : config_.program_suspend)) return;
  const base::Time now = scheduler_.now();
  const base::Time cost =
      base::nanoseconds(erase ? config_.erase_suspend_ns : config_.program_suspend_ns);
  if (job.suspends >= config_.suspend_limit || now - job.submitted >= age_limit_) return;
  const base::Time from = std::max(now, die.undisturbed);
  if (die.array_end - from <= cost) return;
  if (from > now) {
    if (!scheduler_.pending(die.retry)) {
      die.retry = scheduler_.at<&Nand::consider_suspend>(from, this, number);
    }
    return;
  }
  ++job.suspends;
  ++(erase ? erase_suspends_ : program_suspends_);
  job.left = die.array_end - now;
  scheduler_.cancel(die.event);
  die.phase = Phase::kSuspending;
  die.event = scheduler_.at<&Nand::suspended>(now + cost, this, number);
}

void Nand::suspended(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument);
  Die& die = dies_[number];
  const base::Time now = scheduler_.now();
  die.spent[static_cast<std::size_t>(die.cause)] += now - die.begun;
  die.suspended = die.current;
  die.current = nullptr;
  if (!die.planes.empty()) {
    die.phase = Phase::kIdle;
    serve_planes(number);
    return;
  }
  DieJob*& head = die.heads[static_cast<std::size_t>(JobClass::kHostRead)];
  DieJob& next = *head;
  head = next.next;
  --die.waiting;
  begin(number, next);
}

void Nand::resume(std::uint32_t number) {
  Die& die = dies_[number];
  const base::Time now = scheduler_.now();
  DieJob& job = *die.suspended;
  die.suspended = nullptr;
  die.current = &job;
  die.cause = cause_of(job.job_class);
  die.begun = now;
  const base::Time resumed = now + base::nanoseconds(config_.resume_ns);
  start_array(number, now, base::nanoseconds(config_.resume_ns) + job.left,
              resumed + base::nanoseconds(config_.suspend_gap_ns));
}

}  // namespace nvmesim::models
