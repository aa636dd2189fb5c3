// A pseudo-random order of the numbers 0 to n-1, each exactly once, in constant memory: a Feistel
// network over the next even number of bits, walked until it falls below n.
#pragma once

#include <array>
#include <cstdint>

#include "sim/base/random.hpp"

namespace nvmesim::workload {

class Permutation {
 public:
  // n must not be 0.
  Permutation(std::uint64_t n, base::Random& random);

  std::uint64_t size() const { return n_; }
  std::uint64_t at(std::uint64_t index) const;

 private:
  static constexpr std::size_t kRounds = 4;

  std::uint64_t once(std::uint64_t value) const;

  std::uint64_t n_;
  unsigned half_bits_;
  std::uint64_t half_mask_;
  std::array<std::uint64_t, kRounds> keys_{};
};

}  // namespace nvmesim::workload
