// Where units lie that are not where the initial layout has them, for a drive so large that a dense
// table would cost more: open addressing with linear probing, nine bytes an entry, at most three
// quarters full. Never iterated in its order, except to be saved in the order of units.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

namespace nvmesim::models {

class UnitOverlay {
 public:
  struct Value {
    std::uint32_t place = 0;
    std::uint8_t mark = 0;
  };

  bool find(std::uint64_t unit, Value& value) const {
    if (size_ == 0) return false;
    for (std::size_t i = home(unit);; i = (i + 1) & mask_) {
      const std::uint32_t key = key_at(i);
      if (key == kEmpty) return false;
      if (key == unit) {
        value = value_at(i);
        return true;
      }
    }
  }
  void prefetch(std::uint64_t unit) const {
    if (size_ != 0) __builtin_prefetch(bytes_.data() + home(unit) * kEntry, 1);
  }
  void set(std::uint64_t unit, Value value) {
    if ((size_ + 1) * 4 > (mask_ + 1) * 3) grow();
    std::size_t i = home(unit);
    while (key_at(i) != kEmpty && key_at(i) != unit) i = (i + 1) & mask_;
    if (key_at(i) == kEmpty) ++size_;
    const auto key = static_cast<std::uint32_t>(unit);
    std::uint8_t* at = bytes_.data() + i * kEntry;
    std::memcpy(at, &key, 4);
    std::memcpy(at + 4, &value.place, 4);
    at[8] = value.mark;
  }
  void clear() {
    bytes_.clear();
    mask_ = 0;
    size_ = 0;
  }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kEntry = 9;
  static constexpr std::uint32_t kEmpty = 0xFFFF'FFFF;

  std::uint32_t key_at(std::size_t i) const {
    std::uint32_t key = 0;
    std::memcpy(&key, bytes_.data() + i * kEntry, 4);
    return key;
  }
  Value value_at(std::size_t i) const {
    Value value;
    std::memcpy(&value.place, bytes_.data() + i * kEntry + 4, 4);
    value.mark = bytes_[i * kEntry + 8];
    return value;
  }
  std::size_t home(std::uint64_t unit) const {
    return static_cast<std::size_t>(unit * 0x9E37'79B9'7F4A'7C15 >> 32) & mask_;
  }
  void grow() {
    std::vector<std::uint8_t> old = std::move(bytes_);
    const std::size_t entries = old.size() / kEntry;
    const std::size_t capacity = entries == 0 ? 1024 : entries * 2;
    bytes_.assign(capacity * kEntry, 0xFF);
    mask_ = capacity - 1;
    size_ = 0;
    for (std::size_t i = 0; i < entries; ++i) {
      const std::uint8_t* at = old.data() + i * kEntry;
      std::uint32_t key = 0;
      Value value;
      std::memcpy(&key, at, 4);
      if (key == kEmpty) continue;
      std::memcpy(&value.place, at + 4, 4);
      value.mark = at[8];
      set(key, value);
    }
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace nvmesim::models
