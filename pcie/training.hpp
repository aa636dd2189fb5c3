// The training and status state machine of a link (base specification 4.2.5), at the level of its
// states and how long each takes: from Detect to L0, Recovery for a change of speed or width, link
// down by Disabled, Hot Reset or by surprise. What an L0 link does when it is idle is
// pcie/link_power.hpp's.
#pragma once

#include <cstdint>

#include "pcie/link_config.hpp"
#include "pcie/link_events.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::pcie {

// What the link does when the machine moves.
class TrainingActions {
 public:
  virtual void train_state_changed(LinkState state) = 0;
  virtual void trained_down(LinkDownCause cause) = 0;  // traffic in flight is lost
  virtual void trained_up() = 0;                       // from a link that was down
  virtual void trained_again() = 0;                    // end of a recovery of a link that was up

 protected:
  ~TrainingActions() = default;
};

class Training {
 public:
  Training(TrainingActions& actions, base::Scheduler& scheduler, const LinkTraining& config,
           unsigned generation, unsigned lanes);

  LinkState state() const { return state_; }
  // Traffic may be sent, now or after a recovery.
  bool up() const { return up_; }
  unsigned generation() const { return generation_; }
  unsigned lanes() const { return lanes_; }

  // Speed and width from the next recovery on, cut off at what is built.
  void set_target(unsigned generation, unsigned lanes);
  bool can_recover() const { return state_ == LinkState::kL0; }
  // From L0 only; the wires must be silent.
  void recover();
  void disable();
  void enable();
  void hot_reset();
  void surprise_down();

 private:
  void enter(LinkState state, std::uint32_t microseconds);
  void step(std::uint64_t);
  void go_down(LinkDownCause cause);
  void begin_recovery();
  void reach_l0();

  TrainingActions& actions_;
  base::Scheduler& scheduler_;
  const LinkTraining config_;
  const unsigned built_generation_;
  const unsigned built_lanes_;
  unsigned target_generation_;
  unsigned target_lanes_;
  unsigned generation_;
  unsigned lanes_;
  LinkState state_ = LinkState::kL0;
  bool up_ = true;
  base::Scheduler::Handle step_;
};

}  // namespace nvmesim::pcie
