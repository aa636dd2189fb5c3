// Which of a die's queues is served next. Implementations live in models/nand/policies.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "models/nand/die_job.hpp"

namespace nvmesim::models {

class DiePolicy {
 public:
  virtual ~DiePolicy() = default;
  // heads[c] is the oldest waiting job of class c, or null; at least one is not null. Returns the
  // class to serve. Must be a function of its arguments alone.
  virtual std::size_t pick(std::span<const DieJob* const, kJobClasses> heads,
                           base::Time now) const = 0;
};

// Names: "read_first", "fifo". Throws UserError for another one.
std::unique_ptr<DiePolicy> make_die_policy(std::string_view name, base::Time age_limit);

}  // namespace nvmesim::models
