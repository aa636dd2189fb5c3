// The controller memory buffer as the driver sees it: where it lies, what it may be used for, and
// pages of it for submission queues (NVMe 1.4, section 4.7).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "host/kernel/page_allocator.hpp"

namespace nvmesim::host {

class ControllerMemory {
 public:
  // Bus address and length of what is inside the BAR.
  void set(std::uint64_t address, std::uint64_t bytes) {
    address_ = address;
    bytes_ = bytes;
  }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t address() const { return address_; }
  std::uint64_t in_use() const {
    std::uint64_t total = 0;
    for (const auto& [offset, length] : used_) total += length;
    return total;
  }

  // Whole pages, the lowest that fit; 0 if there is no room.
  std::uint64_t allocate(std::uint64_t bytes) {
    const std::uint64_t length = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    std::uint64_t at = 0;
    for (const auto& [offset, used] : used_) {
      if (offset - at >= length) break;
      at = offset + used;
    }
    if (length == 0 || at > bytes_ || bytes_ - at < length) return 0;
    used_[at] = length;
    return address_ + at;
  }
  void free(std::uint64_t address) { used_.erase(address - address_); }

  // The depth that so many queues of `entry_bytes` an entry can have in it: `depth` if that fits,
  // else what an equal share in whole pages holds; 0 if that is below 64.
  std::uint32_t queue_depth(unsigned queues, std::uint32_t depth, std::uint32_t entry_bytes) const {
    const std::uint64_t need =
        (std::uint64_t{depth} * entry_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    if (need * queues <= bytes_) return depth;
    const std::uint64_t share = bytes_ / queues / kPageBytes * kPageBytes;
    const auto fits = static_cast<std::uint32_t>(share / entry_bytes);
    constexpr std::uint32_t kLeast = 64;
    return fits < kLeast ? 0 : fits;
  }

 private:
  std::uint64_t address_ = 0;
  std::uint64_t bytes_ = 0;
  std::map<std::uint64_t, std::uint64_t> used_;  // offset -> length
};

}  // namespace nvmesim::host
