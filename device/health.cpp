#include "device/health.hpp"

#include <algorithm>

namespace nvmesim::device {

namespace {

constexpr std::uint8_t kFullSpare = 100;      // percent
constexpr std::uint8_t kSpareThreshold = 10;  // percent
constexpr std::uint64_t kDataUnitBytes = 512 * 1000;

std::uint64_t data_units(std::uint64_t bytes) {
  return base::ceil_div(bytes, kDataUnitBytes);
}

std::uint64_t whole(base::Time time, base::Time unit) {
  return static_cast<std::uint64_t>(time / unit);
}

}  // namespace

Health::Health(const ControllerConfig& config)
    : temperature_(static_cast<std::uint16_t>(config.temperature_kelvin)) {
  set_thresholds(static_cast<std::uint16_t>(config.warning_temperature_kelvin), 0);
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

void Health::set_thresholds(std::uint16_t over, std::uint16_t under) {
  const bool warn = temperature_ >= over || temperature_ <= under;
  critical_warning_ = warn ? spec::kWarningTemperature : 0;
}

spec::SmartLog Health::log(base::Time now, std::uint64_t error_count) const {
  const base::Time busy = busy_ + (io_open_ != 0 ? now - busy_since_ : base::kTimeZero);
  spec::SmartLog log{};
  log.critical_warning = critical_warning_;
  log.composite_temperature = temperature_;
  log.available_spare = kFullSpare;
  log.available_spare_threshold = kSpareThreshold;
  log.data_units_read.low = data_units(read_bytes_);
  log.data_units_written.low = data_units(written_bytes_);
  log.host_read_commands.low = reads_;
  log.host_write_commands.low = writes_;
  log.controller_busy_time.low = whole(busy, std::chrono::minutes(1));
  log.power_cycles.low = 1;
  log.power_on_hours.low = whole(now, std::chrono::hours(1));
  log.media_errors.low = media_errors_;
  log.num_err_log_entries.low = error_count;
  return log;
}

}  // namespace nvmesim::device
