// Both directions of the mapping. Logical: unit -> place, with one byte of the sequence under which
// that place was programmed. Physical (PlaceTable): place -> the record in its spare area, and
// whether it is valid, that is, the current place of that unit. About nine bytes a touched unit.
//
// What the initial layout says is computed until something changes. The logical side then keeps
// five bytes a unit: in one table on a drive of moderate size, in leaves of 64 units on a large
// one; or, on a large drive in random order, an entry per changed unit. Keeps the two directions
// and the valid bits consistent; counting per superblock is the caller's.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include "models/ftl/initial_layout.hpp"
#include "models/ftl/place_table.hpp"
#include "models/ftl/unit_overlay.hpp"
#include "models/ftl/unit_table.hpp"
#include "models/nand/geometry.hpp"
#include "models/store/sparse_array.hpp"

namespace nvmesim::models {

class Superblocks;

class UnitMap {
 public:
  using Mapped = MappedPlace;

  // `initial_mark(place)` is the mark under which an initial place counts as programmed.
  using InitialMark = std::uint8_t (*)(const Geometry&, Place);
  UnitMap(const Geometry& geometry, const InitialLayout& layout, InitialMark initial_mark);

  Mapped find(std::uint64_t unit) const {
    Mapped mapped;
    if (!table_) return find_elsewhere(unit);
    return table_->find(unit, mapped) ? mapped : initial(unit);
  }
  // The unit will be looked up soon: its entry comes into the processor's cache meanwhile.
  void prefetch(std::uint64_t unit) const {
    if (table_) {
      table_->prefetch(unit);
    } else if (sparse_) {
      overlay_.prefetch(unit);
    }
  }
  // The same of the valid bit of a place.
  void prefetch_valid(Place place) const { places_.prefetch_valid(place); }
  // The unit in the record of `place`; kNoUnit if none was written there since its erase.
  std::uint64_t record(Place place) const { return places_.record(place); }
  bool valid(Place place) const { return places_.valid(place); }
  // Valid bits of `count` <= 64 places from `first`, all of one superblock, in the low bits.
  std::uint64_t valid_bits(Place first, std::uint32_t count) const {
    return places_.valid_bits(first, count);
  }

  // The record of a place that is being programmed. It is not valid yet.
  void write_record(Place place, std::uint64_t unit) { places_.write_record(place, unit); }
  // Makes `place` (whose record must name the unit) the unit's own. Returns what it was mapped to.
  Mapped bind(std::uint64_t unit, Place place, std::uint8_t mark);
  // The same if the unit still lies at `old`; else changes nothing. Returns what it was mapped to.
  Mapped move(std::uint64_t unit, Place old, Place place, std::uint8_t mark);
  // The unit lies at `old` again, as if it had never been bound to `place`: its program is lost.
  // kNoPlace: it lay nowhere.
  void revert(std::uint64_t unit, Place place, Place old, std::uint8_t old_mark);
  // The unit is mapped no more. Returns its old place.
  Place unbind(std::uint64_t unit);
  void unbind_all();
  // If the 64 units from `first` (a multiple of 64) still lie side by side where the layout put
  // them, unmaps them all at once, at little memory, and returns their first place; else kNoPlace.
  Place unbind_initial(std::uint64_t first);
  // True if no unit near `unit` was ever mapped, up to (not including) `end_of_gap`.
  bool in_gap(std::uint64_t unit, std::uint64_t& end_of_gap) const;
  void erased(std::uint32_t superblock) { places_.erased(superblock); }

  void save(StateWriter& out) const;
  // Begins anew under the layout, which has changed; then the places are loaded; then units are
  // bound to the valid ones.
  void load(StateReader& in);
  void bind_loaded(StateReader& in, const Superblocks& superblocks);
  const PlaceTable& places() const { return places_; }
  PlaceTable& places() { return places_; }

  std::uint64_t mapped() const { return mapped_; }
  bool forgotten() const { return forgotten_; }  // the layout holds nothing any more
  static constexpr std::uint64_t kNoUnit = InitialLayout::kNoUnit;

 private:
  // A leaf of a large drive. What is not known here is where the initial layout has it.
  struct UnitLeaf {
    std::uint64_t known;
    std::array<std::uint8_t, 64 * 5> bytes;

    bool knows(std::uint64_t unit) const { return (known >> (unit % 64) & 1) != 0; }
    Mapped get(std::uint64_t unit) const {
      Mapped mapped;
      const std::uint8_t* at = bytes.data() + unit % 64 * 5;
      std::memcpy(&mapped.place, at, 4);
      mapped.mark = at[4];
      return mapped;
    }
    void set(std::uint64_t unit, Mapped mapped) {
      known |= std::uint64_t{1} << (unit % 64);
      std::uint8_t* at = bytes.data() + unit % 64 * 5;
      std::memcpy(at, &mapped.place, 4);
      at[4] = mapped.mark;
    }
  };
  // The most that a table is made for: 256 GiB.
  static constexpr std::uint64_t kDenseUnits = std::uint64_t{1} << 26;

  Mapped initial(std::uint64_t unit) const;
  Mapped find_elsewhere(std::uint64_t unit) const;
  void forget_units();
  UnitLeaf& touch_unit(std::uint64_t unit);
  void set(std::uint64_t unit, Mapped mapped);
  void validate(Place place, std::uint64_t unit);
  void unbind_dead(std::uint32_t superblock, StateReader& in);
  void bind_written(std::uint32_t superblock, StateReader& in, const Superblocks& superblocks);

  const Geometry& geometry_;
  const InitialLayout& layout_;
  InitialMark initial_mark_;
  bool sparse_ = false;
  bool forgotten_ = false;      // the initial layout says nothing any more
  bool beyond_layout_ = false;  // a unit beyond the initial ones was bound
  std::uint64_t mapped_;
  std::unique_ptr<UnitTable> table_;
  SparseArray<UnitLeaf> units_;
  UnitOverlay overlay_;
  PlaceTable places_;
};

}  // namespace nvmesim::models
