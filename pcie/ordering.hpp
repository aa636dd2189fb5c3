// Who may pass whom in one direction of a link: the ordering table of the base specification
// (2.4.1), for the traffic that is modelled (no bridges to PCI, no PASID, no AtomicOps). "May" is a
// permission, but for two cases where passing must be possible, or the fabric can lock up: posted
// requests pass non-posted ones, and so do completions.
#pragma once

#include "pcie/tlp.hpp"
#include "pcie/traffic.hpp"

namespace nvmesim::pcie {

struct OrderKey {
  TrafficClass traffic = TrafficClass::kPosted;
  bool relaxed_ordering = false;
  bool id_based_ordering = false;
  // Of a non-posted request: it carries data (a configuration write). Of a completion: it answers
  // one.
  bool write = false;
  RequesterId id;  // who sent it: requester of a request, completer of a completion
};

// May `later`, sent after `earlier`, arrive first? Both from different transactions: the
// completions of one request never pass each other.
constexpr bool may_pass(const OrderKey& later, const OrderKey& earlier) {
  if (earlier.traffic != TrafficClass::kPosted) return true;
  if (later.id_based_ordering && later.id != earlier.id) return true;
  switch (later.traffic) {
    case TrafficClass::kPosted:
      return later.relaxed_ordering;
    case TrafficClass::kNonPosted:
      return later.write && later.relaxed_ordering;
    case TrafficClass::kCompletion:
      return later.relaxed_ordering || later.write;
  }
  return false;
}

inline OrderKey order_key(const tlm::tlm_generic_payload& payload, TrafficClass traffic) {
  const Tlp& tlp = tlp_of(payload);
  OrderKey key;
  key.traffic = traffic;
  key.relaxed_ordering = tlp.relaxed_ordering;
  key.id_based_ordering = tlp.id_based_ordering;
  key.write = traffic != TrafficClass::kPosted && payload.is_write();
  key.id = traffic == TrafficClass::kCompletion ? tlp.completer : tlp.requester;
  return key;
}

}  // namespace nvmesim::pcie
