#include "host/nvme/hwmon.hpp"

#include <algorithm>

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::int64_t kZeroCelsius = 273'150;  // thousandths of a kelvin
constexpr std::uint32_t kUnder = 1u << 20;      // THSEL of feature 04h
constexpr unsigned kSensorShift = 16;           // TMPSEL

std::uint32_t selection(unsigned channel, bool under) {
  return channel << kSensorShift | (under ? kUnder : 0);
}

int errno_of(int status) {
  return status > 0 ? -EIO : status;
}

}  // namespace

int Hwmon::update() {
  return ctrl_.get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kSmart), bytes_of(log_));
}

std::uint16_t Hwmon::kelvin(unsigned channel) const {
  return channel == 0 ? log_.composite_temperature : log_.temperature_sensor[channel - 1];
}

std::int64_t Hwmon::millidegrees(std::uint16_t kelvin) {
  return std::int64_t{kelvin} * 1000 - kZeroCelsius;
}

std::int64_t Hwmon::input(unsigned channel) const {
  return millidegrees(kelvin(channel));
}

bool Hwmon::alarm() const {
  return (log_.critical_warning & kWarningTemperature) != 0;
}

bool Hwmon::has_thresholds(unsigned channel) const {
  return channel == 0 ? ctrl_.identify_data().wctemp != 0 : kelvin(channel) != 0;
}

int Hwmon::threshold(unsigned channel, bool under, std::int64_t& millidegrees_out) {
  std::uint32_t value = 0;
  const int status =
      ctrl_.get_features(FeatureId::kTemperatureThreshold, selection(channel, under), &value);
  millidegrees_out = millidegrees(static_cast<std::uint16_t>(value));
  return errno_of(status);
}

// To the nearest kelvin, within what the feature can hold.
int Hwmon::set_threshold(unsigned channel, bool under, std::int64_t value) {
  const std::int64_t kelvin =
      (std::clamp<std::int64_t>(value, -kZeroCelsius, 1'000'000'000) + kZeroCelsius + 500) / 1000;
  const auto field = static_cast<std::uint32_t>(std::min<std::int64_t>(kelvin, 0xffff));
  return errno_of(
      ctrl_.set_features(FeatureId::kTemperatureThreshold, field | selection(channel, under), {}));
}

}  // namespace nvmesim::host
