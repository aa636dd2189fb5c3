#include "device/health.hpp"

#include <algorithm>

namespace nvmesim::device {

namespace {

constexpr std::uint64_t kDataUnitBytes = 512 * 1000;

std::uint64_t data_units(std::uint64_t bytes) {
  return base::ceil_div(bytes, kDataUnitBytes);
}

std::uint64_t whole(base::Time time, base::Time unit) {
  return static_cast<std::uint64_t>(time / unit);
}

}  // namespace

Health::Health(const ControllerConfig& config)
    : wear_(config.wear),
      temperature_(static_cast<std::uint16_t>(config.temperature_kelvin)),
      over_(static_cast<std::uint16_t>(config.warning_temperature_kelvin)) {
  judge();
}

void Health::io_dropped(base::Time now) {
  if (io_open_ != 0) busy_ += now - busy_since_;
  io_open_ = 0;
}

void Health::count_transfer(models::MediaOp op, std::uint64_t bytes) {
  if (op == models::MediaOp::kRead) {
    ++reads_;
    read_bytes_ += bytes;
  } else {
    ++writes_;
    written_bytes_ += bytes;
  }
}

void Health::set_threshold(bool over, std::uint16_t kelvin) {
  (over ? over_ : under_) = kelvin;
  judge();
}

void Health::set_temperature(std::uint16_t kelvin) {
  temperature_ = kelvin;
  judge();
}

void Health::judge() {
  const bool hot_or_cold = temperature_ >= over_ || temperature_ <= under_;
  critical_warning_ = hot_or_cold ? spec::kWarningTemperature : 0;
  if (wear_.spare_percent < wear_.spare_threshold_percent) critical_warning_ |= spec::kWarningSpare;
  if (wear_.read_only) critical_warning_ |= spec::kWarningReadOnly;
}

std::uint8_t Health::endurance_warning() const {
  return critical_warning_ & (spec::kWarningSpare | spec::kWarningReadOnly);
}

std::uint64_t Health::power_on_hours(base::Time now) const {
  constexpr std::uint64_t kHourMs = 3'600'000;
  return (whole(now, std::chrono::milliseconds(1)) + earlier_power_on_ms_) / kHourMs;
}

spec::SmartLog Health::log(base::Time now) const {
  constexpr std::uint64_t kMinuteMs = 60'000;
  spec::SmartLog log{};
  log.critical_warning = critical_warning_;
  log.composite_temperature = temperature_;
  log.available_spare = static_cast<std::uint8_t>(wear_.spare_percent);
  log.available_spare_threshold = static_cast<std::uint8_t>(wear_.spare_threshold_percent);
  log.percentage_used = static_cast<std::uint8_t>(wear_.used_percent);
  log.endurance_group_critical_warning_summary = endurance_warning();
  log.data_units_read.low = data_units(read_bytes_);
  log.data_units_written.low = data_units(written_bytes_);
  log.host_read_commands.low = reads_;
  log.host_write_commands.low = writes_;
  log.controller_busy_time.low =
      (whole(busy_time(now), std::chrono::milliseconds(1)) + earlier_busy_ms_) / kMinuteMs;
  log.power_cycles.low = power_cycles_;
  log.power_on_hours.low = power_on_hours(now);
  log.unsafe_shutdowns.low = unsafe_shutdowns_;
  log.media_errors.low = media_errors_;
  return log;
}

PersistentCounters Health::save(base::Time now) const {
  constexpr auto kMillisecond = std::chrono::milliseconds(1);
  return {read_bytes_,
          written_bytes_,
          reads_,
          writes_,
          media_errors_,
          power_cycles_,
          unsafe_shutdowns_,
          whole(now, kMillisecond) + earlier_power_on_ms_,
          whole(busy_time(now), kMillisecond) + earlier_busy_ms_,
          0};
}

void Health::restore(const PersistentCounters& counters, bool clean_shutdown) {
  read_bytes_ = counters.read_bytes;
  written_bytes_ = counters.written_bytes;
  reads_ = counters.reads;
  writes_ = counters.writes;
  media_errors_ = counters.media_errors;
  power_cycles_ = counters.power_cycles + 1;
  unsafe_shutdowns_ = counters.unsafe_shutdowns + (clean_shutdown ? 0 : 1);
  earlier_power_on_ms_ = counters.power_on_ms;
  earlier_busy_ms_ = counters.busy_ms;
}

}  // namespace nvmesim::device
