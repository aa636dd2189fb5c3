// How a switch forwards TLP by TLP, though sockets carry whole requests and completions: the side
// channel by which the wire behind a switch hears of a transfer before its last TLP has arrived.
//
// The link in front tells its Forwarder (the switch) what is coming; the switch tells the link
// behind, Link::announce(), which puts all TLPs but the last on its wire. The last one follows when
// the request or completion itself is handed on, whole and by the sockets as always: so what is
// delivered, dropped or changed on the way does not depend on this channel, only time does.
#pragma once

#include <cstdint>

#include "pcie/traffic.hpp"
#include "sim/base/systemc.hpp"

namespace nvmesim::pcie {

// Of a transfer's TLPs.
struct TlpShare {
  std::uint32_t arrived = 1;
  std::uint32_t total = 1;
};
// All but the last have arrived, or will in time.
inline constexpr TlpShare kAllButLast{1, 1};

class Forwarder {
 public:
  // So much of a transfer has arrived; more than one call each, with growing shares, if each TLP is
  // simulated.
  virtual void coming(tlm::tlm_generic_payload& payload, TrafficClass traffic, TlpShare share) = 0;
  // What was coming has been lost or cancelled.
  virtual void withdrawn(tlm::tlm_generic_payload& payload) = 0;

 protected:
  ~Forwarder() = default;
};

}  // namespace nvmesim::pcie
