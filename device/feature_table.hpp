// A row of the feature tables and how to find one. A new feature is its rules in
// feature_rules_drive.cpp or feature_rules_host.cpp, its row there and its test.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "device/features.hpp"
#include "device/spec/features.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

enum class FeatureScope : std::uint8_t { kController, kNamespace };

struct FeatureRow {
  spec::FeatureId id;
  FeatureScope scope = FeatureScope::kController;
  bool saveable = false;
  bool changeable = true;
  std::uint32_t kept_bits = 0xFFFF'FFFF;  // of dword 11
  std::uint32_t data_bytes = 0;           // of its data structure, 0 = none
  // False if the controller does not have it; nullptr: always there.
  bool (*exists)(const Core& core) = nullptr;
  // Which of its values dword 11 names (not for those of namespaces); kNoInstance: none.
  std::uint32_t (*instance)(const Core& core, std::uint32_t cdw11) = nullptr;
  FeatureValue (*default_value)(const Core& core, std::uint32_t instance) = nullptr;
  // Whether a value is allowed now; it may change what is kept, and what dword 0 tells.
  spec::Status (*check)(Core& core, Command& command, FeatureValue& value) = nullptr;
  // The value is valid from now on.
  void (*apply)(Core& core, std::uint32_t instance, const FeatureValue& value) = nullptr;
  // Carries the whole Set Features out, where that takes more than a value.
  void (*set)(Core& core, Command& command) = nullptr;
  // Where the value is more than what is stored.
  void (*read)(const Core& core, std::uint32_t instance, FeatureValue& value) = nullptr;
};

// A value without a data structure, and a field of one with it.
inline FeatureValue dword(std::uint32_t value) {
  return {value, {}};
}
template <class T>
T read_at(const FeatureValue& value, std::size_t offset) {
  T result{};
  std::memcpy(&result, value.data.data() + offset, sizeof result);
  return result;
}

inline constexpr std::uint32_t kNoInstance = 0xFFFF'FFFF;

std::span<const FeatureRow> drive_feature_rows();
std::span<const FeatureRow> host_feature_rows();
// Both.
std::array<std::span<const FeatureRow>, 2> feature_tables();
// nullptr if this controller does not have the feature.
const FeatureRow* find_feature(const Core& core, std::uint32_t id);

}  // namespace nvmesim::device
