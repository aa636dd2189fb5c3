// What a verified write puts into each 512-byte sector: a header of four little-endian words
// (magic, sector, version, check value), then 60 words derived from the check value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nvmesim::workload {

enum class SectorContent : std::uint8_t { kPattern, kZeroes, kDamaged, kForeign };

struct SectorFound {
  SectorContent content = SectorContent::kForeign;  // kDamaged: our magic, but not our bytes
  std::uint64_t sector = 0;                         // as the header says, with kPattern
  std::uint64_t version = 0;
};

// Fills whole sectors, the first one being `sector`.
void fill_pattern(std::span<std::byte> data, std::uint64_t sector, std::uint64_t version);
// What one sector's bytes are.
SectorFound inspect_sector(std::span<const std::byte> data);

}  // namespace nvmesim::workload
