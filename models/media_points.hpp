// The places inside a media where a rule may look and change something. Every Media hands out one
// of these; unarmed points cost one branch each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/media.hpp"
#include "sim/base/point.hpp"
#include "sim/base/strong_id.hpp"

namespace nvmesim::models {

// A unit's place on the medium; models/nand/geometry.hpp says how it is numbered.
struct PhysicalUnitTag;
using PhysicalUnit = base::StrongId<PhysicalUnitTag, std::uint64_t>;

struct MediaPoints {
  // A mapped unit is about to be read from the medium at this place.
  base::Point<UnitId, PhysicalUnit&> map_lookup{"ftl.map_lookup"};
  // A unit reaches the medium; set the flag and its bytes are lost on the way.
  base::Point<UnitId, bool&> store_write{"store.write"};
  // What a read of the medium returns: a private copy of the unit's bytes. Not called for units
  // without data.
  base::Point<UnitId, std::span<std::byte>> store_read{"store.read"};
};

}  // namespace nvmesim::models
