// Protection information of 8 bytes a block (NVMe 1.4, section 8.3), made and checked by the host:
// guard (CRC-16 T10 DIF of the data), application tag 0, reference tag by type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nvmesim::host {

inline constexpr std::uint32_t kTupleBytes = 8;

std::uint16_t t10_dif_crc(std::span<const std::byte> data);

// `tuples` has kTupleBytes for each block of `data`. lba: of the first block.
void make_protection(std::span<const std::byte> data, std::uint32_t block_bytes, unsigned type,
                     std::uint64_t lba, std::span<std::byte> tuples);

// True if each block fits its tuple. A tuple whose application tag is FFFFh (and whose reference
// tag is FFFFFFFFh for type 3) protects nothing.
bool check_protection(std::span<const std::byte> data, std::uint32_t block_bytes, unsigned type,
                      std::uint64_t lba, std::span<const std::byte> tuples);

}  // namespace nvmesim::host
