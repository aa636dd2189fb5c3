// How TLPs pass a switch ahead of the request or completion that they belong to.
#include "pcie/switch.hpp"

namespace nvmesim::pcie {

void SwitchPort::coming(base::GenericPayload& payload, TrafficClass traffic, TlpShare share) {
  switch_.coming_from_port(payload, traffic, share);
}
void SwitchPort::withdrawn(base::GenericPayload& payload) {
  switch_.withdrawn(payload);
}

void Switch::coming_from_port(base::GenericPayload& payload, TrafficClass traffic, TlpShare share) {
  SwitchPort* peer = nullptr;
  if (traffic == TrafficClass::kCompletion) {
    const auto asked = from_below_.find(&payload);
    if (asked != from_below_.end()) peer = asked->second;
  } else if (config_.peer_to_peer) {
    peer = port_of_address(payload.get_address());
  }
  if (peer != nullptr) {
    announce_later({&payload, traffic, share, peer->link_, Direction::kDown});
  } else {
    announce_later({&payload, traffic, share, uplink_, Direction::kUp});
  }
}

void Switch::coming(base::GenericPayload& payload, TrafficClass traffic, TlpShare share) {
  SwitchPort* port = nullptr;
  if (traffic == TrafficClass::kCompletion) {
    const auto asked = from_below_.find(&payload);
    if (asked != from_below_.end()) port = asked->second;
  } else {
    port = port_of_address(payload.get_address());
  }
  if (port != nullptr) {
    announce_later({&payload, traffic, share, port->link_, Direction::kDown});
  }
}

void Switch::announce_later(const Coming& coming) {
  if (coming.link == nullptr) return;
  if (coming.traffic != TrafficClass::kCompletion) heading_for(*coming.payload, coming.link);
  coming_.push_back(coming);
  scheduler_.after<&Switch::announce_event>(latency(), this);
}

void Switch::announce_event(std::uint64_t) {
  const Coming coming = coming_.front();
  coming_.pop_front();
  if (coming.payload == nullptr) return;
  coming.link->announce(coming.direction, *coming.payload, coming.traffic, coming.share);
}

// Requests are routed by address each time that something of them comes, and software may move a
// window between two times: then what went ahead was for another link, and is nothing there.
void Switch::heading_for(base::GenericPayload& payload, Link* link) {
  const auto [entry, first] = ahead_.try_emplace(&payload, link);
  if (first || entry->second == link) return;
  withdraw_from(*entry->second, payload);
  entry->second = link;
}

// The request itself goes to that link.
void Switch::goes_to(base::GenericPayload& payload, Link* link) {
  const auto entry = ahead_.find(&payload);
  if (entry == ahead_.end()) return;
  if (entry->second != link) withdraw_from(*entry->second, payload);
  ahead_.erase(entry);
}

void Switch::withdraw_from(Link& link, base::GenericPayload& payload) {
  for (Coming& coming : coming_) {
    if (coming.payload == &payload && coming.link == &link) coming.payload = nullptr;
  }
  link.withdraw(&link == uplink_ ? Direction::kUp : Direction::kDown, payload);
}

// Lost or cancelled in front of the switch, or refused by it.
void Switch::withdrawn(base::GenericPayload& payload) {
  ahead_.erase(&payload);
  for (Coming& coming : coming_) {
    if (coming.payload == &payload) coming.payload = nullptr;
  }
  if (uplink_ != nullptr) uplink_->withdraw(Direction::kUp, payload);
  for (SwitchPort& port : ports) {
    if (port.link_ != nullptr) port.link_->withdraw(Direction::kDown, payload);
  }
}

}  // namespace nvmesim::pcie
