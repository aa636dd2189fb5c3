#include "device/bad_blocks.hpp"

namespace nvmesim::device {

void BadBlocks::mark(std::uint64_t first, std::uint64_t bytes) {
  clear(first, bytes);
  ranges_.emplace(first, first + bytes);
}

void BadBlocks::clear(std::uint64_t first, std::uint64_t bytes) {
  const std::uint64_t end = first + bytes;
  auto range = ranges_.lower_bound(first);
  if (range != ranges_.begin() && std::prev(range)->second > first) --range;
  while (range != ranges_.end() && range->first < end) {
    const auto [begin, stop] = *range;
    range = ranges_.erase(range);
    if (begin < first) ranges_.emplace(begin, first);
    if (stop > end) range = ranges_.emplace(end, stop).first;
  }
}

bool BadBlocks::touches(std::uint64_t first, std::uint64_t bytes) const {
  const auto behind = ranges_.lower_bound(first + bytes);
  return behind != ranges_.begin() && std::prev(behind)->second > first;
}

}  // namespace nvmesim::device
