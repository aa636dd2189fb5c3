// A link beside a switch: what it tells of transfers before they have arrived, and is told.
#include <algorithm>

#include "pcie/link.hpp"

namespace nvmesim::pcie {

void Link::set_forwarder(Direction direction, Forwarder& forwarder) {
  forwarders_[index_of(direction)] = &forwarder;
  burst_of(direction).direction.report_heads();
  update_attention();
}

void Link::Ends::coming(tlm::tlm_generic_payload& payload, TrafficClass traffic, TlpShare share) {
  Forwarder* forwarder = link_.forwarders_[index_of(direction_)];
  if (forwarder != nullptr && !cut_) forwarder->coming(payload, traffic, share);
}

// What the far end of `direction` was told of does not come.
void Link::withdraw_forwarded(Direction direction, base::GenericPayload& payload) {
  Forwarder* forwarder = forwarders_[index_of(direction)];
  if (forwarder != nullptr) forwarder->withdrawn(payload);
}

void Link::announce(Direction direction, base::GenericPayload& payload, TrafficClass traffic,
                    TlpShare share) {
  Transfer transfer = announced_transfer(payload, traffic);
  const std::uint32_t tlps = transfer.segments.tlps;
  if (tlps == 1 || !up()) return;
  const std::uint64_t arrived = std::uint64_t{share.arrived} * tlps / share.total;
  transfer.announced_tlps = static_cast<std::uint32_t>(std::min<std::uint64_t>(arrived, tlps - 1));
  transfer.report_sent = false;
  if (transfer.announced_tlps != 0) send_specially(direction, transfer);
}

void Link::withdraw(Direction direction, const base::GenericPayload& payload) {
  const std::size_t d = index_of(direction);
  std::erase_if(held_[d], [&payload](const Transfer& held) {
    return held.announced_tlps != 0 && held.payload == &payload;
  });
  burst_[d]->direction.withdraw(payload);
  if (tlp_[d] != nullptr) tlp_[d]->withdraw(payload);
}

}  // namespace nvmesim::pcie
