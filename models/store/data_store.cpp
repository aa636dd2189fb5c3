#include "models/store/data_store.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "models/spare.hpp"

namespace nvmesim::models {

DataStore::DataStore(std::uint64_t units, bool keep_data, bool keep_spare, MediaPoints& points)
    : units_(units),
      keep_data_(keep_data),
      points_(points),
      pool_(kUnitBytes + (keep_spare ? kSpareBytes : 0)),
      leaves_(keep_data ? units : 0) {}

base::BufferRef DataStore::merged(const base::BufferRef& old, const base::BufferRef& from,
                                  std::uint32_t offset, std::uint32_t bytes) {
  base::BufferRef result = take_buffer();
  if (!result) return result;
  std::byte* into = result->data();
  if (bytes < kUnitBytes) {
    if (old) {
      std::memcpy(into, old->data(), pool_.buffer_bytes());
    } else {
      std::memset(into, 0, pool_.buffer_bytes());
    }
  }
  const auto replace = [&](std::uint32_t begin, std::uint32_t count) {
    if (from) {
      std::memcpy(into + begin, from->data() + begin, count);
    } else {
      std::memset(into + begin, 0, count);
    }
  };
  replace(offset, bytes);
  if (keep_spare()) {
    const std::uint32_t first = offset / kSpareGrain;
    const std::uint32_t slots = bytes / kSpareGrain;
    replace(kUnitBytes + first * kSpareSlotBytes, slots * kSpareSlotBytes);
    replace(kUnitBytes + kSpareSlots * kSpareSlotBytes + first, slots);
  }
  return result;
}

base::BufferRef DataStore::read(UnitId unit) {
  if (!keep_data_) return {};
  const auto found = leaves_.find(unit.value());
  if (found.leaf == nullptr) return {};
  const base::BufferRef& stored = found.leaf->units[unit.value() % 64];
  if (!points_.store_read.armed() || !stored) return stored;
  base::BufferRef copy = pool_.take();
  std::memcpy(copy->data(), stored->data(), pool_.buffer_bytes());
  points_.store_read(unit, std::span(copy->data(), kUnitBytes));
  return copy;
}

void DataStore::write(UnitId unit, const base::BufferRef& data) {
  if (!keep_data_) return;
  if (points_.store_write.armed()) {
    bool drop = false;
    points_.store_write(unit, drop);
    if (drop) return;
  }
  Leaf& leaf =
      leaves_.touch(unit.value(), [](Leaf& fresh, std::uint64_t, bool) { fresh.units.fill({}); });
  base::BufferRef& stored = leaf.units[unit.value() % 64];
  if (!stored) ++units_kept_;
  stored = data;
}

void DataStore::clear(std::uint64_t first, std::uint64_t count) {
  if (!keep_data_) return;
  const std::uint64_t end = first + count;
  for (std::uint64_t unit = first; unit < end;) {
    if (leaves_.node_untouched(unit)) {
      unit = (unit / leaves_.kNodeSize + 1) * leaves_.kNodeSize;
      continue;
    }
    const std::uint64_t stop = std::min(end, (unit / leaves_.kLeafSize + 1) * leaves_.kLeafSize);
    if (Leaf* leaf = leaves_.find(unit).leaf; leaf != nullptr) {
      for (std::uint64_t each = unit; each < stop; ++each) {
        base::BufferRef& stored = leaf->units[each % 64];
        if (stored) --units_kept_;
        stored.reset();
      }
    }
    unit = stop;
  }
}

void DataStore::save(StateWriter& out) const {
  out.number(units_kept_);
  if (!keep_data_) return;
  for (std::uint64_t unit = 0; unit < units_;) {
    if (leaves_.node_untouched(unit)) {
      unit = (unit / leaves_.kNodeSize + 1) * leaves_.kNodeSize;
      continue;
    }
    const auto found = leaves_.find(unit);
    for (std::uint64_t i = 0; found.leaf != nullptr && i < leaves_.kLeafSize; ++i) {
      const base::BufferRef& stored = found.leaf->units[i];
      if (!stored) continue;
      out.number(unit + i);
      out.bytes({stored->data(), pool_.buffer_bytes()});
    }
    unit += leaves_.kLeafSize;
  }
}

void DataStore::load(std::uint64_t units, StateReader& in) {
  const std::uint64_t count = in.number("the number of units with data", units);
  std::array<std::byte, kUnitBytes + kSpareBytes> over;
  for (std::uint64_t i = 0; i < count; ++i) {
    const UnitId unit{in.number("a unit with data", units - 1)};
    const base::BufferRef data = take_buffer();
    in.bytes(data ? std::span(data->data(), pool_.buffer_bytes())
                  : std::span<std::byte>(over).first(pool_.buffer_bytes()));
    write(unit, data);
  }
}

}  // namespace nvmesim::models
