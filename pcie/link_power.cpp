#include "pcie/link_power.hpp"

#include <algorithm>

namespace nvmesim::pcie {
namespace {

constexpr base::Time ns(std::uint32_t count) {
  return std::chrono::nanoseconds(count);
}

}  // namespace

PortPower PortPower::up_to(AspmLimit limit) {
  PortPower power;
  power.l0s = limit >= AspmLimit::l0s;
  power.l1 = limit >= AspmLimit::l1;
  power.l1_1 = power.pm_l1_1 = limit >= AspmLimit::l1_1;
  power.l1_2 = power.pm_l1_2 = limit >= AspmLimit::l1_2;
  return power;
}

AspmControl AspmControl::of(const PortPower& upper, const PortPower& lower) {
  AspmControl control;
  control.l0s = {upper.l0s, lower.l0s};
  control.l1 = upper.l1 && lower.l1;
  control.l1_1 = upper.l1_1 && lower.l1_1;
  control.l1_2 = upper.l1_2 && lower.l1_2;
  control.pm_l1_1 = upper.pm_l1_1 && lower.pm_l1_1;
  control.pm_l1_2 = upper.pm_l1_2 && lower.pm_l1_2;
  control.l1_2_exit = std::max(upper.l1_2_exit, lower.l1_2_exit);
  return control;
}

// kTimeMax: it may not.
base::Time LinkPowerModel::l1_since(const IdleSince& idle) const {
  const base::Time both = std::max({idle[0], idle[1], awake_[0], awake_[1]});
  if (device_sleeps_) return both;
  return control_.l1 ? both + ns(config_.l1_entry_ns) : base::kTimeMax;
}

LinkPowerState LinkPowerModel::state(Direction direction, base::Time now,
                                     const IdleSince& idle) const {
  const auto d = static_cast<std::size_t>(direction);
  const base::Time l1 = l1_since(idle);
  if (l1 != base::kTimeMax && now >= l1) {
    const bool deeper = now - l1 >= ns(config_.l1_substate_entry_ns);
    if (deeper && (device_sleeps_ ? control_.pm_l1_2 : control_.l1_2)) return LinkPowerState::kL1_2;
    if (deeper && (device_sleeps_ ? control_.pm_l1_1 : control_.l1_1)) return LinkPowerState::kL1_1;
    return LinkPowerState::kL1;
  }
  const base::Time since = std::max(idle[d], awake_[d]);
  const bool asleep = control_.l0s[d] && now >= since && now - since >= ns(config_.l0s_entry_ns);
  return asleep ? LinkPowerState::kL0s : LinkPowerState::kL0;
}

base::Time LinkPowerModel::exit_latency(LinkPowerState state) const {
  switch (state) {
    case LinkPowerState::kL0:
      return base::kTimeZero;
    case LinkPowerState::kL0s:
      return ns(config_.l0s_exit_ns);
    case LinkPowerState::kL1:
      return ns(config_.l1_exit_ns);
    case LinkPowerState::kL1_1:
      return ns(config_.l1_1_exit_ns);
    case LinkPowerState::kL1_2:
      return std::max(ns(config_.l1_2_exit_ns), control_.l1_2_exit);
  }
  return base::kTimeZero;
}

base::Time LinkPowerModel::wake(Direction direction, base::Time now, const IdleSince& idle) {
  const auto d = static_cast<std::size_t>(direction);
  if (now < awake_[d]) return awake_[d];  // it is waking already
  const LinkPowerState asleep = state(direction, now, idle);
  if (asleep == LinkPowerState::kL0) return now;
  const base::Time awake = now + exit_latency(asleep);
  if (asleep == LinkPowerState::kL0s) {
    count(asleep, now - std::max(idle[d], awake_[d]) - ns(config_.l0s_entry_ns));
    awake_[d] = awake;
  } else {
    count(asleep, now - l1_since(idle));
    awake_ = {awake, awake};
  }
  return awake;
}

void LinkPowerModel::count(LinkPowerState state, base::Time slept) {
  Counters& counters = counters_[static_cast<std::size_t>(state)];
  ++counters.entries;
  counters.residency_ps += static_cast<std::uint64_t>(slept.count());
}

}  // namespace nvmesim::pcie
