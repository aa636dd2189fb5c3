#include "models/ftl/policies/cost_benefit.hpp"

namespace nvmesim::models {

std::optional<std::uint32_t> CostBenefitGc::pick(std::uint32_t most_valid) {
  __extension__ using Wide = unsigned __int128;
  std::optional<std::uint32_t> best;
  Wide best_benefit = 0;
  std::uint64_t best_cost = 1;
  for (std::uint32_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if (!block.closed || block.valid > most_valid) continue;
    const Wide benefit = Wide{closings_ - block.closing + 1} * (units_ - block.valid);
    const std::uint64_t cost = std::uint64_t{units_} + block.valid;
    if (best && benefit * best_cost <= best_benefit * cost) continue;
    best = i;
    best_benefit = benefit;
    best_cost = cost;
  }
  return best;
}

}  // namespace nvmesim::models
