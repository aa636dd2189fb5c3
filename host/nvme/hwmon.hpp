// Temperatures of a drive as the kernel's hardware monitoring shows them: the composite temperature
// is channel 0, sensors 1 to 8 of the SMART log follow. Values in thousandths of degrees Celsius.
// Each call asks the drive: in a thread.
#pragma once

#include <cstdint>

#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

class Hwmon {
 public:
  static constexpr unsigned kChannels = 9;

  explicit Hwmon(NvmeCtrl& ctrl) : ctrl_(ctrl) {}

  // Reads the SMART log; what follows is of that moment. 0, a status, or a negative errno.
  int update();
  bool present(unsigned channel) const { return channel == 0 || kelvin(channel) != 0; }
  std::int64_t input(unsigned channel) const;
  bool alarm() const;
  // The channel has thresholds; they may be written.
  bool has_thresholds(unsigned channel) const;
  bool writable() const { return !ctrl_.quirks().fixed_temp_thresholds; }
  // Feature 04h. 0 or a negative errno.
  int threshold(unsigned channel, bool under, std::int64_t& millidegrees);
  int set_threshold(unsigned channel, bool under, std::int64_t millidegrees);

  static std::int64_t millidegrees(std::uint16_t kelvin);

 private:
  std::uint16_t kelvin(unsigned channel) const;

  NvmeCtrl& ctrl_;
  device::spec::SmartLog log_{};
};

}  // namespace nvmesim::host
