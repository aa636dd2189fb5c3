// Data pointers of a command: PRP entries for a request's memory, and the lists that hold them when
// there are more than two (NVMe 4.3). Lists come from two pools: blocks of 256 bytes for up to 32
// entries, else whole pages, each chained to the next by its last entry.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "host/kernel/dma_pool.hpp"
#include "host/kernel/physical_memory.hpp"

namespace nvmesim::host {

// A physically contiguous piece of a request's data.
struct DataSegment {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
};

// What a command in flight holds: its two entries and the memory of its lists.
struct PrpMapping {
  std::uint64_t prp1 = 0;
  std::uint64_t prp2 = 0;
  std::uint8_t lists = 0;  // blocks in use
  bool small = false;      // the one list is from the pool of small blocks
  // 4 MiB, whatever its alignment, needs at most 3 pages of 512 entries.
  std::array<std::uint64_t, 3> list{};
};

enum class PrpResult : std::uint8_t {
  kOk,
  kNoMemory,
  kBadSegments,  // a segment other than the first begins, or other than the last ends, in a page
};

class PrpMapper {
 public:
  static constexpr std::uint32_t kSmallBytes = 256;
  static constexpr std::uint32_t kSmallEntries = kSmallBytes / 8;
  static constexpr std::uint32_t kPageEntries = 4096 / 8;

  PrpMapper(PageAllocator& pages, PhysicalMemory& memory);

  // Nothing is held unless the result is kOk.
  PrpResult map(std::span<const DataSegment> segments, PrpMapping& mapping);
  void unmap(PrpMapping& mapping);

  std::uint64_t lists_in_use() const { return page_pool_.in_use() + small_pool_.in_use(); }

 private:
  bool collect(std::span<const DataSegment> segments, std::uint64_t first_bytes);
  bool allocate(PrpMapping& mapping);
  void write(const PrpMapping& mapping);

  PhysicalMemory& memory_;
  DmaPool page_pool_;
  DmaPool small_pool_;
  std::vector<std::uint64_t> entries_;  // of the mapping being made, without chain pointers
};

}  // namespace nvmesim::host
