// The points inside a link where a fault rule may look at a TLP and change its fate.
#pragma once

#include "pcie/tlp_log.hpp"
#include "sim/base/point.hpp"

namespace nvmesim::pcie {

// What happens to this transmission of a TLP. All false: it arrives.
struct TlpFault {
  bool corrupt = false;    // bits flipped: the receiver finds the LCRC wrong and asks for a replay
  bool drop = false;       // lost behind the receiver's data link layer: no replay, never delivered
  bool poison = false;     // EP set: delivered with Tlp::poisoned (only TLPs with data)
  bool malformed = false;  // discarded by the receiver and reported as LinkError::kMalformedTlp
  // Answered by its receiver with that status; only requests that want an answer.
  bool unsupported = false;
  bool abort = false;
  bool link_down = false;  // surprise link down when its first byte goes on the wire
};

struct LinkPoints {
  // Each transmission of each TLP, replays included, when its first byte goes on the wire. While it
  // is armed the link simulates single TLPs, whatever its resolution.
  base::Point<const TlpRecord&, TlpFault&> tlp{"link.tlp"};
};

}  // namespace nvmesim::pcie
