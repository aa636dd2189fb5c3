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

// Names: "greedy", "fifo". Throws UserError for another one.
std::unique_ptr<GcPolicy> make_gc_policy(std::string_view name, std::uint32_t superblocks,
                                         std::uint32_t superblock_units);

}  // namespace nvmesim::models
