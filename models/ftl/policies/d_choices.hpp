// The one with the fewest valid units of d closed superblocks drawn at random (Van Houdt 2013). If
// none of them may be collected, the one with the fewest of all.
#pragma once

#include <vector>

#include "models/ftl/gc_policy.hpp"
#include "sim/base/random.hpp"

namespace nvmesim::models {

class DChoicesGc : public GcPolicy {
 public:
  DChoicesGc(std::uint32_t superblocks, std::uint32_t choices, std::uint64_t seed)
      : valid_(superblocks), place_(superblocks), choices_(choices), random_(seed, "d_choices") {}
  void closed(std::uint32_t superblock, std::uint32_t valid) override;
  void changed(std::uint32_t superblock, std::uint32_t valid) override {
    valid_[superblock] = valid;
  }
  void removed(std::uint32_t superblock) override;
  std::optional<std::uint32_t> pick(std::uint32_t most_valid) override;

 private:
  std::vector<std::uint32_t> valid_;
  std::vector<std::uint32_t> place_;    // in members_
  std::vector<std::uint32_t> members_;  // the closed ones
  std::uint32_t choices_;
  base::Random random_;
};

}  // namespace nvmesim::models
