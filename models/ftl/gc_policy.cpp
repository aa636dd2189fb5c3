#include "models/ftl/gc_policy.hpp"

#include <fmt/format.h>

#include "models/ftl/policies/cost_benefit.hpp"
#include "models/ftl/policies/d_choices.hpp"
#include "models/ftl/policies/fifo.hpp"
#include "models/ftl/policies/greedy.hpp"
#include "models/ftl/policies/windowed.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::unique_ptr<GcPolicy> make_gc_policy(std::string_view name, const GcPolicyShape& shape) {
  if (name == "greedy")
    return std::make_unique<GreedyGc>(shape.superblocks, shape.superblock_units);
  if (name == "fifo") return std::make_unique<FifoGc>(shape.superblocks);
  if (name == "cost_benefit") {
    return std::make_unique<CostBenefitGc>(shape.superblocks, shape.superblock_units);
  }
  if (name == "d_choices") {
    return std::make_unique<DChoicesGc>(shape.superblocks, shape.choices, shape.seed);
  }
  if (name == "windowed") return std::make_unique<WindowedGc>(shape.superblocks, shape.choices);
  throw base::UserError(fmt::format(
      "ftl.gc_policy: no policy is called \"{}\" (greedy, fifo, cost_benefit, d_choices, windowed)",
      name));
}

}  // namespace nvmesim::models
