// The controller's points: places where a fault rule or a trace may look and change something.
#pragma once

#include <cstdint>

#include "device/spec/commands.hpp"
#include "sim/base/point.hpp"

namespace nvmesim::device {

// A register access as the controller met it; a write may be changed before it takes effect, a
// read before it is answered.
struct RegisterAccess {
  bool write = false;
  std::uint32_t offset = 0;
  unsigned bytes = 4;
  std::uint64_t value = 0;
};

struct Points {
  // A submission entry of queue `sqid` arrived and will be decoded.
  base::Point<std::uint16_t, spec::SubmissionEntry&> command_fetched{"device.command_fetched"};
  // A completion entry is about to be posted in queue `cqid`; phase tag included.
  base::Point<std::uint16_t, spec::CompletionEntry&> completion_posted{"device.completion_posted"};
  base::Point<RegisterAccess&> register_access{"device.register_access"};
};

}  // namespace nvmesim::device
