// Cost and benefit (Rosenblum and Ousterhout 1992): the superblock with the largest
// (1 - u) age / (1 + u), u the valid share, age counted in superblocks closed since.
#pragma once

#include <vector>

#include "models/ftl/gc_policy.hpp"

namespace nvmesim::models {

class CostBenefitGc : public GcPolicy {
 public:
  CostBenefitGc(std::uint32_t superblocks, std::uint32_t superblock_units)
      : blocks_(superblocks), units_(superblock_units) {}
  void closed(std::uint32_t superblock, std::uint32_t valid) override {
    blocks_[superblock] = {++closings_, valid, true};
  }
  void changed(std::uint32_t superblock, std::uint32_t valid) override {
    blocks_[superblock].valid = valid;
  }
  void removed(std::uint32_t superblock) override { blocks_[superblock].closed = false; }
  std::optional<std::uint32_t> pick(std::uint32_t most_valid) override;

 private:
  struct Block {
    std::uint64_t closing = 0;
    std::uint32_t valid = 0;
    bool closed = false;
  };
  std::vector<Block> blocks_;
  std::uint32_t units_;
  std::uint64_t closings_ = 0;
};

}  // namespace nvmesim::models
