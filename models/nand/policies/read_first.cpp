#include "models/nand/policies/read_first.hpp"

namespace nvmesim::models {

std::size_t ReadFirst::pick(std::span<const DieJob* const, kJobClasses> heads,
                            base::Time now) const {
  std::size_t first = kJobClasses;
  std::size_t aged = kJobClasses;
  for (std::size_t i = 0; i < kJobClasses; ++i) {
    if (heads[i] == nullptr) continue;
    if (first == kJobClasses) first = i;
    if (now - heads[i]->submitted < age_limit_) continue;
    if (aged == kJobClasses || heads[i]->submitted < heads[aged]->submitted) aged = i;
  }
  return aged != kJobClasses ? aged : first;
}

}  // namespace nvmesim::models
