// What a medium may keep beside the 4 KiB of a unit, in the same buffer behind the data: a slot of
// metadata for each 512 bytes, and a byte that says whether they were ever written. A logical block
// uses the slot of its first 512 bytes. Without it (Media::keeps_spare() is false) buffers end with
// the data.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmesim::models {

inline constexpr std::uint32_t kSpareSlotBytes = 64;
inline constexpr std::uint32_t kSpareGrain = 512;  // data bytes that share a slot
inline constexpr std::uint32_t kSpareSlots = 4096 / kSpareGrain;
inline constexpr std::uint32_t kSpareBytes = kSpareSlots * kSpareSlotBytes + kSpareSlots;

// `unit`: the buffer's first byte. `in_unit`: where the block begins, a multiple of kSpareGrain.
inline std::byte* metadata_slot(std::byte* unit, std::uint32_t in_unit) {
  return unit + 4096 + std::size_t{in_unit / kSpareGrain} * kSpareSlotBytes;
}
inline const std::byte* metadata_slot(const std::byte* unit, std::uint32_t in_unit) {
  return unit + 4096 + std::size_t{in_unit / kSpareGrain} * kSpareSlotBytes;
}
// 0 until the block is written, and again when it is deallocated.
inline std::byte& written_mark(std::byte* unit, std::uint32_t in_unit) {
  return unit[4096 + std::size_t{kSpareSlots} * kSpareSlotBytes + in_unit / kSpareGrain];
}
inline std::byte written_mark(const std::byte* unit, std::uint32_t in_unit) {
  return unit[4096 + std::size_t{kSpareSlots} * kSpareSlotBytes + in_unit / kSpareGrain];
}
inline void mark_written(std::byte* unit, std::uint32_t in_unit, std::uint32_t bytes) {
  for (std::uint32_t at = in_unit; at < in_unit + bytes; at += kSpareGrain) {
    written_mark(unit, at) = std::byte{1};
  }
}

}  // namespace nvmesim::models
