// The superblock that was closed first, whatever is in it: the log as a circle. One with more
// valid units than allowed is passed over.
#pragma once

#include <vector>

#include "models/ftl/gc_policy.hpp"

namespace nvmesim::models {

class FifoGc : public GcPolicy {
 public:
  explicit FifoGc(std::uint32_t superblocks) : links_(superblocks) {}
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

  std::vector<Link> links_;
  std::uint32_t head_ = kNone;
  std::uint32_t tail_ = kNone;
};

}  // namespace nvmesim::models
