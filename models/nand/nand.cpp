#include "models/nand/nand.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nvmesim::models {
namespace {

base::Time ns(std::uint64_t count) {
  return base::Time{static_cast<std::int64_t>(count) * 1000};
}

}  // namespace

base::Time Nand::Die::spent_at(std::size_t cause_index, base::Time when) const {
  base::Time total = spent[cause_index];
  if (current != nullptr && static_cast<std::size_t>(cause) == cause_index && when > begun) {
    total += when - begun;
  }
  return total;
}

base::Time Nand::Die::busy_at(base::Time when) const {
  base::Time total{0};
  for (std::size_t i = 0; i < kDieCauses; ++i) total += spent_at(i, when);
  return total;
}

Nand::Nand(const NandConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
           base::StatisticsRegistry& statistics, const std::string& name, ConstructionOrder order)
    : geometry_(geometry),
      scheduler_(scheduler),
      program_(ns(config.program_ns)),
      erase_(ns(config.erase_ns)),
      command_(ns(config.command_ns)),
      status_(ns(config.status_ns)),
      ecc_(ns(config.ecc_ns)),
      pace_(base::Pace::bytes_per_second(std::uint64_t{config.channel_mb_per_s} * 1'000'000)),
      cache_read_(config.cache_read),
      policy_(make_die_policy(config.die_policy, ns(std::uint64_t{config.age_limit_us} * 1000))),
      channels_(geometry.channels),
      dies_(geometry.dies) {
  for (const std::uint32_t time : config.read_ns) read_.push_back(ns(time));
  for (std::uint32_t i = 0; i < geometry.channels; ++i) {
    const std::uint32_t number =
        order == ConstructionOrder::kForward ? i : geometry.channels - 1 - i;
    const std::string channel_name = fmt::format("{}.channel{}", name, number);
    channels_[number] = std::make_unique<Channel>(channel_name);
    Channel* channel = channels_[number].get();
    statistics.add_utilisation(channel_name, "channel", [channel] { return channel->line.busy(); });
    for (std::uint32_t die = number; die < geometry.dies; die += geometry.channels) {
      statistics.add_utilisation(fmt::format("{}.die{}", channel_name, die / geometry.channels),
                                 "die", [this, die] { return busy(die); });
    }
  }
  statistics.add(name + ".nand.reads", "1", "array reads, all planes of a die at once", reads_);
  statistics.add(name + ".nand.programs", "1", "array programs, all planes of a die at once",
                 programs_);
  statistics.add(name + ".nand.erases", "1", "array erases, all planes of a die at once", erases_);
}

void Nand::submit(DieJob& job) {
  Die& die = dies_[job.die];
  const base::Time now = scheduler_.now();
  job.submitted = now;
  job.next = nullptr;
  job.pages_in = 0;
  job.found = die.current != nullptr ? die.cause : DieCause::kRead;
  for (std::size_t i = 0; i < kDieCauses; ++i) job.waited[i] = die.spent_at(i, now);
  ++jobs_open_;
  if (die.current == nullptr) {
    begin(job.die, job);
    return;
  }
  const auto queue = static_cast<std::size_t>(job.job_class);
  (die.heads[queue] == nullptr ? die.heads[queue] : die.tails[queue]->next) = &job;
  die.tails[queue] = &job;
  ++die.waiting;
}

// A read that must wait for the registers is committed to its later beginning at once; a program
// needs the channel then, so it gets an entry there.
void Nand::begin(std::uint32_t number, DieJob& job) {
  Die& die = dies_[number];
  const base::Time now = scheduler_.now();
  base::Time start = std::max(now, job.ready_at);
  die.current = &job;
  die.cause = cause_of(job.job_class);
  switch (job.job_class) {
    case JobClass::kHostRead:
    case JobClass::kGcRead:
      start = std::max(start, cache_read_ ? die.out_older : die.out_newest);
      ++reads_;
      scheduler_.at<&Nand::array_done>(start + command_ + read_[job.row % read_.size()], this,
                                       number);
      break;
    case JobClass::kHostProgram:
    case JobClass::kGcProgram:
      start = std::max(start, die.out_newest);
      ++programs_;
      if (start > now) scheduler_.at<&Nand::page_in>(start, this, number);
      break;
    case JobClass::kErase:
      ++erases_;
      scheduler_.at<&Nand::array_done>(start + command_ + erase_ + status_, this, number);
      break;
  }
  die.begun = job.begun = start;
  account_wait(die, job);
  const bool program =
      job.job_class == JobClass::kHostProgram || job.job_class == JobClass::kGcProgram;
  if (program && start == now) page_in(number);
}

// Turns the readings of the die's clocks at submission into the wait by cause. What no job of the
// die accounts for was spent with a read's data in the registers. The look-up (up to ready_at) ran
// at the same time as the beginning of the wait and is taken off there.
void Nand::account_wait(const Die& die, DieJob& job) const {
  base::Time look_up = std::min(std::max(job.ready_at, job.submitted), job.begun) - job.submitted;
  base::Time unexplained = job.begun - job.submitted;
  if (unexplained == look_up) {
    job.waited.fill(base::kTimeZero);
    return;
  }
  for (std::size_t i = 0; i < kDieCauses; ++i) {
    job.waited[i] = die.spent[i] - job.waited[i];
    unexplained -= job.waited[i];
  }
  job.waited[static_cast<std::size_t>(DieCause::kRead)] += unexplained;
  const auto take = [&](std::size_t cause) {
    const base::Time part = std::min(look_up, job.waited[cause]);
    job.waited[cause] -= part;
    look_up -= part;
  };
  take(static_cast<std::size_t>(job.found));
  for (std::size_t i = 0; i < kDieCauses; ++i) take(i);
}

void Nand::page_in(std::uint64_t number) {
  const auto die_number = static_cast<std::uint32_t>(number);
  DieJob& job = *dies_[die_number].current;
  const base::Time duration = command_ + pace_(geometry_.page_bytes);
  const base::Time end = channel_of(die_number).line.reserve(scheduler_.now(), duration) + duration;
  if (++job.pages_in < job.pages) {
    scheduler_.at<&Nand::page_in>(end, this, number);
  } else {
    scheduler_.at<&Nand::array_done>(end + program_ + status_, this, number);
  }
}

Nand::Transfer Nand::transfer_out(std::uint32_t die, std::uint32_t bytes, bool first) {
  const base::Time duration = pace_(bytes) + (first ? status_ : base::kTimeZero);
  const base::Time start = channel_of(die).line.reserve(scheduler_.now(), duration);
  const base::Time end = start + duration;
  dies_[die].out_newest = end;
  return {start, end, end + ecc_};
}

void Nand::array_done(std::uint64_t number) {
  const auto die_number = static_cast<std::uint32_t>(number);
  Die& die = dies_[die_number];
  DieJob& job = *die.current;
  die.spent[static_cast<std::size_t>(die.cause)] += scheduler_.now() - die.begun;
  die.begun = scheduler_.now();
  if (job.job_class == JobClass::kHostRead || job.job_class == JobClass::kGcRead) {
    die.out_older = die.out_newest;
  }
  --jobs_open_;
  job.owner->array_done(job);  // may submit to this die: current still bars it
  die.current = nullptr;
  if (die.waiting > 0) serve_next(die_number);
}

void Nand::serve_next(std::uint32_t number) {
  Die& die = dies_[number];
  const std::span<const DieJob* const, kJobClasses> heads(die.heads);
  const std::size_t queue = policy_->pick(heads, scheduler_.now());
  NVMESIM_ASSERT(queue < kJobClasses && die.heads[queue] != nullptr,
                 "a die policy picked an empty queue");
  DieJob& job = *die.heads[queue];
  die.heads[queue] = job.next;
  --die.waiting;
  begin(number, job);
}

}  // namespace nvmesim::models
