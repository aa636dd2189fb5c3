#include "host/nvme/host_memory_buffer.hpp"

#include <algorithm>

#include "sim/base/units.hpp"

namespace nvmesim::host {
namespace {

constexpr std::uint64_t kLargestChunk = 4 << 20;
constexpr std::uint64_t kSmallestChunk = 2 * kPageBytes;

struct Descriptor {
  std::uint64_t address;
  std::uint32_t pages;
  std::uint32_t reserved;
};
static_assert(sizeof(Descriptor) == 16);

}  // namespace

bool HostMemoryBuffer::allocate(const HostMemoryWish& wish) {
  const std::uint64_t smallest = std::max(wish.smallest_chunk, kSmallestChunk);
  for (std::uint64_t chunk = std::min(wish.preferred, kLargestChunk); chunk >= smallest;
       chunk /= 2) {
    if (!allocate_chunks(wish, chunk)) continue;
    if (bytes_ >= wish.minimum) return true;
    release();
  }
  return false;
}

// As many as there can be; false if there is none.
bool HostMemoryBuffer::allocate_chunks(const HostMemoryWish& wish, std::uint64_t chunk) {
  std::uint64_t entries = base::ceil_div(wish.preferred, chunk);
  if (wish.most_chunks != 0) entries = std::min<std::uint64_t>(entries, wish.most_chunks);
  table_ = pages_.dma_alloc_coherent(entries * sizeof(Descriptor));
  if (!table_) return false;
  while (bytes_ < wish.preferred && chunks_.size() < entries) {
    const DmaMemory memory = pages_.dma_alloc_pages(std::min(chunk, wish.preferred - bytes_));
    if (!memory) break;
    memory_.store(
        table_.address + chunks_.size() * sizeof(Descriptor),
        Descriptor{memory.address, static_cast<std::uint32_t>(memory.bytes / kPageBytes), 0});
    chunks_.push_back(memory);
    bytes_ += memory.bytes;
  }
  if (!chunks_.empty()) return true;
  release();
  return false;
}

void HostMemoryBuffer::release() {
  for (const DmaMemory& chunk : chunks_) pages_.dma_free_pages(chunk);
  chunks_.clear();
  if (table_) pages_.dma_free_coherent(table_);
  table_ = {};
  bytes_ = 0;
}

}  // namespace nvmesim::host
