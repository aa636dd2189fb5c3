// The kernel's page allocator: 4 KiB pages and contiguous ranges of host RAM, and coherent DMA
// memory, which is such a range zeroed. Lowest address first; a single page freed last is given
// out first. Physical and DMA addresses are the same; coherent memory is mapped for devices.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "host/kernel/physical_memory.hpp"

namespace nvmesim::host {

class DmaMapping;

inline constexpr unsigned kPageShift = 12;
inline constexpr std::uint32_t kPageBytes = 1u << kPageShift;

// A contiguous range. address 0 is never given out: it means that memory ran out.
struct DmaMemory {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;  // as asked for
  explicit operator bool() const { return address != 0; }
};

class PageAllocator {
 public:
  // dma: null if no device looks at the memory through an IOMMU.
  explicit PageAllocator(PhysicalMemory& memory, DmaMapping* dma = nullptr);

  // One page, contents undefined; 0 if there is none. O(1) once pages have been freed.
  std::uint64_t allocate_page();
  void free_page(std::uint64_t address);

  // Whole pages; contents undefined.
  DmaMemory allocate_range(std::uint64_t bytes);
  void free_range(const DmaMemory& range);

  DmaMemory dma_alloc_coherent(std::uint64_t bytes);
  void dma_free_coherent(const DmaMemory& range);
  // The same, contents undefined and not counted: pages that only a device looks at.
  DmaMemory dma_alloc_pages(std::uint64_t bytes);
  void dma_free_pages(const DmaMemory& range);

  std::uint64_t pages_in_use() const { return pages_in_use_; }
  std::uint64_t coherent_bytes_in_use() const { return coherent_bytes_; }
  std::uint64_t pages() const { return pages_; }

 private:
  std::uint64_t take(std::uint64_t pages);
  void give_back(std::uint64_t address, std::uint64_t pages);
  void merge_singles();

  PhysicalMemory& memory_;
  DmaMapping* const dma_;
  std::map<std::uint64_t, std::uint64_t> extents_;  // free: address -> pages
  std::vector<std::uint64_t> singles_;              // free single pages, the last freed at the end
  std::uint64_t pages_ = 0;
  std::uint64_t pages_in_use_ = 0;
  std::uint64_t coherent_bytes_ = 0;
};

}  // namespace nvmesim::host
