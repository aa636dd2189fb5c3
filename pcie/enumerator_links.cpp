#include <algorithm>
#include <bit>

#include "pcie/enumerator_parts.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie::enumeration {
namespace {

constexpr unsigned kCapabilities2 = 0x24;
constexpr unsigned kControl2 = 0x28;

std::uint32_t supported_payload_code(ConfigAccess& access, RequesterId id, unsigned capability) {
  return access.read32(id, capability + 4) & 7;
}

// Device Control; its status half is write-one-to-clear, so zeroes leave it alone.
void set_device_control(ConfigAccess& access, RequesterId id, unsigned capability,
                        std::uint32_t payload_code, std::uint32_t request_code) {
  std::uint32_t control = access.read32(id, capability + 8) & 0xFFFF;
  control = (control & ~(7U << 5) & ~(7U << 12)) | payload_code << 5 | request_code << 12;
  access.write32(id, capability + 8, control);
}

void set_bits(ConfigAccess& access, RequesterId id, unsigned offset, std::uint32_t bits) {
  access.write32(id, offset, access.read32(id, offset) | bits);
}

// Link Capabilities and Link Control (7.5.3.6, 7.5.3.7).
constexpr unsigned kLinkCapabilities = 0x0C;
constexpr unsigned kLinkControl = 0x10;
constexpr std::uint32_t kAspmL0s = 1, kAspmL1 = 2;

// Of the L1 PM Substates capability (7.8.3); its enables have the bits of what it can.
constexpr unsigned kSubstates = 4, kSubstatesControl1 = 8, kSubstatesControl2 = 0xC;
constexpr std::uint32_t kBothL1_1 = 1U << 1 | 1U << 3, kBothL1_2 = 1U << 0 | 1U << 2;
// What entering and leaving L1.2 takes besides power and common mode.
constexpr std::uint64_t kL1_2Ns = 6'000;

std::uint64_t power_on_us(std::uint32_t capabilities) {
  constexpr std::uint64_t kUnits[] = {2, 10, 100, 0};
  return kUnits[capabilities >> 16 & 3] * (capabilities >> 19 & 0x1F);
}

struct LinkEnd {
  RequesterId id;
  unsigned express = 0;
  unsigned substates = 0;
};

LinkEnd end_of(ConfigAccess& access, RequesterId id) {
  return {id, find_capability(access, id, kCapabilityPciExpress),
          find_extended_capability(access, id, kExtendedL1Substates)};
}

// The threshold is what the exit takes: who tolerates less stays above L1.2.
void set_substates(ConfigAccess& access, const LinkEnd& upper, const LinkEnd& lower,
                   AspmLimit limit) {
  if (upper.substates == 0 || lower.substates == 0) return;
  const std::uint32_t of_upper = access.read32(upper.id, upper.substates + kSubstates);
  const std::uint32_t of_lower = access.read32(lower.id, lower.substates + kSubstates);
  std::uint32_t enables = limit >= AspmLimit::l1_1 ? kBothL1_1 : 0;
  if (limit >= AspmLimit::l1_2) enables |= kBothL1_2;
  enables &= of_upper & of_lower;
  const std::uint32_t slower = power_on_us(of_upper) > power_on_us(of_lower) ? of_upper : of_lower;
  const std::uint64_t common_us = std::max(of_upper >> 8 & 0xFF, of_lower >> 8 & 0xFF);
  const std::uint16_t threshold =
      latency_tolerance((power_on_us(slower) + common_us) * 1000 + kL1_2Ns);
  const std::uint32_t control = enables | static_cast<std::uint32_t>(common_us) << 8 |
                                (threshold & 0x3FFU) << 16 | (threshold >> 10 & 7U) << 29;
  for (const LinkEnd& end : {upper, lower}) {
    access.write32(end.id, end.substates + kSubstatesControl2,
                   (slower >> 16 & 3) | (slower >> 19 & 0x1F) << 3);
    access.write32(end.id, end.substates + kSubstatesControl1, control);
  }
}

void set_power(ConfigAccess& access, const LinkEnd& upper, const LinkEnd& lower, AspmLimit limit) {
  if (upper.express == 0 || lower.express == 0) return;
  std::uint32_t states =
      (limit >= AspmLimit::l0s ? kAspmL0s : 0) | (limit >= AspmLimit::l1 ? kAspmL1 : 0);
  for (const LinkEnd& end : {upper, lower}) {
    states &= access.read32(end.id, end.express + kLinkCapabilities) >> 10;
  }
  if ((states & kAspmL1) != 0) set_substates(access, upper, lower, limit);
  // L1 in the upper component first (5.4.1.3). The status half clears by ones.
  for (const LinkEnd& end : {upper, lower}) {
    const std::uint32_t control = access.read32(end.id, end.express + kLinkControl) & 0xFFFC;
    access.write32(end.id, end.express + kLinkControl, control | states);
  }
}

}  // namespace

PathAbility ability_of(ConfigAccess& access, const FunctionInfo& function) {
  constexpr std::uint32_t kKnowsTolerance = 1U << 11, kCompletesTenBit = 1U << 16,
                          kAsksTenBit = 1U << 17, kAsksExtended = 1U << 5;
  const unsigned own = function.express_capability;
  const std::uint32_t capabilities2 = access.read32(function.id, own + kCapabilities2);
  PathAbility able{supported_payload_code(access, function.id, own),
                   (capabilities2 & kKnowsTolerance) != 0,
                   (access.read32(function.id, own + 4) & kAsksExtended) != 0,
                   (capabilities2 & kAsksTenBit) != 0};
  for (const RequesterId bridge : function.bridges) {
    const unsigned at = find_capability(access, bridge, kCapabilityPciExpress);
    if (at == 0) return {};
    able.payload_code = std::min(able.payload_code, supported_payload_code(access, bridge, at));
    const std::uint32_t of_bridge = access.read32(bridge, at + kCapabilities2);
    able.tolerance = able.tolerance && (of_bridge & kKnowsTolerance) != 0;
    // Requests end at the root port.
    if (bridge == function.bridges.front() && (of_bridge & kCompletesTenBit) == 0) {
      able.ten_bit_tags = false;
    }
  }
  return able;
}

void set_path(ConfigAccess& access, FunctionInfo& function, const PathAbility& able,
              std::uint32_t payload_code, std::uint32_t max_read_request_bytes) {
  const unsigned own = function.express_capability;
  const auto request_code =
      static_cast<std::uint32_t>(std::countr_zero(max_read_request_bytes)) - 7;
  for (const RequesterId bridge : function.bridges) {
    const unsigned at = find_capability(access, bridge, kCapabilityPciExpress);
    set_device_control(access, bridge, at, payload_code, request_code);
    if (able.tolerance) {
      set_bits(access, bridge, at + kControl2, device_control::kLatencyTolerance);
    }
  }
  if (able.extended_tags) {
    // The status half is write-one-to-clear.
    const std::uint32_t control = access.read32(function.id, own + 8) & 0xFFFF;
    access.write32(function.id, own + 8, control | device_control::kExtendedTags);
  }
  set_device_control(access, function.id, own, payload_code, request_code);
  const std::uint32_t control2 = (able.ten_bit_tags ? device_control::kTenBitTags : 0) |
                                 (able.tolerance ? device_control::kLatencyTolerance : 0);
  if (control2 != 0) set_bits(access, function.id, own + kControl2, control2);
  function.tags = able.ten_bit_tags ? 768 : able.extended_tags ? 256 : 32;
  function.max_payload_bytes = 128U << payload_code;
  function.max_read_request_bytes = max_read_request_bytes;
}

// Ports of a path take turns: the lower end of one link, then the upper end of the next.
void set_link_power(ConfigAccess& access, const FunctionInfo& function,
                    const EnumerationOptions& options) {
  std::vector<RequesterId> path = function.bridges;
  path.push_back(function.id);
  for (std::size_t i = 0; i + 1 < path.size(); i += 2) {
    const AspmLimit limit = i + 2 == path.size() ? options.aspm : options.switch_aspm;
    if (limit == AspmLimit::none) continue;
    set_power(access, end_of(access, path[i]), end_of(access, path[i + 1]), limit);
  }
}

}  // namespace nvmesim::pcie::enumeration
