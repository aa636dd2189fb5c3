// Both directions of the mapping. Logical: unit -> place, with one byte of the sequence under which
// that place was programmed. Physical: place -> the record in its spare area (the unit), and
// whether it is valid, that is, the current place of that unit. About nine bytes per touched unit.
//
// A drive may be prefilled: units below `prefilled` start at the place of the same number. That is
// computed, not stored, until a unit of the same 64 changes.
// Keeps the two directions and the valid bits consistent; counting per superblock is the caller's.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "models/nand/geometry.hpp"
#include "models/store/sparse_array.hpp"

namespace nvmesim::models {

class UnitMap {
 public:
  struct Mapped {
    Place place = kNoPlace;  // kNoPlace: never written, or deallocated
    std::uint8_t mark = 0;
  };

  // `prefill_mark(place)` is the mark under which a prefilled place counts as programmed.
  using PrefillMark = std::uint8_t (*)(const Geometry&, Place);
  UnitMap(const Geometry& geometry, std::uint64_t prefilled, PrefillMark prefill_mark);

  Mapped find(std::uint64_t unit) const;
  // The unit in the record of `place`; kNoUnit if none was ever written there.
  std::uint64_t record(Place place) const;
  bool valid(Place place) const;
  // Valid bits of `count` <= 64 places from `first`, in the low bits.
  std::uint64_t valid_bits(Place first, std::uint32_t count) const;

  // The record of a place that is being programmed. It is not valid yet.
  void write_record(Place place, std::uint64_t unit);
  // Makes `place` (whose record must name the unit) the unit's own. Returns its old place.
  Place bind(std::uint64_t unit, Place place, std::uint8_t mark);
  // The same if the unit still lies at `old`; else changes nothing. Returns what it was mapped to.
  Mapped move(std::uint64_t unit, Place old, Place place, std::uint8_t mark);
  // The unit is mapped no more. Returns its old place.
  Place unbind(std::uint64_t unit);
  // If the 64 units from `first` (a multiple of 64) still lie where the prefill put them, unmaps
  // them all at once, at no memory, and returns true: the places of the same numbers are free.
  bool unbind_prefilled(std::uint64_t first);
  // True if no unit near `unit` was ever mapped, up to (not including) `end_of_gap`.
  bool in_gap(std::uint64_t unit, std::uint64_t& end_of_gap) const;

  std::uint64_t mapped() const { return mapped_; }
  std::uint64_t prefilled() const { return prefilled_; }
  std::uint64_t leaves() const { return units_.leaves() + places_.leaves(); }

  static constexpr std::uint64_t kNoUnit = ~std::uint64_t{0};

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  // Five bytes a unit, side by side: a look-up touches one cache line as a rule.
  struct UnitLeaf {
    std::array<std::uint8_t, 64 * 5> bytes;

    Mapped get(std::uint64_t unit) const {
      Mapped mapped;
      const std::uint8_t* at = bytes.data() + unit % 64 * 5;
      std::memcpy(&mapped.place, at, 4);
      mapped.mark = at[4];
      return mapped;
    }
    void set(std::uint64_t unit, Mapped mapped) {
      std::uint8_t* at = bytes.data() + unit % 64 * 5;
      std::memcpy(at, &mapped.place, 4);
      at[4] = mapped.mark;
    }
  };
  struct PlaceLeaf {
    std::array<std::uint32_t, 64> units;
    std::uint64_t valid;
  };

  UnitLeaf& touch_unit(std::uint64_t unit);
  PlaceLeaf& touch_place(Place place);
  void validate(Place place, std::uint64_t unit);
  void invalidate(Place place);

  const Geometry& geometry_;
  std::uint64_t prefilled_;
  PrefillMark prefill_mark_;
  std::uint64_t mapped_;
  SparseArray<UnitLeaf> units_;
  SparseArray<PlaceLeaf> places_;
};

}  // namespace nvmesim::models
