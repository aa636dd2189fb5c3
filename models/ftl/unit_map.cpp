#include "models/ftl/unit_map.hpp"

#include <algorithm>

#include "models/ftl/superblocks.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

UnitMap::UnitMap(const Geometry& geometry, const InitialLayout& layout, InitialMark initial_mark)
    : geometry_(geometry),
      layout_(layout),
      initial_mark_(initial_mark),
      mapped_(layout.units()),
      units_(0),
      places_(geometry, layout) {
  forget_units();
}

// All units are where the layout has them.
void UnitMap::forget_units() {
  const bool small = geometry_.logical_units <= kDenseUnits;
  sparse_ = !small && layout_.scattered();
  overlay_.clear();
  table_.reset(small ? new UnitTable(geometry_.logical_units) : nullptr);
  units_ = SparseArray<UnitLeaf>(small || sparse_ ? 0 : geometry_.logical_units);
}

UnitMap::Mapped UnitMap::initial(std::uint64_t unit) const {
  if (forgotten_ || !layout_.holds(unit)) return {};
  const Place place = layout_.place_of(unit);
  return {place, initial_mark_(geometry_, place)};
}

UnitMap::Mapped UnitMap::find_elsewhere(std::uint64_t unit) const {
  if (sparse_) {
    UnitOverlay::Value value;
    if (overlay_.find(unit, value)) return {value.place, value.mark};
    return initial(unit);
  }
  const auto found = units_.find(unit);
  if (found.leaf != nullptr && found.leaf->knows(unit)) return found.leaf->get(unit);
  if (found.state == SparseArray<UnitLeaf>::State::kCleared) return {};
  return initial(unit);
}

UnitMap::UnitLeaf& UnitMap::touch_unit(std::uint64_t unit) {
  return units_.touch(unit, [](UnitLeaf& leaf, std::uint64_t first, bool cleared) {
    leaf.known = 0;
    if (!cleared) return;
    for (std::uint64_t i = first; i < first + 64; ++i) leaf.set(i, {});
  });
}

void UnitMap::set(std::uint64_t unit, Mapped mapped) {
  if (table_) {
    table_->set(unit, mapped);
  } else if (sparse_) {
    overlay_.set(unit, {mapped.place, mapped.mark});
  } else {
    touch_unit(unit).set(unit, mapped);
  }
}

void UnitMap::validate(Place place, std::uint64_t unit) {
  NVMESIM_ASSERT(places_.record(place) == unit, "a unit was bound to a place of another unit");
  places_.set_valid(place);
}

UnitMap::Mapped UnitMap::bind(std::uint64_t unit, Place place, std::uint8_t mark) {
  const Mapped old = find(unit);
  if (forgotten_ || !layout_.holds(unit)) beyond_layout_ = true;
  set(unit, {place, mark});
  validate(place, unit);
  if (old.place != kNoPlace) {
    places_.clear_valid(old.place);
  } else {
    ++mapped_;
  }
  return old;
}

UnitMap::Mapped UnitMap::move(std::uint64_t unit, Place old, Place place, std::uint8_t mark) {
  const Mapped was = find(unit);
  if (was.place != old) return was;
  set(unit, {place, mark});
  validate(place, unit);
  places_.clear_valid(old);
  return was;
}

void UnitMap::revert(std::uint64_t unit, Place place, Place old, std::uint8_t old_mark) {
  NVMESIM_ASSERT(find(unit).place == place, "a unit is reverted that has moved on");
  places_.clear_valid(place);
  if (old == kNoPlace) {
    set(unit, {});
    --mapped_;
    return;
  }
  set(unit, {old, old_mark});
  places_.revalidate(old);
}

Place UnitMap::unbind(std::uint64_t unit) {
  const Place old = find(unit).place;
  if (old == kNoPlace) return old;
  set(unit, {});
  places_.clear_valid(old);
  --mapped_;
  return old;
}

void UnitMap::unbind_all() {
  forgotten_ = true;
  beyond_layout_ = false;
  mapped_ = 0;
  forget_units();
  places_.clear_all_valid();
}

Place UnitMap::unbind_initial(std::uint64_t first) {
  if (sparse_ || forgotten_ || !layout_.contiguous() || geometry_.parity) return kNoPlace;
  if (first % 64 != 0 || first + 64 > layout_.host_units()) return kNoPlace;
  const bool absent = table_ ? table_->leaf_unknown(first)
                             : units_.find(first).state == SparseArray<UnitLeaf>::State::kAbsent;
  if (!absent) return kNoPlace;
  // The units never moved, so their places were never touched either.
  const Place place = layout_.place_of(first);
  if (table_) {
    table_->clear_leaf(first);
  } else {
    units_.clear_leaf(first);
  }
  places_.clear_valid_64(place);
  mapped_ -= 64;
  return place;
}

bool UnitMap::in_gap(std::uint64_t unit, std::uint64_t& end_of_gap) const {
  if (layout_.holds(unit) && !forgotten_) return false;
  if (sparse_) {
    if (beyond_layout_) return false;
    end_of_gap = geometry_.logical_units;
    return true;
  }
  const std::uint64_t node = table_ ? table_->kRegionUnits : units_.kNodeSize;
  if (!(table_ ? table_->region_untouched(unit) : units_.node_untouched(unit))) return false;
  end_of_gap = std::min((unit / node + 1) * node, geometry_.logical_units);
  return true;
}

void UnitMap::save(StateWriter& out) const {
  out.number(forgotten_);
  out.number(beyond_layout_);
}

void UnitMap::load(StateReader& in) {
  forgotten_ = in.number("a flag", 1) != 0;
  beyond_layout_ = in.number("a flag", 1) != 0;
  mapped_ = forgotten_ ? 0 : layout_.units();
  forget_units();
  places_.restart();
}

void UnitMap::bind_loaded(StateReader& in, const Superblocks& superblocks) {
  for (std::uint32_t i = 0; i < geometry_.superblocks; ++i) unbind_dead(i, in);
  for (std::uint32_t i = 0; i < geometry_.superblocks; ++i) {
    if (places_.is_written(i)) bind_written(i, in, superblocks);
  }
}

// Units whose initial place is not valid any more, or is gone with its superblock.
void UnitMap::unbind_dead(std::uint32_t superblock, StateReader& in) {
  if (forgotten_) {
    for (std::uint32_t word = 0; word < (geometry_.superblock_units + 63) / 64; ++word) {
      const bool all = places_.dead_bits(superblock, word) == ~std::uint64_t{0};
      if (places_.is_initial(superblock) && !all) in.fail("forgotten places are valid");
    }
    return;
  }
  if (!layout_.closed(superblock)) return;
  const bool gone = !places_.is_initial(superblock);
  for (std::uint32_t at = 0; at < geometry_.superblock_units; ++at) {
    if (!gone && at % 64 == 0 && places_.dead_bits(superblock, at / 64) == 0) {
      at += 63;
      continue;
    }
    if (!gone && (places_.dead_bits(superblock, at / 64) >> (at % 64) & 1) == 0) continue;
    const Place place = superblock * geometry_.superblock_units + at;
    if (!layout_.valid(place)) {
      if (!gone) in.fail("a place became invalid that was not valid");
      continue;
    }
    set(layout_.record(place), {});
    --mapped_;
  }
}

void UnitMap::bind_written(std::uint32_t superblock, StateReader& in,
                           const Superblocks& superblocks) {
  for (std::uint32_t at = 0; at < geometry_.superblock_units; ++at) {
    const Place place = superblock * geometry_.superblock_units + at;
    if (!places_.valid(place)) continue;
    const std::uint64_t unit = places_.record(place);
    if (find(unit).place != kNoPlace) in.fail("two places hold the same unit");
    set(unit, {place, superblocks.mark(place)});
    ++mapped_;
  }
}

}  // namespace nvmesim::models
