#include "pcie/switch.hpp"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr Identity kSwitchIdentity{0x10B5, 0x8747, 0, 0, 0x060400, 0};
constexpr PciExpressCapability::Link kSwitchWidest{5, 16, 4096};

std::uint64_t argument(base::GenericPayload& payload) {
  return reinterpret_cast<std::uint64_t>(&payload);
}
base::GenericPayload& payload_of(std::uint64_t argument) {
  return *reinterpret_cast<base::GenericPayload*>(argument);
}

const SwitchConfig& validated(const SwitchConfig& config) {
  config.validate();
  return config;
}

}  // namespace

std::span<const base::ParamInfo> SwitchConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"ports", "1", 0, 32, "downstream ports; 0: there is no switch"},
      {"latency_ns", "ns", 0, 100'000, "from the end of a TLP's arrival to its forwarding"},
      {"peer_to_peer", "", 0, 1,
       "requests from one port to the window of another go there directly, not up"},
  };
  return kParams;
}

void SwitchConfig::validate() const {
  if (ports > 32) throw base::UserError(fmt::format("ports is {}; at most 32", ports));
}

SwitchPort::SwitchPort(sc_core::sc_module_name name, Switch& owner, unsigned index,
                       base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      to_link("to_link", this, scheduler),
      from_link("from_link", this, scheduler),
      switch_(owner),
      index_(index),
      header_(space_, kSwitchIdentity,
              base::Callback::of<&SwitchPort::bridge_control_written>(this)),
      express_(space_, PciExpressPort::kSwitchDownstream, kSwitchWidest,
               {{},
                {},
                base::Callback::of<&SwitchPort::slot_control_written>(this),
                base::Callback::of<&SwitchPort::link_control_written>(this)},
               10) {}

void SwitchPort::set_link(Link& link) {
  link_ = &link;
  link.add_listener(*this);
  express_.describe({link.config().generation, link.config().lanes, kSwitchWidest.max_payload_bytes,
                     link.config().power});
  express_.set_link_status(link.generation(), link.lanes(), link.up());
  power_.attach(link, Direction::kDown);
  link.set_forwarder(Direction::kUp, *this);
}

void SwitchPort::link_down(LinkDownCause) {
  express_.set_link_status(link_->generation(), link_->lanes(), false);
  power_.set_tolerance_ns({});
}
void SwitchPort::link_up() {
  express_.set_link_status(link_->generation(), link_->lanes(), true);
}

void SwitchPort::link_control_written() {
  if (link_ == nullptr) return;
  power_.update();
  link_->obey(express_);
}

void SwitchPort::request_from_link(base::GenericPayload& payload) {
  switch_.request_from_port(*this, payload);
}
void SwitchPort::response_from_link(base::GenericPayload& payload) {
  switch_.response_from_port(payload);
}
unsigned SwitchPort::debug_from_link(base::GenericPayload& payload) {
  return switch_.to_up->transport_dbg(payload);
}

void SwitchPort::bridge_control_written() {
  const bool before = in_reset_;
  in_reset_ = header_.secondary_reset();
  if (in_reset_ && !before && below_ != nullptr) below_->hot_reset();
}

void SwitchPort::slot_control_written() {
  const bool on = !express_.slot_power_off();
  if (on == powered_) return;
  powered_ = on;
  if (below_ != nullptr) below_->set_power(on);
}

Switch::Switch(sc_core::sc_module_name name, const SwitchConfig& config, base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      from_up("from_up", this, scheduler),
      to_up("to_up", this, scheduler),
      ports("ports"),
      config_(validated(config)),
      scheduler_(scheduler),
      header_(space_, kSwitchIdentity),
      express_(space_, PciExpressPort::kSwitchUpstream, kSwitchWidest,
               {{}, {}, {}, base::Callback::of<&Switch::link_control_written>(this)}, 10) {
  ports.init(config_.ports, [this, &scheduler](const char* port_name, std::size_t index) {
    return new SwitchPort(port_name, *this, static_cast<unsigned>(index), scheduler);
  });
}

void Switch::set_uplink(Link& link) {
  uplink_ = &link;
  link.add_listener(*this);
  express_.describe({link.config().generation, link.config().lanes, kSwitchWidest.max_payload_bytes,
                     link.config().power});
  express_.set_link_status(link.generation(), link.lanes(), false);
  power_.attach(link, Direction::kUp);
  link.set_forwarder(Direction::kDown, *this);
}

void Switch::link_up() {
  express_.set_link_status(uplink_->generation(), uplink_->lanes(), false);
}

void Switch::deliver_promptly(bool promptly) {
  const unsigned before = prompt_;
  prompt_ += promptly ? 1 : -1U;
  if ((before == 0) != (prompt_ == 0) && uplink_ != nullptr) {
    uplink_->deliver_promptly(Direction::kDown, prompt_ != 0);
  }
}

void Switch::hot_reset() {
  space_.reset();
  power_.update();
  for (SwitchPort& port : ports) {
    port.space_.reset();
    port.link_control_written();
    if (port.link_ != nullptr)
      port.express_.set_link_status(port.link_->generation(), port.link_->lanes(),
                                    port.link_->up());
    if (port.below_ != nullptr) port.below_->hot_reset();
  }
}

void Switch::set_power(bool on) {
  if (!on) {
    space_.power_cycle();
    power_.update();
  }
  for (SwitchPort& port : ports) {
    if (!on) {
      port.space_.power_cycle();
      port.power_.update();
    }
    if (port.below_ != nullptr) port.below_->set_power(on);
  }
}

// From above.

void Switch::request_from_up(base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  const unsigned device = tlp.completer.value() >> 3 & 31;
  const bool first_function = (tlp.completer.value() & 7) == 0;
  SwitchPort* port = nullptr;
  if (tlp.kind == TlpKind::kConfig0) {
    if (device == 0 && first_function) {
      configure(payload, space_);
      return;
    }
  } else if (tlp.kind == TlpKind::kConfig1) {
    const unsigned bus = tlp.completer.value() >> 8;
    if (bus == header_.secondary_bus()) {
      if (device < ports.size() && first_function) {
        configure(payload, ports[device].space_);
        return;
      }
    } else if ((port = port_of_bus(bus)) != nullptr) {
      Tlp* writable = nullptr;
      payload.get_extension(writable);
      writable->kind = port->header_.below(bus);
      if (device != 0 && writable->kind == TlpKind::kConfig0) port = nullptr;
    }
  } else if (tlp.kind == TlpKind::kMemory && header_.forwards(payload.get_address())) {
    port = port_of_address(payload.get_address());
  }
  if (port == nullptr) {
    refuse(payload);
    return;
  }
  ++forwarded_down_;
  scheduler_.after<&Switch::forward_down>(latency(), this, argument(payload));
}

void Switch::forward_down(std::uint64_t which) {
  base::GenericPayload& payload = payload_of(which);
  const Tlp& tlp = tlp_of(payload);
  const bool by_bus = tlp.kind == TlpKind::kConfig0 || tlp.kind == TlpKind::kConfig1;
  SwitchPort* port =
      by_bus ? port_of_bus(tlp.completer.value() >> 8) : port_of_address(payload.get_address());
  // Software may have closed the window meanwhile.
  if (port == nullptr) {
    refuse(payload);
  } else {
    goes_to(payload, port->link_);
    port->to_link.request(payload);
  }
}

// An access to one of the switch's own bridges.
void Switch::configure(base::GenericPayload& payload, ConfigSpace& space) {
  const auto offset = static_cast<unsigned>(payload.get_address() % ConfigSpace::kBytes);
  const unsigned bytes = payload.get_data_length();
  std::uint32_t value = 0;
  if (payload.is_write()) {
    std::memcpy(&value, payload.get_data_ptr(), bytes);
    space.write(offset, bytes, value);
  } else {
    value = space.read(offset, bytes);
    std::memcpy(payload.get_data_ptr(), &value, bytes);
  }
  payload.set_response_status(kStatusSuccessful);
  scheduler_.after<&Switch::answer_up>(latency(), this, argument(payload));
}

void Switch::refuse(base::GenericPayload& payload) {
  ++unsupported_requests_;
  withdrawn(payload);
  payload.set_response_status(kStatusUnsupportedRequest);
  const bool from_below = from_below_.contains(&payload);
  if (payload.is_read() && !from_below) {
    std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
  }
  if (from_below) {
    scheduler_.after<&Switch::answer_down>(latency(), this, argument(payload));
  } else {
    scheduler_.after<&Switch::answer_up>(latency(), this, argument(payload));
  }
}

void Switch::answer_up(std::uint64_t payload) {
  from_up.respond(payload_of(payload));
}

void Switch::answer_down(std::uint64_t which) {
  base::GenericPayload& payload = payload_of(which);
  const auto found = from_below_.find(&payload);
  NVMESIM_ASSERT(found != from_below_.end(), "an answer to a request that did not pass the switch");
  SwitchPort* port = found->second;
  from_below_.erase(found);
  port->from_link.respond(payload);
}

// From below. The answer of a posted request only gives its payload back: it takes no time.

void Switch::request_from_port(SwitchPort& port, base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  from_below_.insert_or_assign(&payload, &port);
  if (tlp.kind == TlpKind::kMessage) port.message_from_below(payload);
  if (is_posted(payload)) keep_order(payload);
  SwitchPort* peer = tlp.kind == TlpKind::kMemory && config_.peer_to_peer
                         ? port_of_address(payload.get_address())
                         : nullptr;
  if (peer != nullptr) {
    ++peer_requests_;
    scheduler_.after<&Switch::forward_down>(latency(), this, argument(payload));
  } else {
    ++forwarded_up_;
    scheduler_.after<&Switch::forward_up>(latency(), this, argument(payload));
  }
}

// INTx messages go on as another pin, by the device number of the port (2.2.8.1). A latency
// tolerance counts for the link below too.
void SwitchPort::message_from_below(base::GenericPayload& payload) {
  Tlp* tlp = nullptr;
  payload.get_extension(tlp);
  if (tlp->message == MessageCode::kLatencyTolerance) {
    power_.set_tolerance_ns(told_tolerance_ns(static_cast<std::uint32_t>(payload.get_address())));
  }
  const auto code = static_cast<unsigned>(tlp->message);
  const auto assert_a = static_cast<unsigned>(MessageCode::kAssertIntA);
  if (code < assert_a || code >= assert_a + 8) return;
  const unsigned turned = (code & ~3U) | ((code + index_) & 3U);
  tlp->message = static_cast<MessageCode>(turned);
}

// Whoever sent a long write with relaxed ordering sends nothing that must stay behind it before it
// has left by the link below. By the link above it has not, then: there what is younger would pass.
void Switch::keep_order(base::GenericPayload& payload) {
  Tlp* tlp = nullptr;
  payload.get_extension(tlp);
  if (tlp != nullptr) tlp->relaxed_ordering = false;
}

void Switch::forward_up(std::uint64_t which) {
  base::GenericPayload& payload = payload_of(which);
  goes_to(payload, uplink_);
  to_up.request(payload);
}

void Switch::response_from_up(base::GenericPayload& payload) {
  if (is_posted(payload)) {
    answer_down(argument(payload));
  } else {
    scheduler_.after<&Switch::answer_down>(latency(), this, argument(payload));
  }
}

// What a function below has answered: to the processors, or to its peer.
void Switch::response_from_port(base::GenericPayload& payload) {
  const bool to_peer = from_below_.contains(&payload);
  if (is_posted(payload)) {
    to_peer ? answer_down(argument(payload)) : answer_up(argument(payload));
  } else if (to_peer) {
    scheduler_.after<&Switch::answer_down>(latency(), this, argument(payload));
  } else {
    scheduler_.after<&Switch::answer_up>(latency(), this, argument(payload));
  }
}

SwitchPort* Switch::port_of_address(std::uint64_t address) {
  for (SwitchPort& port : ports) {
    if (port.header_.forwards(address)) return &port;
  }
  return nullptr;
}

SwitchPort* Switch::port_of_bus(unsigned bus) {
  for (SwitchPort& port : ports) {
    if (port.header_.owns_bus(bus)) return &port;
  }
  return nullptr;
}

unsigned Switch::debug_from_up(base::GenericPayload& payload) {
  SwitchPort* port = port_of_address(payload.get_address());
  return port != nullptr ? port->to_link->transport_dbg(payload) : 0;
}

void Switch::register_statistics(base::StatisticsRegistry& registry,
                                 std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".forwarded_down", "1", "requests passed down", forwarded_down_);
  registry.add(name + ".forwarded_up", "1", "requests passed up", forwarded_up_);
  registry.add(name + ".peer_requests", "1", "requests from port to port", peer_requests_);
  registry.add(name + ".unsupported_requests", "1", "requests that nobody claimed",
               unsupported_requests_);
}

}  // namespace nvmesim::pcie
