// The keep alive timer (sections 5.16 and 7.12): without a Keep Alive command in time the
// controller is fatal. Exists with management.keep_alive_granularity_100ms above 0.
#pragma once

#include <cstdint>

#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

struct Core;

class KeepAlive {
 public:
  explicit KeepAlive(Core& core) : core_(core) {}

  // Feature 0Fh, in milliseconds, rounded up to the granularity; 0 stops the timer.
  std::uint32_t configure(std::uint32_t milliseconds);
  // A Keep Alive command.
  void restart();
  void reset() { configure(0); }

 private:
  void expired();

  Core& core_;
  std::uint32_t milliseconds_ = 0;
  bool runs_ = false;
  base::Scheduler::Handle timer_;
};

}  // namespace nvmesim::device
