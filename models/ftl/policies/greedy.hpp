// The superblock with the fewest valid units; of several the one that has had that many longest.
// One list per number of valid units: every change costs O(1).
#pragma once

#include <vector>

#include "models/ftl/gc_policy.hpp"

namespace nvmesim::models {

class GreedyGc : public GcPolicy {
 public:
  GreedyGc(std::uint32_t superblocks, std::uint32_t superblock_units);
  void closed(std::uint32_t superblock, std::uint32_t valid) override;
  void changed(std::uint32_t superblock, std::uint32_t valid) override;
  void removed(std::uint32_t superblock) override;
  std::optional<std::uint32_t> pick(std::uint32_t most_valid) override;

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  struct Link {
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;
    std::uint32_t valid = 0;
  };
  struct List {
    std::uint32_t head = kNone;
    std::uint32_t tail = kNone;
  };

  std::vector<Link> links_;
  std::vector<List> lists_;
  std::uint32_t least_;  // no list below it has a member
};

}  // namespace nvmesim::models
