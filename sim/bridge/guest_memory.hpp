// The memory of the other host, as it hands it over: a table of regions, each a piece of a file
// that is mapped here. Addresses are of two kinds: physical ones (what the device's DMA and the
// descriptors of a virtqueue use) and those of the other process (what names a virtqueue).
// A lookup never yields bytes outside of one region.
//
// The file is the other process's, which may shorten it: an access then finds zeroes instead of
// ending us (a handler of SIGBUS, for our mappings alone), and lost() tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/bridge/connection.hpp"

namespace nvmesim::bridge {

struct MemoryRegion {
  std::uint64_t guest_address = 0;
  std::uint64_t bytes = 0;
  std::uint64_t user_address = 0;
  std::uint64_t file_offset = 0;
};

class GuestMemory {
 public:
  static constexpr std::size_t kMostRegions = 8;

  GuestMemory() = default;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory() { clear(); }

  // One more region, the bytes of `file`. Throws PeerError if it wraps around, overlaps another
  // one, the file is not as long, or the process has twice kMostRegions already.
  void add(const MemoryRegion& region, const Fd& file);
  void clear();
  // Bytes of a mapping that is still there were gone when they were accessed.
  bool lost() const;

  // Empty if not all of [address, address + bytes) is in one region.
  std::span<std::byte> at_guest(std::uint64_t address, std::uint64_t bytes) const;
  std::span<std::byte> at_user(std::uint64_t address, std::uint64_t bytes) const;

 private:
  struct Mapped : MemoryRegion {
    std::byte* data = nullptr;  // of guest_address
    void* mapping = nullptr;    // begins at a page
    std::uint64_t mapping_bytes = 0;
    std::size_t slot = 0;  // of what the handler knows
  };
  std::vector<Mapped> regions_;
};

}  // namespace nvmesim::bridge
