// A program on its way: up to one stripe of units, where each came from, and where it goes.
#pragma once

#include <cstdint>
#include <vector>

#include "models/media.hpp"
#include "models/nand/die_job.hpp"
#include "models/nand/geometry.hpp"

namespace nvmesim::models {

struct Stripe;

class StripeOwner {
 public:
  virtual ~StripeOwner() = default;
  // The units are on the medium. The owner takes the stripe back.
  virtual void stripe_programmed(Stripe& stripe) = 0;
};

struct Stripe : DieJob {
  struct Unit {
    UnitId unit;
    std::uint32_t source = 0;  // the owner's: a buffer slot, or the place that it is moved from
  };
  std::vector<Unit> units;  // fewer than a stripe: the rest is padding
  StripeOwner* stripe_owner = nullptr;
  Place first = kNoPlace;  // of units[0]; the others follow
};

// Streams have open superblocks of their own, so that what is moved does not mix with what is new.
enum class Stream : std::uint8_t { kHost, kGc };
inline constexpr std::size_t kStreams = 2;

}  // namespace nvmesim::models
