#include "device/ana.hpp"

#include <cstring>

#include "device/core.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::device {

using spec::AnaState;
using spec::Status;

Ana::Ana(Core& core)
    : core_(core), groups_(core.config.management.ana ? core.config.management.ana_groups : 0) {}

void Ana::set_state(std::uint32_t group, AnaState state) {
  if (group == 0 || group > groups_.size()) {
    throw base::UserError("ANA group: between 1 and controller.management.ana_groups");
  }
  Group& changed = groups_[group - 1];
  if (changed.state == state) return;
  changed.state = state;
  changed.change_count = ++change_count_;
  core_.gates &= ~Core::kGateAna;
  for (const Group& each : groups_) {
    if (each.state != AnaState::kOptimized && each.state != AnaState::kNonOptimized) {
      core_.gates |= Core::kGateAna;
    }
  }
  core_.events.raise_notice(spec::AsyncNoticeInfo::kAsymmetricNamespaceAccessChange);
}

Status Ana::access(std::uint32_t group) const {
  if (group == 0 || group > groups_.size()) return Status::kSuccess;
  switch (groups_[group - 1].state) {
    case AnaState::kInaccessible:
      return Status::kAnaInaccessible;
    case AnaState::kPersistentLoss:
      return Status::kAnaPersistentLoss;
    case AnaState::kChange:
      return Status::kAnaTransition;
    case AnaState::kOptimized:
    case AnaState::kNonOptimized:
      break;
  }
  return Status::kSuccess;
}

std::vector<std::byte> Ana::page(bool groups_only) const {
  std::vector<std::byte> page(sizeof(spec::AnaLogHeader));
  const auto append = [&page](const void* data, std::size_t bytes) {
    const auto* from = static_cast<const std::byte*>(data);
    page.insert(page.end(), from, from + bytes);
  };
  spec::AnaLogHeader header{};
  header.change_count = change_count_;
  for (std::uint32_t group = 1; group <= groups_.size(); ++group) {
    std::vector<std::uint32_t> nsids;
    for (std::uint32_t id = 1; id <= core_.namespaces.count(); ++id) {
      const Namespace* space = core_.namespaces.find(id);
      if (space != nullptr && space->ana_group == group) nsids.push_back(id);
    }
    spec::AnaGroupDescriptor descriptor{};
    descriptor.group = group;
    descriptor.nsids = groups_only ? 0 : static_cast<std::uint32_t>(nsids.size());
    descriptor.change_count = groups_[group - 1].change_count;
    descriptor.state = static_cast<std::uint8_t>(groups_[group - 1].state);
    append(&descriptor, sizeof descriptor);
    if (!groups_only) append(nsids.data(), nsids.size() * sizeof(std::uint32_t));
    ++header.descriptors;
  }
  std::memcpy(page.data(), &header, sizeof header);
  return page;
}

}  // namespace nvmesim::device
