// What the driver makes of a namespace's Identify data: block size, capacity, limits of the disk's
// queue. Pure functions, so that each rule can be tested by itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "device/spec/identify.hpp"
#include "host/nvme/quirks.hpp"

namespace nvmesim::host {

// Of the controller: what all its disks have in common.
struct CtrlLimits {
  std::uint32_t max_hw_sectors = 0;  // 512-byte sectors per request
  std::uint32_t max_segments = 0;
  std::uint64_t max_discard_sectors = 0;
  std::uint32_t max_discard_segments = 0;
  std::uint64_t max_zeroes_sectors = 0;
  bool volatile_cache = false;
  std::uint16_t awupf = 0;  // 0's based
};

struct NsIds {
  std::array<std::uint8_t, 8> eui64{};
  std::array<std::uint8_t, 16> nguid{};
  std::array<std::uint8_t, 16> uuid{};
  std::uint8_t csi = 0;
  friend bool operator==(const NsIds&, const NsIds&) = default;
};

struct NsInfo {
  unsigned lba_shift = 9;
  std::uint16_t metadata_bytes = 0;
  std::uint8_t pi_type = 0;
  bool extended_lba = false;
  std::uint64_t capacity_sectors = 0;  // 0: the disk cannot be used
  std::uint32_t physical_block_bytes = 512;
  std::uint32_t optimal_io_bytes = 0;
  std::uint32_t chunk_sectors = 0;  // requests do not cross multiples of it; 0: they may
  std::uint32_t max_hw_sectors = 0;
  std::uint32_t max_segments = 0;
  std::uint32_t max_sectors = 0;  // soft limit of a request
  bool integrity = false;         // the host makes and checks the protection information
  bool read_only = false;
  std::uint32_t ana_group = 0;
  std::uint64_t size_blocks = 0;
  std::uint64_t used_blocks = 0;
};

// integrity: the kernel can keep protection information in memory of its own.
NsInfo derive_ns_info(const device::spec::IdentifyNamespace& id, const CtrlLimits& limits,
                      const Quirks& quirks, bool integrity = false);

// Reads the descriptor list (Identify CNS 03h) up to its end or the first descriptor of a wrong
// length. True if a command set identifier was among them.
bool parse_ns_descriptors(std::span<const std::byte> list, NsIds& ids);

// Takes EUI-64 and NGUID from Identify Namespace where the descriptors gave none.
void complete_ns_ids(const device::spec::IdentifyNamespace& id, std::uint32_t version, NsIds& ids);

}  // namespace nvmesim::host
