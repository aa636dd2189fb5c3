// Scatter gather lists (NVMe 1.4, section 4.4) of a request's segments: one descriptor in the
// command, or a list in one block of a pool, 16 descriptors in a small one, 256 in a page.
#pragma once

#include <cstdint>
#include <span>

#include "host/kernel/dma_pool.hpp"
#include "host/kernel/physical_memory.hpp"
#include "host/nvme/prp.hpp"

namespace nvmesim::host {

struct SglDescriptor {
  std::uint64_t address;
  std::uint32_t bytes;
  std::uint8_t reserved[3];
  std::uint8_t type;  // descriptor type in 7:4
};
static_assert(sizeof(SglDescriptor) == 16);
inline constexpr std::uint8_t kSglDataBlock = 0x00;
inline constexpr std::uint8_t kSglLastSegment = 0x30;

struct SglMapping {
  SglDescriptor in_command{};
  std::uint64_t list = 0;
  bool small = false;
};

class SglMapper {
 public:
  static constexpr std::uint32_t kSmallEntries = 256 / sizeof(SglDescriptor);
  static constexpr std::uint32_t kPageEntries = 4096 / sizeof(SglDescriptor);

  SglMapper(PageAllocator& pages, PhysicalMemory& memory);

  // False: no memory; nothing is held. At most kPageEntries segments.
  bool map(std::span<const DataSegment> segments, SglMapping& mapping);
  void unmap(SglMapping& mapping);
  std::uint64_t lists_in_use() const { return page_pool_.in_use() + small_pool_.in_use(); }

 private:
  PhysicalMemory& memory_;
  DmaPool page_pool_;
  DmaPool small_pool_;
};

}  // namespace nvmesim::host
