// Nand: reads that occupy only their own planes (independent_plane_reads).
#include <algorithm>
#include <bit>
#include <utility>

#include "models/nand/nand.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {
namespace {

constexpr std::uint32_t kMostPlanes = 16;

constexpr std::uint64_t packed(std::uint32_t die, std::uint32_t plane) {
  return std::uint64_t{die} * kMostPlanes + plane;
}

}  // namespace

std::uint32_t Nand::planes_of(const DieJob& job) const {
  return job.planes != 0 ? job.planes : (1u << geometry_.planes) - 1;
}

// What the die, and the plane that the job reads first, have done so far that counts as `cause`.
base::Time Nand::spent_before(const Die& die, const DieJob& job, std::size_t cause,
                              base::Time when) const {
  base::Time total = die.spent_at(cause, when);
  if (!is_read(job)) return total;
  const Plane& plane = die.planes[static_cast<std::size_t>(std::countr_zero(planes_of(job)))];
  total += plane.spent[cause];
  const bool running =
      plane.job != nullptr && static_cast<std::size_t>(cause_of(plane.job->job_class)) == cause;
  if (running && when > plane.begun) total += when - plane.begun;
  return total;
}

void Nand::begin_on_planes(std::uint32_t number, DieJob& job) {
  Die& die = dies_[number];
  const base::Time now = scheduler_.now();
  const std::uint32_t mask = planes_of(job);
  base::Time start = std::max(now, job.ready_at);
  for (std::uint32_t i = 0; i < geometry_.planes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const Plane& plane = die.planes[i];
    start = std::max(start, config_.cache_read ? plane.out_older : plane.out_newest);
  }
  ++reads_;
  if (die.reading != 0) ++reads_beside_;
  die.reading_since = die.reading == 0 ? start : std::min(die.reading_since, start);
  die.reading |= mask;
  job.begun = start;
  account_wait(die, job);
  for (std::uint32_t i = 0; i < geometry_.planes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    die.planes[i].job = &job;
    die.planes[i].begun = start;
  }
  const auto first = static_cast<std::uint32_t>(std::countr_zero(mask));
  if (!config_.command_on_bus) {
    commanded_on_planes(number, first, start + command_);
  } else if (start == now) {
    command_in_on_planes(packed(number, first));
  } else {
    die.planes[first].event =
        scheduler_.at<&Nand::command_in_on_planes>(start, this, packed(number, first));
  }
}

void Nand::command_in_on_planes(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument / kMostPlanes);
  const base::Time end = channel_of(number).line.reserve(scheduler_.now(), command_) + command_;
  commanded_on_planes(number, static_cast<std::uint32_t>(argument % kMostPlanes), end);
}

void Nand::commanded_on_planes(std::uint32_t number, std::uint32_t first, base::Time when) {
  Plane& plane = dies_[number].planes[first];
  plane.job->commanded = when;
  plane.event =
      scheduler_.at<&Nand::planes_done>(when + read_time(*plane.job), this, packed(number, first));
}

void Nand::planes_done(std::uint64_t argument) {
  const auto number = static_cast<std::uint32_t>(argument / kMostPlanes);
  Die& die = dies_[number];
  DieJob& job = *die.planes[argument % kMostPlanes].job;
  const std::uint32_t mask = planes_of(job);
  const auto cause = static_cast<std::size_t>(cause_of(job.job_class));
  const base::Time now = scheduler_.now();
  for (Plane& plane : die.planes) {
    if (plane.job != &job) continue;
    plane.spent[cause] += now - plane.begun;
    plane.begun = now;
    plane.out_older = plane.out_newest;
  }
  --jobs_open_;
  die.sending = &job;
  job.owner->array_done(job);  // may submit to this die: its planes are still taken
  die.sending = nullptr;
  for (Plane& plane : die.planes) {
    if (plane.job == &job) plane.job = nullptr;
  }
  die.reading &= ~mask;
  if (die.reading == 0) die.read_by_planes += now - die.reading_since;
  serve_planes(number);
}

// The first read of the queue whose planes are neither taken nor claimed by one before it.
bool Nand::begin_free_read(std::uint32_t number, std::size_t queue, std::uint32_t& claimed) {
  Die& die = dies_[number];
  DieJob* before = nullptr;
  for (DieJob* job = die.heads[queue]; job != nullptr; before = job, job = job->next) {
    const std::uint32_t mask = planes_of(*job);
    if ((mask & claimed) == 0) {
      (before == nullptr ? die.heads[queue] : before->next) = job->next;
      if (die.tails[queue] == job) die.tails[queue] = before;
      --die.waiting;
      begin_on_planes(number, *job);
      return true;
    }
    claimed |= mask;
    if (std::popcount(claimed) == static_cast<int>(geometry_.planes)) return false;
  }
  return false;
}

// Begins what may begin on a die that works on nothing but reads of planes, if on anything.
void Nand::serve_planes(std::uint32_t number) {
  constexpr auto kHost = static_cast<std::size_t>(JobClass::kHostRead);
  constexpr auto kGc = static_cast<std::size_t>(JobClass::kGcRead);
  Die& die = dies_[number];
  if (die.current != nullptr || die.sending != nullptr) return;
  if (die.follow_up != nullptr) {
    if (die.reading == 0) begin(number, *std::exchange(die.follow_up, nullptr));
    return;
  }
  while (die.waiting > 0 || die.suspended != nullptr) {
    std::uint32_t claimed = die.reading;
    if (die.suspended != nullptr) {
      const bool aged = scheduler_.now() - die.suspended->submitted >= age_limit_;
      if (!aged && begin_free_read(number, kHost, claimed)) continue;
      if (die.reading == 0) resume(number);
      return;
    }
    const std::size_t queue = policy_->pick(die.heads, scheduler_.now());
    if (!is_read(*die.heads[queue])) {
      if (die.reading == 0) serve_next(number);
      return;
    }
    const bool begun = begin_free_read(number, queue, claimed) ||
                       begin_free_read(number, queue == kHost ? kGc : kHost, claimed);
    if (!begun) return;
  }
}

void Nand::drop_plane_reads(Die& die) {
  const base::Time now = scheduler_.now();
  for (Plane& plane : die.planes) {
    scheduler_.cancel(plane.event);
    DieJob* job = std::exchange(plane.job, nullptr);
    plane.out_newest = plane.out_older = now;
    if (job == nullptr) continue;
    for (Plane& other : die.planes) {
      if (other.job == job) other.job = nullptr;
    }
    drop(job);
  }
  if (die.reading != 0 && now > die.reading_since) die.read_by_planes += now - die.reading_since;
  die.reading = 0;
}

}  // namespace nvmesim::models
