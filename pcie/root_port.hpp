// One root port: the socket pair towards a link and the bridge's configuration space (type 1
// header on bus 0), which says what buses and addresses lie behind it.
#pragma once

#include "pcie/capabilities.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"

namespace nvmesim::pcie {

class RootComplex;

class RootPort : public sc_core::sc_module {
  void request_from_link(base::GenericPayload& payload);
  void response_from_link(base::GenericPayload& payload);
  unsigned debug_from_link(base::GenericPayload& payload);

 public:
  base::InitiatorSocket<RootPort, &RootPort::response_from_link> to_link;
  base::TargetSocket<RootPort, &RootPort::request_from_link, &RootPort::debug_from_link> from_link;

  RootPort(sc_core::sc_module_name name, RootComplex& root, base::Scheduler& scheduler);

  ConfigSpace& config_space() { return space_; }
  bool owns_bus(unsigned bus) const {
    return bus != 0 && bus >= header_.secondary_bus() && bus <= header_.subordinate_bus();
  }
  bool forwards(std::uint64_t address) const { return header_.forwards(address); }
  // Answers a request from below with Unsupported Request.
  void refuse(base::GenericPayload& payload);

 private:
  void refuse_event(std::uint64_t payload);

  RootComplex& root_;
  base::Scheduler& scheduler_;
  ConfigSpace space_;
  Type1Header header_;
  PciExpressCapability express_;
};

}  // namespace nvmesim::pcie
