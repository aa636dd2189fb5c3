#include "device/power.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

Power::Power(Core& core) : core_(core), core_states_(core.config.power.states.size()) {}

bool Power::operational(unsigned state) const {
  return state == 0 || !core_.config.power.states[state - 1].non_operational;
}

void Power::set_state(unsigned state) {
  if (operational(state)) operational_state_ = state;
  if (state != state_) enter(state);
  if (core_.health.io_open() == 0) start_idle_timer();
}

void Power::enter(unsigned state) {
  const base::Time now = core_.scheduler.now();
  base::Time latency{0};
  if (state_ != 0) {
    latency += std::chrono::microseconds(core_.config.power.states[state_ - 1].exit_latency_us);
  }
  if (state != 0) {
    latency += std::chrono::microseconds(core_.config.power.states[state - 1].entry_latency_us);
  }
  settled_at_ = std::max(settled_at_, now) + latency;
  state_ = state;
  ++changes_;
  update();
  core_.thermal.power_changed();
}

void Power::set_apst(bool enabled, const ApstTable& table) {
  apst_ = enabled;
  table_ = table;
  update();
  if (core_.health.io_open() == 0) start_idle_timer();
}

void Power::set_throttle(Throttle throttle) {
  throttle_ = throttle;
  update();
}

std::uint32_t Power::rate_limit() const {
  std::uint32_t limit = state_ == 0 ? 0 : core_.config.power.states[state_ - 1].max_mb_per_s;
  if (throttle_ != Throttle::kNone) {
    const ThermalConfig& thermal = core_.config.thermal;
    const std::uint32_t hot =
        throttle_ == Throttle::kLight ? thermal.light_mb_per_s : thermal.heavy_mb_per_s;
    limit = limit == 0 ? hot : std::min(limit, hot);
  }
  return limit;
}

void Power::update() {
  concerns_io_ = apst_ || state_ != 0 || rate_limit() != 0 || settled_at_ > core_.scheduler.now();
}

base::Time Power::admit(std::uint64_t bytes) {
  const base::Time now = core_.scheduler.now();
  if (!operational(state_)) enter(operational_state_);
  if (timer_runs_) core_.scheduler.cancel(timer_);
  timer_runs_ = false;
  base::Time start = std::max(now, settled_at_);
  const std::uint32_t limit = rate_limit();
  if (limit != 0) {
    start = std::max(start, rate_free_at_);
    rate_free_at_ = start + base::Pace::bytes_per_second(std::uint64_t{limit} * 1'000'000)(bytes);
  }
  update();
  return start;
}

void Power::idle() {
  start_idle_timer();
}

void Power::start_idle_timer() {
  if (timer_runs_) core_.scheduler.cancel(timer_);
  timer_runs_ = false;
  if (!apst_) return;
  const std::uint64_t idle_ms = (table_[state_] >> 8) & 0xFF'FFFF;
  if (idle_ms == 0) return;  // no transition out of this state
  const base::Time begin = std::max(core_.scheduler.now(), settled_at_);
  timer_runs_ = true;
  timer_ = core_.scheduler.at<&Power::idle_time_over>(
      begin + std::chrono::milliseconds(static_cast<std::int64_t>(idle_ms)), this);
}

void Power::idle_time_over() {
  timer_runs_ = false;
  const auto target = static_cast<unsigned>((table_[state_] >> 3) & 0x1F);
  if (target > core_states_ || operational(target)) return;
  ++autonomous_;
  enter(target);
  start_idle_timer();
}

void Power::reset() {
  if (timer_runs_) core_.scheduler.cancel(timer_);
  timer_runs_ = false;
  apst_ = false;
  table_ = {};
  state_ = operational_state_ = 0;
  settled_at_ = rate_free_at_ = base::kTimeZero;
  update();
}

std::uint32_t Power::idle_centiwatts() const {
  const std::uint32_t idle = core_.config.thermal.idle_centiwatts;
  return state_ == 0 ? idle
                     : std::min(idle, core_.config.power.states[state_ - 1].max_power_centiwatts);
}

std::uint32_t Power::active_centiwatts() const {
  const std::uint32_t active = core_.config.thermal.active_centiwatts;
  return state_ == 0 ? active
                     : std::min(active, core_.config.power.states[state_ - 1].max_power_centiwatts);
}

}  // namespace nvmesim::device
