// A link and what hangs at its lower end, as the port above sees it: a hot reset goes through the
// link's training and reaches the end as link down; power takes the link with it.
#pragma once

#include "pcie/below_port.hpp"
#include "pcie/link.hpp"

namespace nvmesim::pcie {

class BelowLink final : public BelowPort {
 public:
  BelowLink(Link& link, BelowPort& end) : link_(link), end_(end) {}

  void hot_reset() override { link_.hot_reset(); }
  void set_power(bool on) override {
    if (!on) link_.disable();
    end_.set_power(on);
    if (on) link_.enable();
  }

 private:
  Link& link_;
  BelowPort& end_;
};

}  // namespace nvmesim::pcie
