#include "models/nand/policies/fifo.hpp"

namespace nvmesim::models {

std::size_t Fifo::pick(std::span<const DieJob* const, kJobClasses> heads,
                       base::Time /*now*/) const {
  std::size_t oldest = kJobClasses;
  for (std::size_t i = 0; i < kJobClasses; ++i) {
    if (heads[i] == nullptr) continue;
    if (oldest == kJobClasses || heads[i]->submitted < heads[oldest]->submitted) oldest = i;
  }
  return oldest;
}

}  // namespace nvmesim::models
