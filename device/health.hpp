// What the SMART / Health log (section 5.14.1.2) counts, and the temperature warning. The counters
// are of the drive and survive every reset; time is simulated time since power on.
#pragma once

#include <cstdint>

#include "device/controller_config.hpp"
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
  void count_media_error() { ++media_errors_; }

  // Temperature thresholds of feature 04h, in kelvin.
  void set_thresholds(std::uint16_t over, std::uint16_t under);
  std::uint8_t critical_warning() const { return critical_warning_; }

  spec::SmartLog log(base::Time now, std::uint64_t error_count) const;

  std::uint64_t io_open() const { return io_open_; }
  const std::uint64_t& reads_counter() const { return reads_; }
  const std::uint64_t& writes_counter() const { return writes_; }
  const std::uint64_t& media_errors_counter() const { return media_errors_; }

 private:
  std::uint16_t temperature_;
  std::uint8_t critical_warning_ = 0;
  std::uint64_t io_open_ = 0;
  base::Time busy_since_{0};
  base::Time busy_{0};
  std::uint64_t read_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t media_errors_ = 0;
};

}  // namespace nvmesim::device
