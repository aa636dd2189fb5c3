// Which closed superblock is collected next. The FTL tells the policy of every superblock that
// closes, loses a valid unit or leaves; the policy answers pick(). Implementations live in
// models/ftl/policies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace nvmesim::models {

class GcPolicy {
 public:
  virtual ~GcPolicy() = default;
  virtual void closed(std::uint32_t superblock, std::uint32_t valid) = 0;
  virtual void changed(std::uint32_t superblock, std::uint32_t valid) = 0;
  virtual void removed(std::uint32_t superblock) = 0;
  // A closed superblock with at most `most_valid` valid units; none if there is no such.
  virtual std::optional<std::uint32_t> pick(std::uint32_t most_valid) = 0;
};

struct GcPolicyShape {
  std::uint32_t superblocks = 0;
  std::uint32_t superblock_units = 0;
  std::uint32_t choices = 0;  // d_choices: drawn; windowed: the oldest so many
  std::uint64_t seed = 0;
};

// Names: "greedy", "fifo", "cost_benefit", "d_choices", "windowed". Throws UserError for another.
std::unique_ptr<GcPolicy> make_gc_policy(std::string_view name, const GcPolicyShape& shape);

}  // namespace nvmesim::models
