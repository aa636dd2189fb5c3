#include "models/nand/nand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/base/assert.hpp"

namespace nvmesim::models {
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
  total += read_by_planes;
  if (reading != 0 && when > reading_since) total += when - reading_since;
  return total;
}

Nand::Nand(const NandConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
           base::StatisticsRegistry& statistics, const std::string& name, ConstructionOrder order)
    : geometry_(geometry),
      scheduler_(scheduler),
      config_(config),
      erase_(base::nanoseconds(config.erase_ns)),
      slc_read_(base::nanoseconds(config.slc_read_ns)),
      slc_program_(base::nanoseconds(config.slc_program_ns)),
      command_(base::nanoseconds(config.command_ns)),
      status_(base::nanoseconds(config.status_ns)),
      ecc_(base::nanoseconds(config.ecc_ns)),
      age_limit_(base::nanoseconds(std::uint64_t{config.age_limit_us} * 1000)),
      pace_(base::Pace::bytes_per_second(std::uint64_t{config.channel_mb_per_s} * 1'000'000)),
      suspends_(config.program_suspend || config.erase_suspend),
      policy_(make_die_policy(config.die_policy, age_limit_)),
      channel_policy_(make_channel_policy(config.channel_policy, age_limit_)),
      channels_(geometry.channels),
      dies_(geometry.dies) {
  for (const std::uint32_t time : config.read_ns) read_.push_back(base::nanoseconds(time));
  for (const std::uint32_t time : config.program_ns) program_.push_back(base::nanoseconds(time));
  if (config.independent_plane_reads) {
    for (Die& die : dies_) die.planes.resize(geometry.planes);
  }
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
  add_statistics(statistics, name);
}

void Nand::add_statistics(base::StatisticsRegistry& statistics, const std::string& name) {
  statistics.add(name + ".nand.reads", "1", "array reads, all planes of a die at once", reads_);
  statistics.add(name + ".nand.programs", "1", "array programs, all planes of a die at once",
                 programs_);
  statistics.add(name + ".nand.erases", "1", "array erases, all planes of a die at once", erases_);
  statistics.add(name + ".nand.program_suspends", "1", "programs that were suspended for a read",
                 program_suspends_);
  statistics.add(name + ".nand.erase_suspends", "1", "erases that were suspended for a read",
                 erase_suspends_);
  statistics.add(name + ".nand.plane_reads_beside", "1",
                 "array reads that began while another plane of the die was reading",
                 reads_beside_);
  statistics.add(name + ".nand.cache_programs", "1",
                 "programs whose data went in while another one was programmed", cache_programs_);
  statistics.add(name + ".nand.copybacks", "1", "programs of data that never left its die",
                 copybacks_);
  statistics.add(name + ".nand.energy_uj", "uJ", "energy of array operations and of transfers",
                 [this] { return energy_uj(); });
}

std::uint64_t Nand::energy_uj() const {
  std::uint64_t bytes = 0;
  for (const auto& channel : channels_) bytes += channel->bytes;
  const std::uint64_t array =
      reads_ * config_.read_nj + programs_ * config_.program_nj + erases_ * config_.erase_nj;
  return array / 1000 + bytes * config_.transfer_pj_per_byte / 1'000'000;
}

Nand::Backlog Nand::backlog(std::uint32_t number) const {
  const Die& die = dies_[number];
  const auto one = [](bool there) { return there ? 1u : 0u; };
  Backlog backlog;
  backlog.jobs = die.waiting + one(die.busy()) + one(die.suspended != nullptr) +
                 one(die.loading != nullptr) + one(die.follow_up != nullptr);
  backlog.until = die.phase == Phase::kArray ? die.array_end : scheduler_.now();
  return backlog;
}

bool Nand::programs_wait(std::uint32_t number) const {
  const Die& die = dies_[number];
  return die.heads[static_cast<std::size_t>(JobClass::kHostProgram)] != nullptr ||
         die.heads[static_cast<std::size_t>(JobClass::kGcProgram)] != nullptr ||
         die.suspended != nullptr || die.loading != nullptr || die.follow_up != nullptr;
}

void Nand::submit(DieJob& job) {
  Die& die = dies_[job.die];
  const base::Time now = scheduler_.now();
  job.submitted = now;
  job.next = nullptr;
  job.pages_in = 0;
  job.passes = 0;
  job.suspends = 0;
  job.polled = false;
  job.found = die.current != nullptr ? die.cause : DieCause::kRead;
  if (die.planes.empty()) {
    for (std::size_t i = 0; i < kDieCauses; ++i) job.waited[i] = die.spent_at(i, now);
  } else {
    for (std::size_t i = 0; i < kDieCauses; ++i) job.waited[i] = spent_before(die, job, i, now);
  }
  ++jobs_open_;
  if (!die.busy()) {
    begin(job.die, job);
    return;
  }
  if (job.copyback) {
    die.follow_up = &job;
    return;
  }
  const auto queue = static_cast<std::size_t>(job.job_class);
  (die.heads[queue] == nullptr ? die.heads[queue] : die.tails[queue]->next) = &job;
  die.tails[queue] = &job;
  ++die.waiting;
  if (suspends_ && job.job_class == JobClass::kHostRead && die.phase == Phase::kArray) {
    consider_suspend(job.die);
  }
  if (config_.cache_program && is_program(job)) load_next(job.die);
  if (!die.planes.empty()) serve_planes(job.die);
}

// A read that must wait for the registers is committed to its later beginning at once; what needs
// the channel then gets an entry there.
void Nand::begin(std::uint32_t number, DieJob& job) {
  Die& die = dies_[number];
  if (!die.planes.empty() && is_read(job)) {
    begin_on_planes(number, job);
    return;
  }
  const base::Time now = scheduler_.now();
  base::Time start = std::max(now, job.ready_at);
  die.current = &job;
  die.cause = cause_of(job.job_class);
  const bool program = is_program(job);
  if (is_read(job)) {
    start = std::max(start, config_.cache_read ? die.out_older : die.out_newest);
    ++reads_;
    die.phase = Phase::kReading;
  } else {
    if (program) start = std::max(start, die.out_newest);
    ++(program ? programs_ : erases_);
    if (job.copyback) ++copybacks_;
    die.phase = Phase::kDataIn;
  }
  die.begun = job.begun = start;
  account_wait(die, job);
  if (program && !job.copyback) {
    die.in_since = start;
    if (start == now) {
      page_in(number);
    } else {
      die.event = scheduler_.at<&Nand::page_in>(start, this, number);
    }
  } else if (!config_.command_on_bus) {
    commanded(number, start + command_);
  } else if (start == now) {
    command_in(number);
  } else {
    die.event = scheduler_.at<&Nand::command_in>(start, this, number);
  }
}

void Nand::command_in(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument);
  commanded(number, channel_of(number).line.reserve(scheduler_.now(), command_) + command_);
}

void Nand::commanded(std::uint32_t number, base::Time when) {
  Die& die = dies_[number];
  DieJob& job = *die.current;
  job.commanded = when;
  if (is_read(job)) {
    die.event = scheduler_.at<&Nand::array_done>(when + read_time(job), this, number);
    return;
  }
  const base::Time time = is_program(job) ? program_time(job) : erase_;
  ++job.passes;
  start_array(number, when, time + polled_inside(), when - command_);
}

// The array of a program or an erase begins to work.
void Nand::start_array(std::uint32_t number, base::Time begin, base::Time duration,
                       base::Time undisturbed) {
  Die& die = dies_[number];
  die.phase = Phase::kArray;
  die.array_begin = begin;
  die.array_end = begin + duration;
  die.undisturbed = undisturbed;
  die.event = scheduler_.at<&Nand::array_done>(die.array_end, this, number);
  if (suspends_) consider_suspend(number);
  if (config_.cache_program) load_next(number);
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
    const base::Time spent =
        die.planes.empty() ? die.spent[i] : spent_before(die, job, i, base::kTimeZero);
    job.waited[i] = spent - job.waited[i];
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

base::Time Nand::read_time(const DieJob& job) const {
  if (job.slc) return slc_read_;
  return read_[read_.size() == 1 ? 0 : job.row % read_.size()];
}

Nand::Transfer Nand::transfer_out(std::uint32_t die, std::uint32_t bytes, bool first) {
  const base::Time duration = pace_(bytes) + (first ? status_ : base::kTimeZero);
  Channel& channel = channel_of(die);
  const base::Time start = channel.line.reserve(scheduler_.now(), duration);
  const base::Time end = start + duration;
  channel.bytes += bytes;
  dies_[die].out_newest = end;
  for (Plane& plane : dies_[die].planes) {
    if (plane.job != nullptr && plane.job == dies_[die].sending) plane.out_newest = end;
  }
  return {start, end, end + ecc_};
}

void Nand::array_done(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument);
  Die& die = dies_[number];
  DieJob& job = *die.current;
  const base::Time now = scheduler_.now();
  die.spent[static_cast<std::size_t>(die.cause)] += now - die.begun;
  die.begun = now;
  if (die.phase == Phase::kReading) {
    die.out_older = die.out_newest;
  } else {
    if (config_.command_on_bus && poll_status(number)) return;
    const bool again = is_program(job) && job.passes < config_.program_passes && !job.copyback;
    if (again) {  // the data goes in once more
      job.pages_in = 0;
      die.in_since = now;
      die.phase = Phase::kDataIn;
      page_in(number);
      return;
    }
  }
  finish_current(number);
}

void Nand::finish_current(std::uint32_t number) {
  Die& die = dies_[number];
  DieJob& job = *die.current;
  die.phase = Phase::kIdle;
  --jobs_open_;
  job.owner->array_done(job);  // may submit to this die: current still bars it
  die.current = nullptr;
  if (die.follow_up != nullptr) {
    begin(number, *std::exchange(die.follow_up, nullptr));
    return;
  }
  if (die.loading != nullptr) {
    take_loaded(number);
    return;
  }
  if (die.suspended != nullptr) {
    const bool aged = scheduler_.now() - die.suspended->submitted >= age_limit_;
    if (aged || die.heads[static_cast<std::size_t>(JobClass::kHostRead)] == nullptr) {
      resume(number);
      return;
    }
    die.waiting -= 1;
    DieJob*& head = die.heads[static_cast<std::size_t>(JobClass::kHostRead)];
    DieJob& next = *head;
    head = next.next;
    begin(number, next);
    return;
  }
  if (!die.planes.empty()) {
    serve_planes(number);
  } else if (die.waiting > 0) {
    serve_next(number);
  }
}

void Nand::serve_next(std::uint32_t number) {
  Die& die = dies_[number];
  const std::size_t queue = policy_->pick(die.heads, scheduler_.now());
  NVMESIM_ASSERT(queue < kJobClasses && die.heads[queue] != nullptr,
                 "a die policy picked an empty queue");
  DieJob& job = *die.heads[queue];
  die.heads[queue] = job.next;
  --die.waiting;
  begin(number, job);
}

void Nand::drop(DieJob* job) {
  if (job == nullptr) return;
  --jobs_open_;
  job->owner->job_dropped(*job);
}

void Nand::power_cut() {
  const base::Time now = scheduler_.now();
  for (Die& die : dies_) {
    scheduler_.cancel(die.event);
    scheduler_.cancel(die.retry);
    if (die.current != nullptr && now > die.begun) {
      die.spent[static_cast<std::size_t>(die.cause)] += now - die.begun;
    }
    scheduler_.cancel(die.load_event);
    drop_plane_reads(die);
    drop(die.current);
    drop(die.suspended);
    drop(die.loading);
    drop(die.follow_up);
    for (DieJob*& head : die.heads) {
      for (DieJob* job = head; job != nullptr;) {
        DieJob* next = job->next;
        drop(job);
        job = next;
      }
      head = nullptr;
    }
    die.current = die.suspended = die.loading = die.follow_up = nullptr;
    die.waiting = 0;
    die.phase = Phase::kIdle;
    die.out_newest = die.out_older = now;
  }
}

}  // namespace nvmesim::models
