#include "models/ftl/unit_map.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

UnitMap::UnitMap(const Geometry& geometry, std::uint64_t prefilled, PrefillMark prefill_mark)
    : geometry_(geometry),
      prefilled_(prefilled),
      prefill_mark_(prefill_mark),
      mapped_(prefilled),
      units_(geometry.logical_units),
      places_(geometry.physical_units) {}

UnitMap::Mapped UnitMap::find(std::uint64_t unit) const {
  const auto found = units_.find(unit);
  if (found.leaf != nullptr) return found.leaf->get(unit);
  if (found.state == SparseArray<UnitLeaf>::State::kCleared || unit >= prefilled_) return {};
  const auto place = static_cast<Place>(unit);
  return {place, prefill_mark_(geometry_, place)};
}

std::uint64_t UnitMap::record(Place place) const {
  const auto found = places_.find(place);
  if (found.leaf == nullptr) return place < prefilled_ ? place : kNoUnit;
  const std::uint32_t unit = found.leaf->units[place % 64];
  return unit == kNone ? kNoUnit : unit;
}

bool UnitMap::valid(Place place) const {
  return valid_bits(place, 1) != 0;
}

std::uint64_t UnitMap::valid_bits(Place first, std::uint32_t count) const {
  const std::uint64_t mask = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  const auto word = [this](std::uint64_t place) -> std::uint64_t {
    const auto found = places_.find(place);
    if (found.leaf != nullptr) return found.leaf->valid;
    const std::uint64_t base = place / 64 * 64;
    if (found.state == SparseArray<PlaceLeaf>::State::kCleared || base >= prefilled_) return 0;
    const std::uint64_t below = prefilled_ - base;
    return below >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << below) - 1;
  };
  const std::uint32_t shift = first % 64;
  std::uint64_t bits = word(first) >> shift;
  if (shift + count > 64) bits |= word(first + (64 - shift)) << (64 - shift);
  return bits & mask;
}

UnitMap::UnitLeaf& UnitMap::touch_unit(std::uint64_t unit) {
  return units_.touch(unit, [this](UnitLeaf& leaf, std::uint64_t first, bool cleared) {
    for (std::uint64_t i = first; i < first + 64; ++i) {
      const bool filled = !cleared && i < prefilled_;
      const auto place = static_cast<Place>(i);
      leaf.set(i, filled ? Mapped{place, prefill_mark_(geometry_, place)} : Mapped{});
    }
  });
}

UnitMap::PlaceLeaf& UnitMap::touch_place(Place place) {
  return places_.touch(place, [this](PlaceLeaf& leaf, std::uint64_t first, bool cleared) {
    leaf.valid = 0;
    for (std::uint64_t i = 0; i < 64; ++i) {
      const bool filled = first + i < prefilled_;
      leaf.units[i] = filled ? static_cast<std::uint32_t>(first + i) : kNone;
      if (filled && !cleared) leaf.valid |= std::uint64_t{1} << i;
    }
  });
}

void UnitMap::invalidate(Place place) {
  PlaceLeaf& leaf = touch_place(place);
  const std::uint64_t bit = std::uint64_t{1} << (place % 64);
  NVMESIM_ASSERT((leaf.valid & bit) != 0, "a place was invalidated twice");
  leaf.valid &= ~bit;
}

void UnitMap::write_record(Place place, std::uint64_t unit) {
  PlaceLeaf& leaf = touch_place(place);
  NVMESIM_ASSERT((leaf.valid >> (place % 64) & 1) == 0, "a valid place was programmed again");
  leaf.units[place % 64] = static_cast<std::uint32_t>(unit);
}

void UnitMap::validate(Place place, std::uint64_t unit) {
  PlaceLeaf& leaf = touch_place(place);
  NVMESIM_ASSERT(leaf.units[place % 64] == unit, "a unit was bound to a place of another unit");
  leaf.valid |= std::uint64_t{1} << (place % 64);
}

Place UnitMap::bind(std::uint64_t unit, Place place, std::uint8_t mark) {
  UnitLeaf& leaf = touch_unit(unit);
  const Place old = leaf.get(unit).place;
  leaf.set(unit, {place, mark});
  validate(place, unit);
  if (old != kNoPlace) {
    invalidate(old);
  } else {
    ++mapped_;
  }
  return old;
}

UnitMap::Mapped UnitMap::move(std::uint64_t unit, Place old, Place place, std::uint8_t mark) {
  UnitLeaf& leaf = touch_unit(unit);
  const Mapped was = leaf.get(unit);
  if (was.place != old) return was;
  leaf.set(unit, {place, mark});
  validate(place, unit);
  invalidate(old);
  return was;
}

Place UnitMap::unbind(std::uint64_t unit) {
  const Place old = find(unit).place;
  if (old == kNoPlace) return old;
  touch_unit(unit).set(unit, {});
  invalidate(old);
  --mapped_;
  return old;
}

bool UnitMap::unbind_prefilled(std::uint64_t first) {
  if (first % 64 != 0 || first + 64 > prefilled_) return false;
  if (units_.find(first).state != SparseArray<UnitLeaf>::State::kAbsent) return false;
  // The units never moved, so their places were never touched either.
  units_.clear_leaf(first);
  places_.clear_leaf(first);
  mapped_ -= 64;
  return true;
}

bool UnitMap::in_gap(std::uint64_t unit, std::uint64_t& end_of_gap) const {
  if (unit < prefilled_ || !units_.node_untouched(unit)) return false;
  const std::uint64_t node = units_.kNodeSize;
  end_of_gap = std::min((unit / node + 1) * node, geometry_.logical_units);
  return true;
}

}  // namespace nvmesim::models
