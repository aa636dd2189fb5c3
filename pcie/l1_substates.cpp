#include "pcie/l1_substates.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr unsigned kPmL1_2 = 0, kPmL1_1 = 1, kAspmL1_2 = 2, kAspmL1_1 = 3;
constexpr std::uint32_t kSubstatesSupported = 1U << 4;

struct PowerOnTime {
  std::uint32_t scale;  // 2, 10 or 100 us
  std::uint32_t value;  // 5 bits
};
constexpr std::uint32_t kPowerOnUnits[] = {2, 10, 100, 0};

PowerOnTime power_on_time(std::uint32_t us) {
  for (std::uint32_t scale = 0; scale < 3; ++scale) {
    const std::uint32_t value = (us + kPowerOnUnits[scale] - 1) / kPowerOnUnits[scale];
    if (value < 32) return {scale, value};
  }
  return {2, 31};
}

// 7.8.3.2. The time of the common mode is counted in that of power on.
std::uint32_t capabilities_of(const LinkPower& power) {
  std::uint32_t value = kSubstatesSupported | 1U << kPmL1_1 | 1U << kAspmL1_1;
  if (power.supported < AspmLimit::l1_2) return value;
  const std::uint32_t beyond_l1 =
      power.l1_2_exit_ns - std::min(power.l1_exit_ns, power.l1_2_exit_ns);
  const PowerOnTime time = power_on_time((beyond_l1 + 999) / 1000);
  return value | 1U << kPmL1_2 | 1U << kAspmL1_2 | time.scale << 16 | time.value << 19;
}

}  // namespace

L1SubstatesCapability::L1SubstatesCapability(ConfigSpace& space, const LinkPower& power,
                                             base::Callback changed)
    : ExtendedCapability(space, kExtendedL1Substates, 1, 16), changed_(changed) {
  const std::uint32_t able = capabilities_of(power);
  define(4, {able, 0, 0});
  // Enables of what there is; common mode, threshold and its scale.
  define(8, {0, (able & 0xF) | 0xE3FF'FF00, 0});
  define(0xC, {0, 0xFB, 0});
}

void L1SubstatesCapability::wrote(const Access& access) {
  if (access.reg >= 8 && changed_) changed_();
}

std::uint64_t L1SubstatesCapability::threshold_ns() const {
  const std::uint32_t scale = value(8) >> 29 & 7;
  return scale > 5 ? 0 : std::uint64_t{value(8) >> 16 & 0x3FF} << 5 * scale;
}

base::Time L1SubstatesCapability::l1_2_exit() const {
  const std::uint32_t common_mode_us = value(8) >> 8 & 0xFF;
  const std::uint32_t power_on_us = kPowerOnUnits[value(0xC) & 3] * (value(0xC) >> 3 & 0x1F);
  return std::chrono::microseconds(common_mode_us + power_on_us);
}

void PortPowerControl::attach(Link& link, Direction direction) {
  NVMESIM_ASSERT(link_ == nullptr, "a port has two links");
  link_ = &link;
  direction_ = direction;
  if (link.config().power.supported >= AspmLimit::l1_1) {
    substates_.emplace(space_, link.config().power,
                       base::Callback::of<&PortPowerControl::update>(this));
  }
  update();
}

void PortPowerControl::update() {
  if (link_ == nullptr) return;
  PortPower power;
  power.l0s = express_.l0s_enabled();
  power.l1 = express_.l1_enabled();
  if (substates_) {
    power.l1_1 = substates_->enabled(kAspmL1_1);
    power.l1_2 = substates_->enabled(kAspmL1_2) &&
                 (!tolerance_ns_ || *tolerance_ns_ >= substates_->threshold_ns());
    power.pm_l1_1 = substates_->enabled(kPmL1_1);
    power.pm_l1_2 = substates_->enabled(kPmL1_2);
    power.l1_2_exit = substates_->l1_2_exit();
  }
  link_->set_port_power(direction_, power);
}

void PortPowerControl::set_tolerance_ns(std::optional<std::uint64_t> ns) {
  tolerance_ns_ = ns;
  update();
}

}  // namespace nvmesim::pcie
