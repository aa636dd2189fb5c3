// The temperature of the drive: one heat capacity behind one thermal resistance, looked at every
// `thermal.sample_ms` while it changes or I/O runs. It feeds the warnings of the SMART log, and
// host controlled thermal management (section 8.4.5), which throttles I/O at TMT1 and TMT2.
#pragma once

#include <cstdint>

#include "device/power.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

class Thermal {
 public:
  explicit Thermal(Core& core);

  // Feature 10h; 0 = not used.
  void set_limits(std::uint16_t tmt1, std::uint16_t tmt2);
  // An I/O command begins and none was open, or the power state changed.
  void power_changed();
  void reset() { set_limits(0, 0); }

  bool modelled() const { return model_; }
  // Rounded to the nearest.
  std::uint16_t kelvin() const {
    return static_cast<std::uint16_t>((micro_kelvin_ + 500'000) / 1'000'000);
  }
  Throttle throttle() const { return throttle_; }

  // Of the SMART log.
  std::uint32_t transitions(Throttle level) const { return transitions_[index(level)]; }
  std::uint32_t seconds(Throttle level) const;
  std::uint32_t warning_minutes() const;
  std::uint32_t critical_minutes() const;

 private:
  static std::size_t index(Throttle level) { return level == Throttle::kLight ? 0 : 1; }
  void sample();
  void account(base::Time passed);
  void judge();

  Core& core_;
  const bool model_;
  std::int64_t micro_kelvin_;
  std::uint16_t tmt1_ = 0;
  std::uint16_t tmt2_ = 0;
  Throttle throttle_ = Throttle::kNone;
  bool sampling_ = false;
  bool excursion_ = false;  // at or above WCTEMP
  base::Time last_sample_{0};
  base::Time last_busy_{0};
  base::Time throttled_[2]{};
  base::Time warning_{0};
  base::Time critical_{0};
  std::uint32_t transitions_[2]{};
};

}  // namespace nvmesim::device
