// Where each unit of a drive of moderate size lies, as far as it is not where the initial layout
// has it: five bytes a unit, side by side in one block, so that a look-up is one access to memory.
// What was never touched costs nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "models/nand/geometry.hpp"
#include "models/store/zeroed.hpp"

namespace nvmesim::models {

struct MappedPlace {
  Place place = kNoPlace;  // kNoPlace: never written, or deallocated
  std::uint8_t mark = 0;
};

class UnitTable {
 public:
  // Units that are cleared or asked for together.
  static constexpr std::uint64_t kLeafUnits = 64;
  static constexpr std::uint64_t kRegionUnits = 16'384;

  explicit UnitTable(std::uint64_t units)
      : bytes_(zeroed<std::uint8_t>(units * kEntry, true)),
        regions_((units + kRegionUnits - 1) / kRegionUnits) {}

  // False if nothing is known here of the unit.
  bool find(std::uint64_t unit, MappedPlace& mapped) const {
    const std::uint8_t* at = bytes_.get() + unit * kEntry;
    std::uint32_t code = 0;
    std::memcpy(&code, at, 4);
    mapped = {code - 1, at[4]};
    if (code == kNothing) mapped = {};
    return code != kUnknown;
  }
  void set(std::uint64_t unit, MappedPlace mapped) {
    const std::uint32_t code = mapped.place == kNoPlace ? kNothing : mapped.place + 1;
    std::uint8_t* at = bytes_.get() + unit * kEntry;
    std::memcpy(at, &code, 4);
    at[4] = mapped.mark;
    regions_[unit / kRegionUnits] = 1;
  }
  void prefetch(std::uint64_t unit) const { __builtin_prefetch(bytes_.get() + unit * kEntry, 1); }

  // Nothing is known of any unit in the leaf that begins at `first`.
  bool leaf_unknown(std::uint64_t first) const {
    const std::uint8_t* at = bytes_.get() + first * kEntry;
    return std::all_of(at, at + kLeafUnits * kEntry, [](std::uint8_t each) { return each == 0; });
  }
  // The whole leaf lies nowhere.
  void clear_leaf(std::uint64_t first) {
    for (std::uint64_t unit = first; unit < first + kLeafUnits; ++unit) set(unit, {});
  }
  bool region_untouched(std::uint64_t unit) const { return regions_[unit / kRegionUnits] == 0; }

 private:
  static constexpr std::size_t kEntry = 5;
  static constexpr std::uint32_t kUnknown = 0;
  static constexpr std::uint32_t kNothing = 0xFFFF'FFFF;  // places end below it less one

  Zeroed<std::uint8_t> bytes_;
  std::vector<std::uint8_t> regions_;
};

}  // namespace nvmesim::models
