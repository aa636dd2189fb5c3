// Jobs of all classes in the order of their submission; at one instant reads go first.
#pragma once

#include "models/nand/die_policy.hpp"

namespace nvmesim::models {

class Fifo : public DiePolicy {
 public:
  std::size_t pick(std::span<const DieJob* const, kJobClasses> heads,
                   base::Time now) const override;
};

}  // namespace nvmesim::models
