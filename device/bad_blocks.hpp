// Blocks that Write Uncorrectable made unreadable (section 6.14): disjoint ranges, which the drive
// keeps over resets. A write of a block makes it readable again.
#pragma once

#include <cstdint>
#include <map>

namespace nvmesim::device {

class BadBlocks {
 public:
  bool empty() const { return ranges_.empty(); }
  // Bytes of the media's space, as namespaces have places of their own there.
  void mark(std::uint64_t first, std::uint64_t bytes);
  void clear(std::uint64_t first, std::uint64_t bytes);
  bool touches(std::uint64_t first, std::uint64_t bytes) const;
  // Begin and end of each.
  const std::map<std::uint64_t, std::uint64_t>& ranges() const { return ranges_; }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin -> end
};

}  // namespace nvmesim::device
