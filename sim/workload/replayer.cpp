#include "sim/workload/replayer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/base/parse.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::uint32_t kMostDataSectors = 16 * 1024 * 1024 / host::kSectorBytes;
constexpr std::size_t kSpeedDigits = 9;

}  // namespace

Speed parse_speed(std::string_view text) {
  const auto point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == text.npos ? std::string_view{} : text.substr(point + 1);
  const auto digits = base::parse_unsigned(fmt::format("{}{}", whole, fraction));
  const bool shape = !whole.empty() && whole.size() <= kSpeedDigits &&
                     fraction.size() <= kSpeedDigits && (point == text.npos || !fraction.empty());
  if (!shape || !digits || *digits == 0) {
    throw base::UserError(
        fmt::format("speed '{}': give a decimal number above 0, like 2 or 0.5", text));
  }
  Speed speed{*digits, 1};
  for (std::size_t i = 0; i < fraction.size(); ++i) speed.denominator *= 10;
  return speed;
}

Replayer::Replayer(base::Scheduler& scheduler, host::BlockDevice& device, const Trace& trace,
                   const ReplayConfig& config)
    : Runner(scheduler, device, config.run),
      trace_(trace),
      config_(config),
      speed_(parse_speed(config.speed)),
      count_(trace.requests.size()),
      capacity_(device.capacity_sectors()),
      block_sectors_(device.limits().logical_block_bytes / host::kSectorBytes),
      depth_(config.closed_loop) {
  NVMESIM_ASSERT(capacity_ > 0 && block_sectors_ > 0, "the drive has no blocks");
  NVMESIM_ASSERT(config.max_open > 0, "a replay of no request at a time");
  if (depth_ == 0 && !trace.timed) {
    depth_ = 1;
    facts_.closed_loop_for_want_of_times = true;
  }
  if (depth_ == 0 && count_ > 0 && scaled(trace.requests[count_ - 1].at) > kLongest) {
    throw base::UserError(fmt::format(
        "speed {}: the replay would last longer than 90 days; give a higher speed", config.speed));
  }
}

base::Time Replayer::scaled(base::Time at) const {
  __extension__ using Wide = unsigned __int128;
  const Wide time =
      Wide{static_cast<std::uint64_t>(at.count())} * speed_.denominator / speed_.numerator;
  return time > Wide{static_cast<std::uint64_t>(base::kTimeMax.count())}
             ? base::kTimeMax
             : base::Time{static_cast<std::int64_t>(time)};
}

base::Time Replayer::next_due() const {
  return start_time() + scaled(trace_.requests[next_].at);
}

void Replayer::begin() {
  if (depth_ == 0) {
    arrive();
    return;
  }
  while (engine().open() < depth_ && next_ < count_) submit_next(scheduler().now());
}

// Open loop: submits what is due, and comes again for the next.
void Replayer::arrive() {
  armed_ = false;
  const base::Time now = scheduler().now();
  while (next_ < count_ && !stopping()) {
    const base::Time due = next_due();
    if (due > now) {
      armed_ = true;
      scheduler().at<&Replayer::arrive>(due, this);
      return;
    }
    if (engine().open() >= config_.max_open) break;  // request_ended() goes on
    if (due < now) ++backlog_.late_submissions;
    last_due_ = due;
    submit_next(due);
  }
  unplug();
}

// Nothing more comes for now.
void Replayer::unplug() {
  if (std::exchange(plugged_, false)) device().unplug(host::CpuId{plugged_cpu_});
}

// After `request` was submitted: whether what follows in the trace came from the same task.
bool Replayer::plug_goes_on(const TraceRequest& request, base::Time due) const {
  if (config_.plug_us == 0 || depth_ > 0 || next_ >= count_) return false;
  if (trace_.requests[next_].cpu != request.cpu) return false;
  return next_due() - due <= std::chrono::microseconds{config_.plug_us};
}

void Replayer::request_ended(const EndedIo& io) {
  if (depth_ > 0) {
    if (next_ < count_ && !stopping()) submit_next(scheduler().now());
    return;
  }
  const base::Time behind = io.submitted - io.due + io.processor_wait + io.tag_wait;
  all_issued_ = std::max(all_issued_, io.due + behind);
  if (io.counted) {
    ++backlog_.requests;
    backlog_.behind_sum += behind;
    backlog_.behind_max = std::max(backlog_.behind_max, behind);
    backlog_.processor_wait_sum += io.processor_wait;
    backlog_.processor_wait_max = std::max(backlog_.processor_wait_max, io.processor_wait);
    backlog_.tag_waits += io.tag_wait > base::kTimeZero ? 1 : 0;
    backlog_.tag_wait_sum += io.tag_wait;
    backlog_.tag_wait_max = std::max(backlog_.tag_wait_max, io.tag_wait);
  }
  if (!armed_) arrive();
}

// Makes a new trace request fit the drive: on the drive, and of whole logical blocks.
void Replayer::open_request(const TraceRequest& request) {
  std::uint64_t first = request.sector % capacity_;
  std::uint64_t sectors = std::min<std::uint64_t>(request.sectors, capacity_);
  if (request.sector + request.sectors > capacity_) ++facts_.wrapped;
  if (block_sectors_ > 1) {
    const std::uint64_t end = base::ceil_div(first + sectors, block_sectors_) * block_sectors_;
    const std::uint64_t begin = first / block_sectors_ * block_sectors_;
    if (begin != first || end - begin != sectors) ++facts_.aligned;
    first = begin;
    sectors = std::min(end - begin, capacity_);
  }
  sector_ = first;
  remaining_ = sectors;
}

// Submits the next request, or the next part of one that does not fit as a whole.
void Replayer::submit_next(base::Time due) {
  const TraceRequest& request = trace_.requests[next_];
  const bool data = request.op == host::BioOp::kRead || request.op == host::BioOp::kWrite;
  const bool fresh = remaining_ == 0;
  if (fresh) {
    ++facts_.trace_requests;
    if (request.op != host::BioOp::kFlush) open_request(request);
  }
  std::uint64_t part = std::min(remaining_, capacity_ - sector_);
  if (data) part = std::min<std::uint64_t>(part, kMostDataSectors);
  if (fresh && part < remaining_) ++facts_.split;

  IoRequest io;
  io.op = request.op;
  io.fua = request.fua;
  io.preflush = request.preflush;
  io.sync = request.sync;
  io.cpu = static_cast<std::uint16_t>(request.cpu % device().cpus());
  io.sector = part == 0 ? 0 : sector_;
  io.sectors = static_cast<std::uint32_t>(part);
  io.due = due;
  io.engine_cost = std::chrono::nanoseconds{config_.engine_cost_ns};
  remaining_ -= part;
  sector_ = (sector_ + part) % capacity_;
  if (remaining_ == 0) ++next_;
  io.plugged = plug_goes_on(request, due);
  plugged_ = io.plugged;
  plugged_cpu_ = io.cpu;
  submit(io);
  backlog_.open_max = std::max(backlog_.open_max, engine().open());
  backlog_.waiting_for_tag_max = std::max(backlog_.waiting_for_tag_max, device().waiting_for_tag());
}

bool Replayer::exhausted() const {
  return next_ >= count_;
}

Progress Replayer::run_progress() const {
  return {engine().completed(), std::max(count_, engine().submitted()), false};
}

void Replayer::complete_result(WorkloadResult& result) const {
  result.replay = facts_;
  if (depth_ > 0) return;
  result.backlog = backlog_;
  result.backlog->end_behind = std::max(base::kTimeZero, all_issued_ - last_due_);
}

}  // namespace nvmesim::workload
