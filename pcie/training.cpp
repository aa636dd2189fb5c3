#include "pcie/training.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
std::string_view name_of(LinkState state) {
  static constexpr std::string_view kNames[] = {"Detect", "Polling",  "Configuration", "Recovery",
                                                "L0",     "Disabled", "Hot Reset"};
  return kNames[static_cast<std::size_t>(state)];
}

Training::Training(TrainingActions& actions, base::Scheduler& scheduler, const LinkTraining& config,
                   unsigned generation, unsigned lanes)
    : actions_(actions),
      scheduler_(scheduler),
      config_(config),
      built_generation_(generation),
      built_lanes_(lanes),
      target_generation_(generation),
      target_lanes_(lanes),
      generation_(generation),
      lanes_(lanes) {
  if (config_.initial_us == 0) return;
  // In Detect until the rest takes it to L0 in time.
  const std::uint32_t detect = config_.initial_us - config_.least_us(generation);
  up_ = false;
  state_ = LinkState::kDetect;
  step_ = scheduler_.after<&Training::step>(std::chrono::microseconds(detect), this);
}

void Training::set_target(unsigned generation, unsigned lanes) {
  target_generation_ = std::clamp(generation, 1U, built_generation_);
  target_lanes_ = std::clamp(lanes, 1U, built_lanes_);
}

void Training::enter(LinkState state, std::uint32_t microseconds) {
  scheduler_.cancel(step_);
  state_ = state;
  step_ = scheduler_.after<&Training::step>(std::chrono::microseconds(microseconds), this);
  actions_.train_state_changed(state);
}

// The time of the state is over.
void Training::step(std::uint64_t) {
  switch (state_) {
    case LinkState::kHotReset:
      enter(LinkState::kDetect, config_.detect_us);
      break;
    case LinkState::kDetect:
      generation_ = 1;  // every link starts at 2.5 GT/s
      enter(LinkState::kPolling, config_.polling_us);
      break;
    case LinkState::kPolling:
      enter(LinkState::kConfiguration, config_.configuration_us);
      break;
    case LinkState::kConfiguration:
      lanes_ = target_lanes_;
      if (generation_ == target_generation_) {
        reach_l0();
      } else {
        begin_recovery();
      }
      break;
    case LinkState::kRecovery:
      generation_ = target_generation_;
      if (lanes_ != target_lanes_) {
        enter(LinkState::kConfiguration, config_.configuration_us);
      } else {
        reach_l0();
      }
      break;
    case LinkState::kL0:
    case LinkState::kDisabled:
      NVMESIM_ASSERT(false, "a link that rests was stepped");
  }
}

void Training::begin_recovery() {
  const bool faster = target_generation_ > generation_;
  enter(LinkState::kRecovery,
        config_.recovery_us + (faster ? config_.equalization_of(target_generation_) : 0));
}

void Training::reach_l0() {
  state_ = LinkState::kL0;
  actions_.train_state_changed(state_);
  if (up_) {
    actions_.trained_again();
  } else {
    up_ = true;
    actions_.trained_up();
  }
}

void Training::recover() {
  NVMESIM_ASSERT(can_recover(), "recovery of a link that is not in L0");
  begin_recovery();
}

void Training::go_down(LinkDownCause cause) {
  if (!up_) return;
  up_ = false;
  actions_.trained_down(cause);
}

void Training::disable() {
  if (state_ == LinkState::kDisabled) return;
  scheduler_.cancel(step_);
  state_ = LinkState::kDisabled;
  actions_.train_state_changed(state_);
  go_down(LinkDownCause::kDisabled);
}

void Training::enable() {
  if (state_ == LinkState::kDisabled) enter(LinkState::kDetect, config_.detect_us);
}

void Training::hot_reset() {
  if (!up_) return;
  enter(LinkState::kHotReset, config_.hot_reset_us);
  go_down(LinkDownCause::kHotReset);
}

void Training::surprise_down() {
  if (!up_) return;
  enter(LinkState::kDetect, config_.detect_us);
  go_down(LinkDownCause::kSurprise);
}

}  // namespace nvmesim::pcie
