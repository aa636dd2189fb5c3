// Asymmetric namespace access (section 8.20) as one controller sees it: a state per ANA group. The
// states change by Controller::set_ana_state (a scenario's business); log page 0Ch tells them, and
// I/O to a group that is not accessible ends with its path status.
#pragma once

#include <cstdint>
#include <vector>

#include "device/spec/management.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

struct Core;

class Ana {
 public:
  explicit Ana(Core& core);

  // group: 1 to ANAGRPMAX.
  void set_state(std::uint32_t group, spec::AnaState state);
  spec::AnaState state(std::uint32_t group) const { return groups_[group - 1].state; }
  // What a command to a namespace of this group gets; kSuccess if it may go on.
  spec::Status access(std::uint32_t group) const;
  // Log page 0Ch; only groups that have namespaces here, or all of them without their namespaces.
  std::vector<std::byte> page(bool groups_only) const;

 private:
  struct Group {
    spec::AnaState state = spec::AnaState::kOptimized;
    std::uint64_t change_count = 0;
  };
  Core& core_;
  std::vector<Group> groups_;
  std::uint64_t change_count_ = 0;
};

}  // namespace nvmesim::device
