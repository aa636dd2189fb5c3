#include "models/nand/die_policy.hpp"

#include <fmt/format.h>

#include "models/nand/policies/fifo.hpp"
#include "models/nand/policies/read_first.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::unique_ptr<DiePolicy> make_die_policy(std::string_view name, base::Time age_limit) {
  if (name == "read_first") return std::make_unique<ReadFirst>(age_limit);
  if (name == "fifo") return std::make_unique<Fifo>();
  throw base::UserError(
      fmt::format("nand.die_policy: no policy is called \"{}\" (read_first, fifo)", name));
}

}  // namespace nvmesim::models
