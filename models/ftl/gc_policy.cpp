#include "models/ftl/gc_policy.hpp"

#include <fmt/format.h>

#include "models/ftl/policies/fifo.hpp"
#include "models/ftl/policies/greedy.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::unique_ptr<GcPolicy> make_gc_policy(std::string_view name, std::uint32_t superblocks,
                                         std::uint32_t superblock_units) {
  if (name == "greedy") return std::make_unique<GreedyGc>(superblocks, superblock_units);
  if (name == "fifo") return std::make_unique<FifoGc>(superblocks);
  throw base::UserError(
      fmt::format("ftl.gc_policy: no policy is called \"{}\" (greedy, fifo)", name));
}

}  // namespace nvmesim::models
