#include "host/nvme/ctrl_state.hpp"

#include <array>

namespace nvmesim::host {

std::string_view name(CtrlState state) {
  static constexpr std::array<std::string_view, kCtrlStateCount> kNames{
      "new", "live", "resetting", "connecting", "deleting", "deleting (no IO)", "dead"};
  return kNames[static_cast<std::size_t>(state)];
}

bool may_change(CtrlState from, CtrlState to, const GenerationFacts& facts) {
  const auto from_any_of = [from](auto... states) { return ((from == states) || ...); };
  switch (to) {
    case CtrlState::kNew:
      return false;
    case CtrlState::kLive:
      if (facts.live_only_from_connecting) return from == CtrlState::kConnecting;
      return from_any_of(CtrlState::kNew, CtrlState::kResetting, CtrlState::kConnecting);
    case CtrlState::kResetting:
      return from_any_of(CtrlState::kNew, CtrlState::kLive);
    case CtrlState::kConnecting:
      return from_any_of(CtrlState::kNew, CtrlState::kResetting);
    case CtrlState::kDeleting:
      return from_any_of(CtrlState::kLive, CtrlState::kResetting, CtrlState::kConnecting);
    case CtrlState::kDeletingNoIo:
      return from_any_of(CtrlState::kDeleting, CtrlState::kDead);
    case CtrlState::kDead:
      return from == CtrlState::kDeleting;
  }
  return false;
}

}  // namespace nvmesim::host
