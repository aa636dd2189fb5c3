// The shape of the array and the numbering of its units.
//
// Terms. A stripe is one page on every plane of one die, programmed at once. A superblock is the
// block of the same number on every plane of every die: what is opened, collected and erased as
// one. A place numbers units in the order in which they are written: superblock, then page row,
// then die (channels first), then plane, then unit in the page. So consecutive units share a
// stripe, and consecutive stripes go round all channels and dies.
#pragma once

#include <cstdint>

#include "models/nand/nand_config.hpp"

namespace nvmesim::models {

// Number of a unit on the medium: PhysicalUnit in 32 bits, 16 TiB at most.
using Place = std::uint32_t;
inline constexpr Place kNoPlace = 0xFFFF'FFFF;

struct Geometry {
  std::uint32_t channels = 0;
  std::uint32_t dies = 0;  // of all channels; die d is on channel d % channels
  std::uint32_t planes = 0;
  std::uint32_t rows = 0;  // pages per block
  std::uint32_t page_bytes = 0;
  std::uint32_t page_units = 0;
  std::uint32_t stripe_units = 0;
  std::uint32_t superblock_stripes = 0;
  std::uint32_t superblock_units = 0;
  std::uint32_t superblocks = 0;
  std::uint64_t physical_units = 0;
  std::uint64_t logical_units = 0;

  // `spare_superblocks`: how many the FTL needs beyond those that hold the logical units. Throws
  // UserError if the parameters do not fit together.
  static Geometry make(const NandConfig& config, std::uint64_t logical_units,
                       std::uint32_t over_provisioning_percent, std::uint32_t spare_superblocks);

  std::uint32_t superblock_of(Place place) const { return place / superblock_units; }
  std::uint32_t stripe_of(Place place) const { return place / stripe_units; }
  std::uint32_t die_of_stripe(std::uint32_t stripe) const {
    return stripe % superblock_stripes % dies;
  }
  std::uint32_t row_of_stripe(std::uint32_t stripe) const {
    return stripe % superblock_stripes / dies;
  }
};

}  // namespace nvmesim::models
