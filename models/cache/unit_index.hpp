// Which slot holds a unit: open addressing with linear probing over a table of fixed size, twice
// the number of slots at least. Deletion moves later entries back, so there are no tombstones.
// Never iterated.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace nvmesim::models {

class UnitIndex {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  explicit UnitIndex(std::uint32_t slots)
      : table_(std::bit_ceil(std::size_t{slots} * 2 + 1)),
        shift_(64 - static_cast<unsigned>(std::countr_zero(table_.size()))) {}

  std::uint32_t find(std::uint64_t unit) const {
    for (std::size_t i = home(unit); table_[i].slot != kNone; i = next(i)) {
      if (table_[i].unit == unit) return table_[i].slot;
    }
    return kNone;
  }

  void set(std::uint64_t unit, std::uint32_t slot) {
    std::size_t i = home(unit);
    while (table_[i].slot != kNone && table_[i].unit != unit) i = next(i);
    table_[i] = {unit, slot};
  }

  void erase(std::uint64_t unit) {
    std::size_t hole = home(unit);
    while (table_[hole].slot != kNone && table_[hole].unit != unit) hole = next(hole);
    if (table_[hole].slot == kNone) return;
    for (std::size_t i = next(hole); table_[i].slot != kNone; i = next(i)) {
      // An entry may fill the hole unless its home lies between the hole and itself.
      const std::size_t mask = table_.size() - 1;
      if (((i - home(table_[i].unit)) & mask) < ((i - hole) & mask)) continue;
      table_[hole] = table_[i];
      hole = i;
    }
    table_[hole].slot = kNone;
  }

 private:
  struct Entry {
    std::uint64_t unit = 0;
    std::uint32_t slot = kNone;
  };
  std::size_t home(std::uint64_t unit) const {
    return static_cast<std::size_t>(unit * 0x9E37'79B9'7F4A'7C15 >> shift_);
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (table_.size() - 1); }

  std::vector<Entry> table_;
  unsigned shift_;
};

}  // namespace nvmesim::models
