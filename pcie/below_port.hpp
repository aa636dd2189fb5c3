// What a port with a slot does to whatever hangs below it: the reset of its bus, and power.
#pragma once

namespace nvmesim::pcie {

class BelowPort {
 public:
  // Hot reset: Secondary Bus Reset was set.
  virtual void hot_reset() = 0;
  // The slot's power controller: off is D3cold.
  virtual void set_power(bool on) = 0;

 protected:
  ~BelowPort() = default;
};

}  // namespace nvmesim::pcie
