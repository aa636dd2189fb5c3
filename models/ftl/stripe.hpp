// A program on its way: up to one stripe of units, where each came from, and where it goes.
#pragma once

#include <cstdint>
#include <vector>

#include "models/media.hpp"
#include "models/nand/die_job.hpp"
#include "models/nand/geometry.hpp"

namespace nvmesim::models {

// Streams have open superblocks of their own, so that what is moved does not mix with what is new.
// The host's has lanes, each with its own again: one for writes without a stream of the host, the
// others by the number of that stream.
enum class Stream : std::uint8_t { kHost, kGc };
struct Stripe;

class StripeOwner {
 public:
  virtual ~StripeOwner() = default;
  // The units are on the medium. The owner takes the stripe back.
  virtual void stripe_programmed(Stripe& stripe) = 0;
  // Power went before they were. The owner takes the stripe back.
  virtual void stripe_dropped(Stripe& stripe) = 0;
};

struct Stripe : DieJob {
  struct Unit {
    UnitId unit;
    std::uint32_t source = 0;   // the owner's: a buffer slot, or the place that it is moved from
    Place old = kNoPlace;       // the FTL's: where the host's unit lay before,
    std::uint8_t old_mark = 0;  // and under which mark
    std::uint8_t cause = 0;     // the collector's: why it is moved
  };
  std::vector<Unit> units;  // fewer than a program: the rest is padding
  StripeOwner* stripe_owner = nullptr;
  Place first = kNoPlace;  // of units[0]; the others follow
  Stream stream = Stream::kHost;
  std::uint32_t lane = 0;  // of the host
  std::uint32_t part = 0;  // of the lane: the turn of its units' home, if they have one
  bool holds = false;      // the old places are held until the program has ended
};

}  // namespace nvmesim::models
