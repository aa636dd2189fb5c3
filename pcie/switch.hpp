// A PCIe switch: an upstream port, an internal bus, and downstream ports on it, each a bridge with
// its own windows. Each TLP goes on a constant latency after it has arrived, in the order of
// arrival; the links on both sides take their own time, so what hangs below shares the uplink.
// (Sockets carry whole requests and completions; pcie/forwarding.hpp lets their TLPs go ahead.)
//
//   root port - uplink - from_up/to_up [switch] ports[n].to_link/from_link - link n - endpoint n
//
// Requests from below to the window of another downstream port go up (as with access control
// services) unless peer_to_peer lets them take the short way. What nobody claims is answered with
// Unsupported Request.
#pragma once

#include <boost/describe.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <span>

#include "pcie/below_port.hpp"
#include "pcie/capabilities.hpp"
#include "pcie/forwarding.hpp"
#include "pcie/l1_substates.hpp"
#include "pcie/link.hpp"
#include "pcie/link_events.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/config.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

struct SwitchConfig {
  std::uint32_t ports = 0;
  std::uint32_t latency_ns = 105;
  bool peer_to_peer = false;

  static std::span<const base::ParamInfo> params();
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(SwitchConfig, (), (ports, latency_ns, peer_to_peer))

class Switch;

// One downstream port.
class SwitchPort : public sc_core::sc_module, public LinkListener, public Forwarder {
  void request_from_link(base::GenericPayload& payload);
  void response_from_link(base::GenericPayload& payload);
  unsigned debug_from_link(base::GenericPayload& payload);

 public:
  base::InitiatorSocket<SwitchPort, &SwitchPort::response_from_link> to_link;
  base::TargetSocket<SwitchPort, &SwitchPort::request_from_link, &SwitchPort::debug_from_link>
      from_link;

  SwitchPort(sc_core::sc_module_name name, Switch& owner, unsigned index,
             base::Scheduler& scheduler);

  // Who is reset by this port's Secondary Bus Reset and switched by its slot's power.
  void attach_below(BelowPort& below) { below_ = &below; }
  // The link below: Link Control acts on it, Link Status follows it.
  void set_link(Link& link);
  ConfigSpace& config_space() { return space_; }

  void link_down(LinkDownCause cause) override;
  void link_up() override;
  void coming(base::GenericPayload& payload, TrafficClass traffic, TlpShare share) override;
  void withdrawn(base::GenericPayload& payload) override;
  const Type1Header& header() const { return header_; }

 private:
  friend class Switch;
  void bridge_control_written();
  void slot_control_written();
  void link_control_written();
  void message_from_below(base::GenericPayload& payload);

  Switch& switch_;
  const unsigned index_;  // and device number on the internal bus
  BelowPort* below_ = nullptr;
  Link* link_ = nullptr;
  ConfigSpace space_;
  Type1Header header_;
  PciExpressCapability express_;
  PortPowerControl power_{space_, express_};
  bool powered_ = true;
  bool in_reset_ = false;
};

class Switch : public sc_core::sc_module, public BelowPort, public LinkListener, public Forwarder {
  void request_from_up(base::GenericPayload& payload);
  void response_from_up(base::GenericPayload& payload);
  unsigned debug_from_up(base::GenericPayload& payload);

 public:
  base::TargetSocket<Switch, &Switch::request_from_up, &Switch::debug_from_up> from_up;
  base::InitiatorSocket<Switch, &Switch::response_from_up> to_up;
  sc_core::sc_vector<SwitchPort> ports;

  Switch(sc_core::sc_module_name name, const SwitchConfig& config, base::Scheduler& scheduler);

  // The link above: the link registers follow it, its going down resets all below; an endpoint that
  // waits for deferred writes asks it too.
  void set_uplink(Link& link);
  void deliver_promptly(bool promptly);

  void hot_reset() override;
  void set_power(bool on) override;
  // The uplink's: all below is reset.
  void link_down(LinkDownCause) override { hot_reset(); }
  void link_up() override;
  void coming(base::GenericPayload& payload, TrafficClass traffic, TlpShare share) override;
  void withdrawn(base::GenericPayload& payload) override;

  const SwitchConfig& config() const { return config_; }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  friend class SwitchPort;
  void request_from_port(SwitchPort& port, base::GenericPayload& payload);
  void response_from_port(base::GenericPayload& payload);
  void link_control_written() { power_.update(); }
  static void keep_order(base::GenericPayload& payload);
  void forward_down(std::uint64_t payload);
  void forward_up(std::uint64_t payload);
  void answer_up(std::uint64_t payload);
  void answer_down(std::uint64_t payload);
  void configure(base::GenericPayload& payload, ConfigSpace& space);
  void refuse(base::GenericPayload& payload);

  // What goes ahead of its request or completion; in switch_forwarding.cpp.
  struct Coming {
    base::GenericPayload* payload;  // null: withdrawn
    TrafficClass traffic;
    TlpShare share;
    Link* link;
    Direction direction;
  };
  void coming_from_port(base::GenericPayload& payload, TrafficClass traffic, TlpShare share);
  void announce_later(const Coming& coming);
  void announce_event(std::uint64_t);
  void heading_for(base::GenericPayload& payload, Link* link);
  void goes_to(base::GenericPayload& payload, Link* link);
  void withdraw_from(Link& link, base::GenericPayload& payload);

  SwitchPort* port_of_address(std::uint64_t address);
  SwitchPort* port_of_bus(unsigned bus);
  base::Time latency() const { return std::chrono::nanoseconds(config_.latency_ns); }

  const SwitchConfig config_;
  base::Scheduler& scheduler_;
  Link* uplink_ = nullptr;
  unsigned prompt_ = 0;  // endpoints that wait
  ConfigSpace space_;    // of the upstream port
  Type1Header header_;
  PciExpressCapability express_;
  PortPowerControl power_{space_, express_};
  // Requests from below that are not answered: bus numbers may change while they are under way.
  boost::unordered_flat_map<const base::GenericPayload*, SwitchPort*> from_below_;
  std::deque<Coming> coming_;  // for the latency
  // Requests of which something went ahead, and the link that it went to.
  boost::unordered_flat_map<const base::GenericPayload*, Link*> ahead_;
  std::uint64_t forwarded_down_ = 0;
  std::uint64_t forwarded_up_ = 0;
  std::uint64_t peer_requests_ = 0;
  std::uint64_t unsupported_requests_ = 0;
};

}  // namespace nvmesim::pcie
