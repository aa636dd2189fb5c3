// What the PCI core tells a driver about errors of its function, and what the driver answers.
#pragma once

#include <cstdint>

namespace nvmesim::host {

enum class PciChannelState : std::uint8_t { kNormal, kFrozen, kPermanentFailure };
enum class PciErrorResult : std::uint8_t { kCanRecover, kNeedReset, kDisconnect, kRecovered };

// A driver's. Called in a thread, and may wait.
class PciErrorHandlers {
 public:
  virtual PciErrorResult error_detected(PciChannelState state) = 0;
  // The link or slot was reset: the function is as after power-on.
  virtual PciErrorResult slot_reset() = 0;
  virtual void error_resume() = 0;

 protected:
  ~PciErrorHandlers() = default;
};

}  // namespace nvmesim::host
