#include "sim/workload/job_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/base/assert.hpp"
#include "sim/workload/job.hpp"

namespace nvmesim::workload {
namespace {

// The part of the drive that a clone works on; all that only shows with the drive is checked here.
JobRegion region_of(const JobOptions& options, std::uint32_t clone, const std::string& path,
                    const host::BlockDevice& device) {
  const auto fail = [&](const std::string& what) {
    throw base::UserError(
        fmt::format("{}:{}: job '{}': {}", path, options.line, options.name, what));
  };
  const std::uint64_t drive = device.capacity_sectors() * host::kSectorBytes;
  const std::uint64_t block = device.limits().logical_block_bytes;
  const bool used[] = {options.reads, options.writes, options.trims};
  const std::uint64_t largest = options.largest_block_bytes();
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    if (!used[i]) continue;
    if (options.block_bytes[i] % block != 0) {
      fail(fmt::format("bs {} is not a multiple of the drive's logical block of {} bytes",
                       options.block_bytes[i], block));
    }
  }
  const std::uint64_t increment = options.offset_increment / block * block;
  if (increment != 0 && clone > drive / increment) fail("offset_increment leaves the drive");
  const std::uint64_t offset =
      options.offset.bytes_of(drive) / block * block + std::uint64_t{clone} * increment;
  if (offset >= drive) {
    fail(fmt::format("offset {} lies beyond the drive of {} bytes", offset, drive));
  }
  std::uint64_t bytes = drive - offset;
  if (options.size_given) {
    const std::uint64_t size = options.size.bytes_of(drive);
    if (size > bytes && !options.size.percent) {
      fail(fmt::format("size {} at offset {} ends beyond the drive of {} bytes; use a smaller size",
                       size, offset, drive));
    }
    bytes = std::min(bytes, size);
  }
  if (bytes < largest) {
    fail(fmt::format("size {} is less than one block of {} bytes", bytes, largest));
  }
  if (options.random && bytes / largest > std::uint64_t{1} << 40) fail("more than 2^40 blocks");
  return {offset / host::kSectorBytes, bytes};
}

}  // namespace

JobRunner::JobRunner(base::Scheduler& scheduler, host::BlockDevice& device, const JobFile& file,
                     const RunnerConfig& config)
    : Runner(scheduler, device, config), file_(file) {
  NVMESIM_ASSERT(file_.jobs.size() <= std::numeric_limits<std::uint16_t>::max(), "too many jobs");
  for (std::size_t group = 0; group < file_.jobs.size(); ++group) {
    const JobOptions& options = file_.jobs[group];
    if (options.verify) enable_verification();
    for (std::uint32_t clone = 0; clone < options.numjobs; ++clone) {
      const auto cpu = static_cast<std::uint16_t>(jobs_.size() % device.cpus());
      jobs_.push_back(std::make_unique<Job>(options, region_of(options, clone, file_.path, device),
                                            static_cast<std::uint16_t>(group), clone, cpu,
                                            config.seed));
    }
  }
}

JobRunner::~JobRunner() = default;

void JobRunner::begin() {
  for (const auto& job : jobs_) job->start(start_time());
  for (std::size_t i = 0; i < jobs_.size(); ++i) pump(i);
}

// Fills the depth of a clone.
void JobRunner::pump(std::size_t index) {
  if (jobs_[index]->batch() > 1) return pump_batches(index);
  while (!stopping()) {
    auto request = jobs_[index]->next(scheduler().now());
    if (!request) return;
    request->tag = index;
    submit(*request);
  }
}

// Whether a request shares its system call with the next is known only with that one.
void JobRunner::pump_batches(std::size_t index) {
  std::optional<IoRequest> held;
  std::uint32_t in_call = 0;
  while (!stopping()) {
    auto request = jobs_[index]->next(scheduler().now());
    if (!request) break;
    request->tag = index;
    if (held) {
      held->plugged = ++in_call < jobs_[index]->batch();
      if (!held->plugged) in_call = 0;
      submit(*held);
    }
    held = request;
  }
  if (held) submit(*held);
}

void JobRunner::request_ended(const EndedIo& io) {
  jobs_[io.tag]->ended(io);
  pump(io.tag);
}

// Asked when nothing is in flight: then a job that is not done would have submitted.
bool JobRunner::exhausted() const {
  return true;
}

Progress JobRunner::run_progress() const {
  std::uint64_t done = 0;
  for (const auto& job : jobs_) done += job->permille(scheduler().now());
  return {done, 1000 * jobs_.size(), false};
}

void JobRunner::complete_result(WorkloadResult& result) const {
  for (std::size_t i = 0; i < file_.jobs.size(); ++i) {
    JobResult job{file_.jobs[i].name, {}};
    if (i < engine().groups()) job.operations = engine().group(i);
    result.jobs.push_back(std::move(job));
  }
}

}  // namespace nvmesim::workload
