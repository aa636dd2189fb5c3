// Small blocks of coherent memory of one size, cut from pages, never across one. Allocating and
// freeing are O(1); the block freed last is given out first. Pages go back when the pool is
// destroyed, by when every block must have been freed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/kernel/page_allocator.hpp"

namespace nvmesim::host {

class DmaPool {
 public:
  // align: a power of two. Block size is rounded up to it and at most a page.
  DmaPool(std::string name, PageAllocator& pages, std::uint32_t block_bytes, std::uint32_t align);
  ~DmaPool();
  DmaPool(const DmaPool&) = delete;
  DmaPool& operator=(const DmaPool&) = delete;

  // Address of a block, contents undefined; 0 if memory ran out.
  std::uint64_t alloc();
  void free(std::uint64_t address);

  const std::string& name() const { return name_; }
  std::uint32_t block_bytes() const { return block_bytes_; }
  std::uint64_t in_use() const { return in_use_; }

 private:
  const std::string name_;
  PageAllocator& allocator_;
  const std::uint32_t block_bytes_;
  std::vector<std::uint64_t> free_;
  std::vector<std::uint64_t> pages_;
  std::uint64_t in_use_ = 0;
};

}  // namespace nvmesim::host
