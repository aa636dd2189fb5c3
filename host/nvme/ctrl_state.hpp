// States of a controller and the transitions that are allowed between them. The owner asks before
// it changes; a refused change leaves everything as it was.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/nvme/driver_config.hpp"

namespace nvmesim::host {

enum class CtrlState : std::uint8_t {
  kNew,
  kLive,
  kResetting,
  kConnecting,
  kDeleting,
  kDeletingNoIo,
  kDead,
};
inline constexpr std::size_t kCtrlStateCount = static_cast<std::size_t>(CtrlState::kDead) + 1;

// As in sysfs: "live", "deleting (no IO)".
std::string_view name(CtrlState state);

bool may_change(CtrlState from, CtrlState to, const GenerationFacts& facts);

// A state that no controller leaves for work.
constexpr bool is_terminal(CtrlState state) {
  return state == CtrlState::kDeleting || state == CtrlState::kDeletingNoIo ||
         state == CtrlState::kDead;
}

}  // namespace nvmesim::host
