// What the SMART / Health log (section 5.14.1.2) counts, and the critical warnings. The counters
// are of the drive and survive every reset; time is simulated time since power on, and what a
// persistent state brought.
#pragma once

#include <cstdint>

#include "device/controller_config.hpp"
#include "device/persistent_state.hpp"
#include "device/spec/logs.hpp"
#include "models/media.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

class Health {
 public:
  explicit Health(const ControllerConfig& config);

  void io_begins(base::Time now) {
    if (io_open_++ == 0) busy_since_ = now;
  }
  void io_ends(base::Time now) {
    if (--io_open_ == 0) busy_ += now - busy_since_;
  }
  // Every I/O command in flight is gone.
  void io_dropped(base::Time now);
  void count_transfer(models::MediaOp op, std::uint64_t bytes);
  // An I/O command that does not begin or end at a unit of the media.
  void count_unaligned() { ++unaligned_; }
  const std::uint64_t& unaligned_counter() const { return unaligned_; }
  void count_media_error() { ++media_errors_; }

  // Temperature thresholds of feature 04h, in kelvin.
  void set_threshold(bool over, std::uint16_t kelvin);
  void set_temperature(std::uint16_t kelvin);
  std::uint8_t critical_warning() const { return critical_warning_; }
  // The same for the endurance group (section 5.14.1.9).
  std::uint8_t endurance_warning() const;

  // What of the log is its own; temperature management and errors are others' (log_pages.cpp).
  spec::SmartLog log(base::Time now) const;
  base::Time busy_time(base::Time now) const {
    return busy_ + (io_open_ != 0 ? now - busy_since_ : base::kTimeZero);
  }
  std::uint64_t power_on_hours(base::Time now) const;
  std::uint64_t power_cycles() const { return power_cycles_; }
  std::uint64_t unsafe_shutdowns() const { return unsafe_shutdowns_; }

  PersistentCounters save(base::Time now) const;
  void restore(const PersistentCounters& counters, bool clean_shutdown);

  std::uint64_t io_open() const { return io_open_; }
  const std::uint64_t& reads_counter() const { return reads_; }
  const std::uint64_t& writes_counter() const { return writes_; }
  const std::uint64_t& media_errors_counter() const { return media_errors_; }

 private:
  void judge();

  const WearConfig wear_;
  std::uint16_t temperature_;
  std::uint16_t over_;
  std::uint16_t under_ = 0;
  std::uint8_t critical_warning_ = 0;
  std::uint64_t io_open_ = 0;
  base::Time busy_since_{0};
  base::Time busy_{0};
  std::uint64_t read_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t media_errors_ = 0;
  std::uint64_t unaligned_ = 0;
  std::uint64_t power_cycles_ = 1;
  std::uint64_t unsafe_shutdowns_ = 0;
  std::uint64_t earlier_power_on_ms_ = 0;
  std::uint64_t earlier_busy_ms_ = 0;
};

}  // namespace nvmesim::device
