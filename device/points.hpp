// The controller's points: places where a fault rule or a trace may look and change something.
#pragma once

#include <cstdint>
#include <optional>

#include "device/spec/commands.hpp"
#include "device/spec/status.hpp"
#include "sim/base/point.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

// A register access as the controller met it; a write may be changed before it takes effect, a
// read before it is answered.
struct RegisterAccess {
  bool write = false;
  std::uint32_t offset = 0;
  unsigned bytes = 4;
  std::uint64_t value = 0;
  bool drop = false;  // a write has no effect
};

// What a rule decides about something that is about to happen. Untouched it happens as usual.
struct Fate {
  bool drop = false;    // it does not happen; a command that is dropped hangs in the controller
  base::Time delay{0};  // it happens so much later
  bool twice = false;   // completions only
  std::optional<spec::Status> status;  // commands only: not executed, ends with this
};

struct Points {
  // A submission entry of queue `sqid` arrived and will be decoded.
  base::Point<std::uint16_t, spec::SubmissionEntry&> command_fetched{"device.command_fetched"};
  // A completion entry is about to be posted in queue `cqid`; phase tag included.
  base::Point<std::uint16_t, spec::CompletionEntry&> completion_posted{"device.completion_posted"};
  base::Point<RegisterAccess&> register_access{"device.register_access"};
  // Whether and when the command of queue `sqid` is carried out.
  base::Point<std::uint16_t, const spec::SubmissionEntry&, Fate&> command_fate{
      "device.command_fate"};
  // Whether and when the completion of a command of queue `sqid` is posted.
  base::Point<std::uint16_t, const spec::SubmissionEntry&, Fate&> completion_fate{
      "device.completion_fate"};
  // An interrupt of a vector is about to be sent; the vector may be changed.
  base::Point<std::uint16_t&, Fate&> interrupt{"device.interrupt"};
};

}  // namespace nvmesim::device
