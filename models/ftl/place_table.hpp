// The physical side of the mapping: for each place the unit in its spare area, and whether that is
// valid. A superblock costs nothing while it is as the initial layout has it, one bit per place
// when some of it was overwritten, nothing when erased, and four bytes and one bit per place from
// its next opening on.
#pragma once

#include <cstdint>
#include <vector>

#include "models/ftl/initial_layout.hpp"
#include "models/nand/geometry.hpp"
#include "models/store/zeroed.hpp"

namespace nvmesim::models {

class PlaceTable {
 public:
  PlaceTable(const Geometry& geometry, const InitialLayout& layout);

  // The unit in the record of a place; InitialLayout::kNoUnit if none was written there.
  std::uint64_t record(Place place) const;
  bool valid(Place place) const;
  // Valid bits of `count` <= 64 places from `first`, all of one superblock, in the low bits.
  std::uint64_t valid_bits(Place first, std::uint32_t count) const;

  void prefetch_valid(Place place) const {
    const std::uint32_t number = geometry_.superblock_of(place);
    const Block& block = blocks_[number];
    if (!block.bits) return;
    __builtin_prefetch(&block.bits[(place - number * geometry_.superblock_units) / 64], 1);
  }

  void write_record(Place place, std::uint64_t unit);
  void set_valid(Place place);
  void clear_valid(Place place);
  // Takes back a clear_valid().
  void revalidate(Place place);
  // The 64 places from `first`, all valid and as the initial layout has them.
  void clear_valid_64(Place first);
  // Everything on the superblock is gone.
  void erased(std::uint32_t superblock);
  // No place anywhere is valid any more.
  void clear_all_valid();

  // All as the layout has it again.
  void restart();
  void save(std::uint32_t superblock, StateWriter& out) const;
  void load(std::uint32_t superblock, StateReader& in);
  bool is_initial(std::uint32_t superblock) const {
    return blocks_[superblock].state == State::kInitial;
  }
  bool is_erased(std::uint32_t superblock) const {
    return blocks_[superblock].state == State::kErased;
  }
  bool is_written(std::uint32_t superblock) const {
    return blocks_[superblock].state == State::kWritten;
  }
  // Bits of an initial superblock's places that are not valid any more.
  std::uint64_t dead_bits(std::uint32_t superblock, std::uint32_t word) const {
    return blocks_[superblock].bits ? blocks_[superblock].bits[word] : 0;
  }

 private:
  enum class State : std::uint8_t { kInitial, kErased, kWritten };
  struct Block {
    Zeroed<std::uint32_t> records;  // unit + 1; written only
    Zeroed<std::uint64_t> bits;     // written: valid; initial: not valid any more
    State state = State::kInitial;
  };

  std::size_t words() const { return (geometry_.superblock_units + 63) / 64; }
  Block& written(std::uint32_t superblock);

  const Geometry& geometry_;
  const InitialLayout& layout_;
  std::vector<Block> blocks_;
};

}  // namespace nvmesim::models
