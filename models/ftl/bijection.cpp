#include "models/ftl/bijection.hpp"

#include "sim/base/assert.hpp"
#include "sim/base/random.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {
namespace {

std::uint64_t root_rounded_up(std::uint64_t n) {
  std::uint64_t low = 1;
  std::uint64_t high = std::uint64_t{1} << 31;
  while (low < high) {
    const std::uint64_t middle = (low + high) / 2;
    if (middle * middle >= n) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

Bijection::Bijection(std::uint64_t n, std::uint64_t key)
    : n_(n), rows_(root_rounded_up(n)), columns_(base::ceil_div(n, rows_)) {
  NVMESIM_ASSERT(n > 0 && n < std::uint64_t{1} << 62, "a permutation of a wrong size");
  for (std::uint64_t& each : keys_) each = base::splitmix64(key);
}

}  // namespace nvmesim::models
