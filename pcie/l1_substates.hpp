// The L1 PM Substates extended capability (base specification 7.8.3): what a port can of L1.1 and
// L1.2, and what software has enabled. PortPowerControl puts it together with Link Control and the
// last latency tolerance and tells the link.
#pragma once

#include <cstdint>
#include <optional>

#include "pcie/capabilities.hpp"
#include "pcie/link.hpp"

namespace nvmesim::pcie {

class L1SubstatesCapability final : public ExtendedCapability {
 public:
  // `changed` is called when software has written one of the control registers.
  L1SubstatesCapability(ConfigSpace& space, const LinkPower& power, base::Callback changed);

  bool enabled(unsigned bit) const { return (value(8) >> bit & 1) != 0; }
  // LTR_L1.2_THRESHOLD: a device that tolerates less than that does not go to L1.2.
  std::uint64_t threshold_ns() const;
  // Common mode and power on, as software has set them: what an exit from L1.2 takes at least.
  base::Time l1_2_exit() const;

 private:
  void wrote(const Access& access) override;
  base::Callback changed_;
};

// Of one port at one end of a link. It owns the capability, which exists only if the link has
// substates.
class PortPowerControl {
 public:
  PortPowerControl(ConfigSpace& space, const PciExpressCapability& express)
      : space_(space), express_(express) {}

  // Once: `direction` is that in which the port transmits.
  void attach(Link& link, Direction direction);
  // Registers have changed: by software, or by a reset.
  void update();
  // What the function below has told to tolerate (6.18); none: it has no requirement.
  void set_tolerance_ns(std::optional<std::uint64_t> ns);

 private:
  ConfigSpace& space_;
  const PciExpressCapability& express_;
  std::optional<L1SubstatesCapability> substates_;
  Link* link_ = nullptr;
  Direction direction_ = Direction::kDown;
  std::optional<std::uint64_t> tolerance_ns_;
};

}  // namespace nvmesim::pcie
