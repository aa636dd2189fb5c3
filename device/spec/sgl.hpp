// Scatter gather lists (section 4.4): 16-byte descriptors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nvmesim::device::spec {

enum class SglType : std::uint8_t {
  kDataBlock = 0x0,
  kBitBucket = 0x1,
  kSegment = 0x2,
  kLastSegment = 0x3,
  kKeyedDataBlock = 0x4,
  kTransportDataBlock = 0x5,
};

struct SglDescriptor {
  std::uint64_t address;
  std::uint32_t length;  // bytes
  std::array<std::uint8_t, 3> reserved12;
  std::uint8_t identifier;  // type 7:4, subtype 3:0

  constexpr SglType type() const { return static_cast<SglType>(identifier >> 4); }
  constexpr unsigned subtype() const { return identifier & 0xFu; }
  constexpr bool segment() const {
    return type() == SglType::kSegment || type() == SglType::kLastSegment;
  }
};
static_assert(sizeof(SglDescriptor) == 16);
static_assert(offsetof(SglDescriptor, identifier) == 15);

constexpr SglDescriptor sgl_descriptor(SglType type, std::uint64_t address, std::uint32_t length,
                                       unsigned subtype = 0) {
  return {address,
          length,
          {},
          static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | (subtype & 0xF))};
}

// Identify Controller, SGLS.
inline constexpr std::uint32_t kSglsSupported = 1u << 0;     // no alignment
inline constexpr std::uint32_t kSglsDwordAligned = 2u << 0;  // dwords only
inline constexpr std::uint32_t kSglsBitBucket = 1u << 16;
inline constexpr std::uint32_t kSglsByteMetadata = 1u << 17;     // MPTR with any alignment
inline constexpr std::uint32_t kSglsMetadataSegment = 1u << 19;  // PSDT 10b

// SQE flags bits 7:6.
inline constexpr unsigned kPsdtPrp = 0;
inline constexpr unsigned kPsdtSgl = 1;          // MPTR is an address
inline constexpr unsigned kPsdtSglMetadata = 2;  // MPTR is the address of an SGL descriptor

}  // namespace nvmesim::device::spec
