// A run of bytes held in pooled buffers of 4 KiB, for data that a command gathers in the
// controller. The buffers go back with clear(); the list keeps its room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sim/base/buffer.hpp"

namespace nvmesim::device {

class ChunkList {
 public:
  static constexpr std::uint64_t kChunk = 4096;
  struct Piece {
    std::byte* data = nullptr;
    std::uint64_t bytes = 0;
    const base::BufferRef* keep = nullptr;
  };

  void assign(base::BufferPool& pool, std::uint64_t bytes) {
    chunks_.clear();
    for (std::uint64_t have = 0; have < bytes; have += kChunk) chunks_.push_back(pool.take());
  }
  void clear() { chunks_.clear(); }

  // The bytes from `offset`, at most `limit` and at most to the end of their chunk.
  Piece piece(std::uint64_t offset, std::uint64_t limit) const {
    const base::BufferRef& chunk = chunks_[offset / kChunk];
    const std::uint64_t in_chunk = offset % kChunk;
    return {chunk->data() + in_chunk, std::min(limit, kChunk - in_chunk), &chunk};
  }
  void put(std::uint64_t offset, const std::byte* from, std::uint64_t bytes) {
    while (bytes != 0) {
      const Piece to = piece(offset, bytes);
      std::memcpy(to.data, from, to.bytes);
      from += to.bytes;
      offset += to.bytes;
      bytes -= to.bytes;
    }
  }
  void get(std::uint64_t offset, std::byte* into, std::uint64_t bytes) const {
    while (bytes != 0) {
      const Piece from = piece(offset, bytes);
      std::memcpy(into, from.data, from.bytes);
      into += from.bytes;
      offset += from.bytes;
      bytes -= from.bytes;
    }
  }

 private:
  std::vector<base::BufferRef> chunks_;
};

}  // namespace nvmesim::device
