#include "host/kernel/page_allocator.hpp"

#include "host/kernel/dma_mapping.hpp"

namespace nvmesim::host {
namespace {

constexpr std::uint64_t kFirst = base::kMiB;  // below it lies what a PC keeps for itself
constexpr std::uint64_t kBatch = 64;          // single pages cut from an extent at once

}  // namespace

PageAllocator::PageAllocator(PhysicalMemory& memory, DmaMapping* dma) : memory_(memory), dma_(dma) {
  const MemoryMap& map = memory.map();
  if (map.low_bytes() > kFirst) extents_[kFirst] = (map.low_bytes() - kFirst) / kPageBytes;
  if (map.high_bytes() != 0) extents_[MemoryMap::kHighBase] = map.high_bytes() / kPageBytes;
  for (const auto& [address, pages] : extents_) pages_ += pages;
}

// The lowest range of so many pages; 0 if there is none.
std::uint64_t PageAllocator::take(std::uint64_t pages) {
  for (auto extent = extents_.begin(); extent != extents_.end(); ++extent) {
    const auto [address, free_pages] = *extent;
    if (free_pages < pages) continue;
    extents_.erase(extent);
    if (free_pages > pages) extents_[address + pages * kPageBytes] = free_pages - pages;
    return address;
  }
  return 0;
}

void PageAllocator::give_back(std::uint64_t address, std::uint64_t pages) {
  auto next = extents_.lower_bound(address);
  if (next != extents_.end() && next->first == address + pages * kPageBytes) {
    pages += next->second;
    next = extents_.erase(next);
  }
  if (next != extents_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second * kPageBytes == address) {
      previous->second += pages;
      return;
    }
  }
  extents_.emplace(address, pages);
}

void PageAllocator::merge_singles() {
  for (const std::uint64_t address : singles_) give_back(address, 1);
  singles_.clear();
}

std::uint64_t PageAllocator::allocate_page() {
  if (singles_.empty()) {
    std::uint64_t pages = kBatch;
    std::uint64_t first = take(pages);
    if (first == 0) first = take(pages = 1);
    if (first == 0) return 0;
    while (pages-- > 0) singles_.push_back(first + pages * kPageBytes);
  }
  const std::uint64_t address = singles_.back();
  singles_.pop_back();
  ++pages_in_use_;
  return address;
}

void PageAllocator::free_page(std::uint64_t address) {
  NVMESIM_ASSERT(address != 0 && pages_in_use_ != 0, "a page was freed that is not in use");
  singles_.push_back(address);
  --pages_in_use_;
}

DmaMemory PageAllocator::allocate_range(std::uint64_t bytes) {
  const std::uint64_t pages = base::ceil_div(bytes, kPageBytes);
  std::uint64_t address = take(pages);
  if (address == 0) {
    merge_singles();
    address = take(pages);
  }
  if (address == 0) return {};
  pages_in_use_ += pages;
  return {address, bytes};
}

void PageAllocator::free_range(const DmaMemory& range) {
  const std::uint64_t pages = base::ceil_div(range.bytes, kPageBytes);
  NVMESIM_ASSERT(range && pages_in_use_ >= pages, "a range was freed that is not in use");
  give_back(range.address, pages);
  pages_in_use_ -= pages;
}

DmaMemory PageAllocator::dma_alloc_pages(std::uint64_t bytes) {
  const DmaMemory range = allocate_range(bytes);
  if (range && dma_ != nullptr) dma_->map(range.address, bytes, true);
  return range;
}

void PageAllocator::dma_free_pages(const DmaMemory& range) {
  if (dma_ != nullptr) dma_->unmap(range.address, range.bytes, true);
  free_range(range);
}

DmaMemory PageAllocator::dma_alloc_coherent(std::uint64_t bytes) {
  const DmaMemory range = dma_alloc_pages(bytes);
  if (!range) return range;
  memory_.zero(range.address, base::ceil_div(bytes, kPageBytes) * kPageBytes);
  coherent_bytes_ += bytes;
  return range;
}

void PageAllocator::dma_free_coherent(const DmaMemory& range) {
  dma_free_pages(range);
  coherent_bytes_ -= range.bytes;
}

}  // namespace nvmesim::host
