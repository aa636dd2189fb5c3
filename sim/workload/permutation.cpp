#include "sim/workload/permutation.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::workload {
namespace {

std::uint64_t mix(std::uint64_t value) {
  value *= 0xbf58476d1ce4e5b9;
  value ^= value >> 32;
  value *= 0x94d049bb133111eb;
  return value ^ (value >> 29);
}

}  // namespace

Permutation::Permutation(std::uint64_t n, base::Random& random) : n_(n) {
  NVMESIM_ASSERT(n > 0, "a permutation of nothing");
  const auto bits = static_cast<unsigned>(std::bit_width(n - 1));
  half_bits_ = std::max(1U, (bits + 1) / 2);
  half_mask_ = (std::uint64_t{1} << half_bits_) - 1;
  for (auto& key : keys_) key = random.next();
}

std::uint64_t Permutation::once(std::uint64_t value) const {
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & half_mask_;
  for (const std::uint64_t key : keys_) {
    const std::uint64_t next = left ^ (mix(right + key) & half_mask_);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

std::uint64_t Permutation::at(std::uint64_t index) const {
  NVMESIM_ASSERT(index < n_, "beyond a permutation");
  do {
    index = once(index);
  } while (index >= n_);
  return index;
}

}  // namespace nvmesim::workload
