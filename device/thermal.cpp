#include "device/thermal.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

namespace {
constexpr std::int64_t kMicro = 1'000'000;

std::uint32_t whole(base::Time time, base::Time unit) {
  return static_cast<std::uint32_t>(time / unit);
}
}  // namespace

Thermal::Thermal(Core& core)
    : core_(core),
      model_(core.config.thermal.model),
      micro_kelvin_(std::int64_t{core.config.temperature_kelvin} * kMicro) {}

void Thermal::set_limits(std::uint16_t tmt1, std::uint16_t tmt2) {
  tmt1_ = tmt1;
  tmt2_ = tmt2;
  if (model_) judge();
}

void Thermal::power_changed() {
  if (!model_ || sampling_) return;
  sampling_ = true;
  last_sample_ = core_.scheduler.now();
  last_busy_ = core_.health.busy_time(last_sample_);
  core_.scheduler.after<&Thermal::sample>(std::chrono::milliseconds(core_.config.thermal.sample_ms),
                                          this);
}

// One step towards the temperature that the power of the last interval leads to. The step is small
// against the time constant, so that the straight line is good enough.
void Thermal::sample() {
  const ThermalConfig& config = core_.config.thermal;
  const base::Time now = core_.scheduler.now();
  const base::Time passed = now - last_sample_;
  const base::Time busy = core_.health.busy_time(now) - last_busy_;
  const std::int64_t idle = core_.power.idle_centiwatts();
  const std::int64_t active = core_.power.active_centiwatts();
  const std::int64_t busy_permille = busy * 1000 / passed;
  // centiwatts * mK/W = 10 uK
  const std::int64_t rise =
      (idle * 1000 + (active - idle) * busy_permille) / 100 * config.resistance_mk_per_w;
  const std::int64_t target = std::int64_t{config.ambient_kelvin} * kMicro + rise;
  account(passed);
  const std::int64_t distance = target - micro_kelvin_;
  const std::int64_t step_ms = config.sample_ms;
  const std::int64_t constant_ms = config.time_constant_ms;
  micro_kelvin_ += step_ms >= constant_ms ? distance : distance * step_ms / constant_ms;
  last_sample_ = now;
  last_busy_ += busy;
  judge();
  constexpr std::int64_t kSettled = kMicro / 100;
  const bool settled = distance < kSettled && distance > -kSettled;
  if (settled && busy == base::kTimeZero && core_.health.io_open() == 0) {
    sampling_ = false;
    return;
  }
  core_.scheduler.after<&Thermal::sample>(std::chrono::milliseconds(config.sample_ms), this);
}

void Thermal::account(base::Time passed) {
  if (throttle_ != Throttle::kNone) throttled_[index(throttle_)] += passed;
  if (kelvin() >= core_.config.critical_temperature_kelvin) {
    critical_ += passed;
  } else if (kelvin() >= core_.config.warning_temperature_kelvin) {
    warning_ += passed;
  }
}

void Thermal::judge() {
  const std::uint16_t now = kelvin();
  Throttle wanted = Throttle::kNone;
  if (tmt1_ != 0 && now >= tmt1_) wanted = Throttle::kLight;
  if (tmt2_ != 0 && now >= tmt2_) wanted = Throttle::kHeavy;
  if (now >= core_.config.critical_temperature_kelvin) wanted = Throttle::kHeavy;
  if (wanted != throttle_) {
    // A transition into heavy throttling counts for heavy only (figure 94).
    if (wanted > throttle_) ++transitions_[index(wanted)];
    throttle_ = wanted;
    core_.power.set_throttle(wanted);
  }
  const bool hot = now >= core_.config.warning_temperature_kelvin;
  if (hot != excursion_) {
    excursion_ = hot;
    core_.subsystem.events.add(core_, spec::kEventThermalExcursion,
                               static_cast<std::uint16_t>(now));
  }
  core_.health.set_temperature(now);
  core_.events.check_health();
}

std::uint32_t Thermal::seconds(Throttle level) const {
  return whole(throttled_[index(level)], 1s);
}
std::uint32_t Thermal::warning_minutes() const {
  return whole(warning_, std::chrono::minutes(1));
}
std::uint32_t Thermal::critical_minutes() const {
  return whole(critical_, std::chrono::minutes(1));
}

}  // namespace nvmesim::device
