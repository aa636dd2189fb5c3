// The shape of the array and the numbering of its units.
//
// Terms. A stripe is one page on every plane of one die, read at once. What is programmed at once
// is one stripe, or those of all pages of a wordline if the cells are programmed in one shot. A
// superblock is the block of the same number on every plane of every die: what is opened, collected
// and erased as one. A place numbers units in the order in which they are written: superblock, then
// wordline, then die (by its turn, DieOrder), then page, then plane, then unit in the page. So
// consecutive units share a stripe, and consecutive programs go round all channels and dies. With
// parity the last die of each row of programs holds the exclusive or of the others and no units.
#pragma once

#include <cstdint>
#include <string_view>

#include "models/nand/die_order.hpp"
#include "models/nand/nand_config.hpp"

namespace nvmesim::models {

// Number of a unit on the medium: PhysicalUnit in 32 bits, 16 TiB at most.
using Place = std::uint32_t;
inline constexpr Place kNoPlace = 0xFFFF'FFFF;

struct Geometry {
  std::uint32_t channels = 0;
  std::uint32_t dies = 0;  // of all channels; die d is on channel d % channels
  DieOrder order;
  std::uint32_t planes = 0;
  std::uint32_t rows = 0;  // pages per block
  std::uint32_t page_bytes = 0;
  std::uint32_t page_units = 0;
  std::uint32_t stripe_units = 0;
  std::uint32_t program_rows = 1;   // rows programmed at once
  std::uint32_t program_units = 0;  // units programmed at once
  std::uint32_t superblock_stripes = 0;
  std::uint32_t superblock_units = 0;
  std::uint32_t superblock_programs = 0;
  bool parity = false;
  std::uint32_t row_units = 0;       // of one row of programs, across all dies
  std::uint32_t row_data_units = 0;  // without its parity
  std::uint32_t data_units = 0;      // of a superblock, without its parity
  std::uint32_t superblocks = 0;
  std::uint64_t physical_units = 0;
  std::uint64_t logical_units = 0;

  // `spare_superblocks`: how many the FTL needs beyond those that hold the logical units. Throws
  // UserError if the parameters do not fit together.
  static Geometry make(const NandConfig& config, std::uint64_t logical_units,
                       std::uint32_t over_provisioning_percent, std::uint32_t spare_superblocks,
                       bool parity = false, std::string_view allocation_order = "PCWD");

  std::uint32_t superblock_of(Place place) const { return place / superblock_units; }
  std::uint32_t stripe_of(Place place) const { return place / stripe_units; }
  std::uint32_t die_of_stripe(std::uint32_t stripe) const {
    return order.die_of_turn[turn_of_stripe(stripe)];
  }
  std::uint32_t plane_of(Place place) const { return place % stripe_units / page_units; }
  // The how manieth of its row of programs.
  std::uint32_t turn_of_stripe(std::uint32_t stripe) const {
    return stripe % superblock_stripes / program_rows % dies;
  }
  std::uint32_t row_of_stripe(std::uint32_t stripe) const {
    const std::uint32_t in_block = stripe % superblock_stripes;
    return in_block / (program_rows * dies) * program_rows + in_block % program_rows;
  }
};

}  // namespace nvmesim::models
