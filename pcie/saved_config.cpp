#include "pcie/saved_config.hpp"

namespace nvmesim::pcie {
namespace {

// Words of the header; status, the upper half of the command's, clears by ones and is left alone.
constexpr unsigned kCommand = 1;
constexpr std::array<unsigned, 14> kBeforeCommand{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 3};
constexpr std::uint32_t kControl = 0xFFFF;  // the lower half: the upper one is status

}  // namespace

void SavedConfig::save(ConfigAccess& access, RequesterId id) {
  id_ = id;
  saved_ = true;
  for (unsigned i = 0; i < header_.size(); ++i) header_[i] = access.read32(id, 4 * i);
  capabilities_.clear();
  keep_express(access);
  keep_extended(access);
}

void SavedConfig::keep(ConfigAccess& access, unsigned offset, std::uint32_t mask) {
  capabilities_.push_back({offset, access.read32(id_, offset) & mask});
}

// Device Control, Slot Control, and their second ones; Link Control 2 before Link Control.
void SavedConfig::keep_express(ConfigAccess& access) {
  const unsigned express = find_capability(access, id_, kCapabilityPciExpress);
  if (express == 0) return;
  for (const unsigned offset : {0x08U, 0x18U, 0x28U, 0x30U}) {
    keep(access, express + offset, kControl);
  }
}

// L1 may be enabled only when its substates are set (5.5.4): Link Control comes behind them.
void SavedConfig::keep_extended(ConfigAccess& access) {
  if (const unsigned at = find_extended_capability(access, id_, kExtendedLatencyTolerance)) {
    keep(access, at + 4);
  }
  if (const unsigned at = find_extended_capability(access, id_, kExtendedAdvancedError)) {
    for (const unsigned offset : {0x08U, 0x0CU, 0x14U}) keep(access, at + offset);
  }
  if (const unsigned at = find_extended_capability(access, id_, kExtendedL1Substates)) {
    keep(access, at + 0xC);
    keep(access, at + 8);
  }
  if (const unsigned at = find_capability(access, id_, kCapabilityPciExpress)) {
    keep(access, at + 0x10, kControl);
  }
}

void SavedConfig::restore(ConfigAccess& access) const {
  if (!saved_) return;
  for (const unsigned word : kBeforeCommand) access.write32(id_, 4 * word, header_[word]);
  for (const Register& each : capabilities_) access.write32(id_, each.offset, each.value);
  access.write32(id_, 4 * kCommand, header_[kCommand] & kControl);
}

}  // namespace nvmesim::pcie
