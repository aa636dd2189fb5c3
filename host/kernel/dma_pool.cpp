#include "host/kernel/dma_pool.hpp"

#include <utility>

namespace nvmesim::host {

DmaPool::DmaPool(std::string name, PageAllocator& pages, std::uint32_t block_bytes,
                 std::uint32_t align)
    : name_(std::move(name)),
      allocator_(pages),
      block_bytes_((block_bytes + align - 1) & ~(align - 1)) {
  NVMESIM_ASSERT(align != 0 && (align & (align - 1)) == 0, "alignment must be a power of two");
  NVMESIM_ASSERT(block_bytes_ != 0 && block_bytes_ <= kPageBytes, "a block larger than a page");
}

// Blocks still in use keep their pages: the allocator's count shows the leak.
DmaPool::~DmaPool() {
  if (in_use_ != 0) return;
  for (const std::uint64_t page : pages_) allocator_.dma_free_pages({page, kPageBytes});
}

std::uint64_t DmaPool::alloc() {
  if (free_.empty()) {
    const std::uint64_t page = allocator_.dma_alloc_pages(kPageBytes).address;
    if (page == 0) return 0;
    pages_.push_back(page);
    for (std::uint32_t i = kPageBytes / block_bytes_; i-- > 0;) {
      free_.push_back(page + i * block_bytes_);
    }
  }
  const std::uint64_t address = free_.back();
  free_.pop_back();
  ++in_use_;
  return address;
}

void DmaPool::free(std::uint64_t address) {
  NVMESIM_ASSERT(in_use_ != 0 && address != 0, "a pool block was freed that is not in use");
  free_.push_back(address);
  --in_use_;
}

}  // namespace nvmesim::host
