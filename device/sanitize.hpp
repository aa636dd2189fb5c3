// The sanitize operation of the subsystem (sections 5.24 and 8.15): one at a time, it goes on over
// every reset, and no controller does I/O meanwhile. Its time is configured; the media forgets its
// data at the end.
#pragma once

#include <cstdint>

#include "device/spec/logs.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

class Subsystem;
struct Core;

class Sanitize {
 public:
  explicit Sanitize(Subsystem& subsystem) : subsystem_(subsystem) {}

  bool running() const { return running_; }
  // The last one failed: only Exit Failure Mode or another sanitize helps.
  bool failed() const { return failed_; }
  void start(Core& by, std::uint32_t cdw10);
  void exit_failure();
  spec::SanitizeLog log() const;

  // For the persistent state.
  std::uint16_t last_status() const { return status_; }
  std::uint32_t last_cdw10() const { return cdw10_; }
  void restore(std::uint16_t status, std::uint32_t cdw10);

 private:
  base::Time duration_of(std::uint32_t cdw10) const;
  void time_over();
  void erased();
  std::uint64_t writes() const;

  Subsystem& subsystem_;
  bool running_ = false;
  bool failed_ = false;
  std::uint16_t status_ = 0;  // SSTAT of the last one
  std::uint32_t cdw10_ = 0;
  std::uint32_t starter_ = 0;        // index of the controller that reports the end
  std::uint64_t writes_at_end_ = 0;  // Write commands of all controllers until then
  base::Time began_{0};
  base::Time duration_{0};
};

}  // namespace nvmesim::device
