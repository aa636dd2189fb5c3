// Reads before programs before erases, the host's before the collector's. A job that has waited
// longer than the age limit goes before all that; of several such the oldest. So nothing starves.
#pragma once

#include "models/nand/die_policy.hpp"

namespace nvmesim::models {

class ReadFirst : public DiePolicy {
 public:
  explicit ReadFirst(base::Time age_limit) : age_limit_(age_limit) {}
  std::size_t pick(std::span<const DieJob* const, kJobClasses> heads,
                   base::Time now) const override;

 private:
  base::Time age_limit_;
};

}  // namespace nvmesim::models
