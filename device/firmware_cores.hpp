// The processor cores of the controller's firmware (controller.firmware_cores): behind decode every
// command waits for a free core and occupies it for the cycles of its kind. First come, first
// served.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "device/controller_config.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

class FirmwareCores {
 public:
  explicit FirmwareCores(const ControllerConfig& config) : free_at_(config.firmware_cores) {}

  bool present() const { return !free_at_.empty(); }
  // When work of this length that arrives now is done. Calls come in the order of `now`.
  base::Time work(base::Time now, base::Time length) {
    const auto core = std::min_element(free_at_.begin(), free_at_.end());
    *core = std::max(*core, now) + length;
    busy_ += length;
    return *core;
  }
  // Mean over the cores.
  base::Time busy() const {
    return present() ? busy_ / static_cast<std::int64_t>(free_at_.size()) : busy_;
  }

 private:
  std::vector<base::Time> free_at_;
  base::Time busy_{0};
};

}  // namespace nvmesim::device
