// The host memory buffer: memory of the host lent to the drive, in chunks that a table of
// descriptors names (NVMe 1.4, section 8.9). Who owns it tells the drive.
#pragma once

#include <cstdint>
#include <vector>

#include "host/kernel/page_allocator.hpp"

namespace nvmesim::host {

// What the drive asks for (Identify HMPRE, HMMIN, HMMINDS, HMMAXD); bytes.
struct HostMemoryWish {
  std::uint64_t preferred = 0;
  std::uint64_t minimum = 0;
  std::uint64_t smallest_chunk = 0;  // 0: any
  std::uint32_t most_chunks = 0;     // 0: any number
};

class HostMemoryBuffer {
 public:
  explicit HostMemoryBuffer(PageAllocator& pages, PhysicalMemory& memory)
      : pages_(pages), memory_(memory) {}
  ~HostMemoryBuffer() { release(); }
  HostMemoryBuffer(const HostMemoryBuffer&) = delete;
  HostMemoryBuffer& operator=(const HostMemoryBuffer&) = delete;

  // Chunks of at most 4 MiB, halved until as much fits as was preferred, or at least the minimum,
  // into memory and descriptors. False: not even that; nothing is held.
  bool allocate(const HostMemoryWish& wish);
  void release();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t descriptors() const { return table_.address; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(chunks_.size()); }
  const std::vector<DmaMemory>& chunks() const { return chunks_; }

 private:
  bool allocate_chunks(const HostMemoryWish& wish, std::uint64_t chunk);

  PageAllocator& pages_;
  PhysicalMemory& memory_;
  std::uint64_t bytes_ = 0;
  DmaMemory table_;
  std::vector<DmaMemory> chunks_;
};

}  // namespace nvmesim::host
