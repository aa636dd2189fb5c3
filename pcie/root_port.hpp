// One root port: the socket pair towards a link and the bridge's configuration space (type 1
// header on bus 0), which says what buses and addresses lie behind it. It takes the messages from
// below: pins, errors, latency tolerance.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pcie/aer.hpp"
#include "pcie/below_port.hpp"
#include "pcie/capabilities.hpp"
#include "pcie/l1_substates.hpp"
#include "pcie/link.hpp"
#include "pcie/link_events.hpp"
#include "pcie/msi.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

class RootComplex;

class RootPort : public sc_core::sc_module, public LinkListener {
  void request_from_link(base::GenericPayload& payload);
  void response_from_link(base::GenericPayload& payload);
  unsigned debug_from_link(base::GenericPayload& payload);

 public:
  base::InitiatorSocket<RootPort, &RootPort::response_from_link> to_link;
  base::TargetSocket<RootPort, &RootPort::request_from_link, &RootPort::debug_from_link> from_link;

  // index: the port's number, which is its device number on bus 0 too.
  RootPort(sc_core::sc_module_name name, unsigned index, RootComplex& root,
           base::Scheduler& scheduler);

  // Who is reset by Secondary Bus Reset and switched by the slot's power controller; once.
  void attach_below(BelowPort& below) { below_ = &below; }

  // The link below: Link Control acts on it, Link Status follows it.
  void set_link(Link& link);

  RequesterId id() const { return make_id(0, index_, 0); }
  ConfigSpace& config_space() { return space_; }
  const Type1Header& header() const { return header_; }
  bool owns_bus(unsigned bus) const { return header_.owns_bus(bus); }
  bool forwards(std::uint64_t address) const { return header_.forwards(address); }
  // Answers a request from below with Unsupported Request.
  void refuse(base::GenericPayload& payload);
  // What the last LTR message said: snoop latency in the low half (6.18).
  std::uint32_t latency_tolerance() const { return latency_tolerance_; }
  std::uint64_t error_messages() const { return error_messages_; }
  // Of requests that go down (Device Control 2); 0: none.
  base::Time completion_timeout() const { return express_.completion_timeout(); }
  void report(UncorrectableError error, const TlpHeader& header, bool advisory);
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

  void link_down(LinkDownCause cause) override;
  void link_up() override;
  void link_error(LinkError error, Direction direction) override;

 private:
  friend class RootComplex;
  void refuse_event(std::uint64_t payload);
  void message(base::GenericPayload& payload);
  void pin(unsigned pin, RequesterId source, bool asserted);
  void error_received(MessageCode code, RequesterId source);
  void bridge_control_written();
  void slot_control_written();
  void link_control_written();

  const unsigned index_;
  RootComplex& root_;
  base::Scheduler& scheduler_;
  BelowPort* below_ = nullptr;
  Link* link_ = nullptr;
  ConfigSpace space_;
  Type1Header header_;
  PciExpressCapability express_;
  PortPowerControl power_{space_, express_};
  MsiCapability msi_;
  AdvancedErrorCapability advanced_error_;
  ErrorReporter errors_;
  bool powered_ = true;
  bool in_reset_ = false;

  std::array<std::vector<RequesterId>, 4> pins_;  // who asserts each
  std::uint32_t latency_tolerance_ = 0;
  std::uint64_t error_messages_ = 0;

  // The root complex's: requests of this port that wait for a translation, and when the last
  // posted one of them goes on.
  std::uint64_t held_ = 0;
  base::Time posted_until_{0};
};

}  // namespace nvmesim::pcie
