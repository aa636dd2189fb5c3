// Bit errors of one direction's wire: each bit is wrong with the same small probability,
// independently. Instead of drawing for each bit it draws how many bits are right until the next
// wrong one (a geometric distribution), so it costs nothing between errors.
#pragma once

#include <cstdint>

#include "sim/base/fixed_math.hpp"
#include "sim/base/random.hpp"

namespace nvmesim::pcie {

inline constexpr std::int64_t kPetabit = 1'000'000'000'000'000;

class BitErrors {
 public:
  // rate: errors in 10^15 bits; 0: none, ever.
  BitErrors(std::uint64_t rate, base::Random random);

  // Sends `bits`; how many of them are wrong.
  std::uint64_t send(std::uint64_t bits) {
    if (bits <= good_bits_) [[likely]] {
      if (enabled_) good_bits_ -= bits;
      return 0;
    }
    return count(bits);
  }

 private:
  std::uint64_t count(std::uint64_t bits);
  void draw();

  base::Random random_;
  bool enabled_ = false;
  base::Fixed log2_good_;  // of the probability that a bit is right
  std::uint64_t good_bits_ = ~std::uint64_t{0};
};

}  // namespace nvmesim::pcie
