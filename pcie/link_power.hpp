// Which power state an idle link is in, and how long it takes to wake: L0s for each direction by
// itself, L1 and its substates for both. Nothing is scheduled: how deep it slept is worked out from
// how long it was idle when traffic comes.
#pragma once

#include <array>
#include <cstdint>

#include "pcie/link_config.hpp"
#include "pcie/traffic.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

enum class LinkPowerState : std::uint8_t { kL0, kL0s, kL1, kL1_1, kL1_2 };
inline constexpr std::size_t kLinkPowerStates = 5;

// What software has allowed one port of a link (Link Control, L1 PM Substates Control 1 and 2). L0s
// is of its transmitter alone, what else there is needs both ports. pm_: while the function sleeps
// in D3hot.
struct PortPower {
  bool l0s = false;
  bool l1 = false;
  bool l1_1 = false;
  bool l1_2 = false;
  bool pm_l1_1 = false;
  bool pm_l1_2 = false;
  base::Time l1_2_exit{0};  // at least so long, whatever the link could
  static PortPower up_to(AspmLimit limit);
};

// What a link may do then.
struct AspmControl {
  std::array<bool, 2> l0s{};  // by direction
  bool l1 = false;
  bool l1_1 = false;
  bool l1_2 = false;
  bool pm_l1_1 = false;
  bool pm_l1_2 = false;
  base::Time l1_2_exit{0};
  static AspmControl of(const PortPower& upper, const PortPower& lower);
  static AspmControl up_to(AspmLimit limit) {
    return of(PortPower::up_to(limit), PortPower::up_to(limit));
  }
  bool any() const { return l0s[0] || l0s[1] || l1; }
};

class LinkPowerModel {
 public:
  using IdleSince = std::array<base::Time, 2>;  // by direction; in the future: busy until then

  explicit LinkPowerModel(const LinkPower& config)
      : config_(config), control_(AspmControl::up_to(config.aspm)) {}

  void control(const AspmControl& control) { control_ = control; }
  const AspmControl& control() const { return control_; }
  // The function behind is in D3hot: L1 as soon as both directions are idle.
  void device_sleeps(bool sleeps) { device_sleeps_ = sleeps; }
  bool possible() const { return control_.any() || device_sleeps_; }

  LinkPowerState state(Direction direction, base::Time now, const IdleSince& idle) const;
  // Traffic of `direction` comes; when can it start? Counts what was slept.
  base::Time wake(Direction direction, base::Time now, const IdleSince& idle);

  // Of the sleeps that traffic has ended.
  struct Counters {
    std::uint64_t entries = 0;
    std::uint64_t residency_ps = 0;
  };
  const Counters& counters(LinkPowerState state) const {
    return counters_[static_cast<std::size_t>(state)];
  }

 private:
  base::Time l1_since(const IdleSince& idle) const;
  base::Time exit_latency(LinkPowerState state) const;
  void count(LinkPowerState state, base::Time slept);

  const LinkPower config_;
  AspmControl control_;
  bool device_sleeps_ = false;
  std::array<base::Time, 2> awake_{};  // the last wake-up of a direction ends
  std::array<Counters, kLinkPowerStates> counters_{};
};

}  // namespace nvmesim::pcie
