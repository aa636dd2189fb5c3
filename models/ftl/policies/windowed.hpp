// The one with the fewest valid units of the w superblocks that were closed first: between fifo
// (w = 1) and greedy (all). If none of them may be collected, the first that may.
#pragma once

#include <vector>

#include "models/ftl/gc_policy.hpp"

namespace nvmesim::models {

class WindowedGc : public GcPolicy {
 public:
  WindowedGc(std::uint32_t superblocks, std::uint32_t window)
      : links_(superblocks), window_(window) {}
  void closed(std::uint32_t superblock, std::uint32_t valid) override;
  void changed(std::uint32_t superblock, std::uint32_t valid) override {
    links_[superblock].valid = valid;
  }
  void removed(std::uint32_t superblock) override;
  std::optional<std::uint32_t> pick(std::uint32_t most_valid) override;

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  struct Link {
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;
    std::uint32_t valid = 0;
  };
  std::vector<Link> links_;
  std::uint32_t head_ = kNone;
  std::uint32_t tail_ = kNone;
  std::uint32_t window_;
};

}  // namespace nvmesim::models
