// Rules of the features of the drive itself: arbitration, power, temperature, cache, queues and
// interrupts; feature_rules_host.cpp has the others. And the two tables of features as one.
#include <algorithm>
#include <cstring>

#include "device/core.hpp"
#include "device/feature_table.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::FeatureId;
using spec::Status;

namespace {

constexpr std::uint32_t kComposite = 0;  // TMPSEL
constexpr std::uint32_t kAllSensors = 0xF;
constexpr std::uint32_t kUnderThreshold = 1;  // THSEL
constexpr std::uint32_t kNoMoreQueues = 0xFFFF;
constexpr auto kCoalescingUnit = std::chrono::microseconds(100);

// --- Arbitration, power, temperature

FeatureValue default_arbitration(const Core& core, std::uint32_t) {
  return dword(core.config.rab);
}
void apply_arbitration(Core& core, std::uint32_t, const FeatureValue& value) {
  core.fetcher.set_arbitration_burst(value.dword & 7);
  core.fetcher.set_weights(spec::bits(value.dword, 31, 24) + 1, spec::bits(value.dword, 23, 16) + 1,
                           spec::bits(value.dword, 15, 8) + 1);
}

Status check_power(Core& core, Command&, FeatureValue& value) {
  return (value.dword & 0x1F) < core.power.states() ? Status::kSuccess : Status::kInvalidField;
}
void apply_power(Core& core, std::uint32_t, const FeatureValue& value) {
  core.power.set_state(value.dword & 0x1F);
}
void read_power(const Core& core, std::uint32_t, FeatureValue& value) {
  value.dword = (value.dword & ~0x1Fu) | core.power.state();
}

std::uint32_t temperature_instance(const Core&, std::uint32_t cdw11) {
  const std::uint32_t sensor = spec::bits(cdw11, 19, 16);
  const std::uint32_t kind = spec::bits(cdw11, 21, 20);
  const bool known = sensor == kComposite || sensor == kAllSensors;
  return known && kind <= kUnderThreshold ? kind : kNoInstance;
}
FeatureValue default_temperature(const Core& core, std::uint32_t instance) {
  return dword(instance == kUnderThreshold ? 0 : core.config.warning_temperature_kelvin);
}
void apply_temperature(Core& core, std::uint32_t instance, const FeatureValue& value) {
  core.health.set_threshold(instance != kUnderThreshold, static_cast<std::uint16_t>(value.dword));
  core.events.check_health();
}

bool has_apst(const Core& core) {
  return core.config.power.apst;
}
FeatureValue default_apst(const Core&, std::uint32_t) {
  return {0, std::vector<std::byte>(256)};
}
// Each entry names a non-operational state that exists, or none.
Status check_apst(Core& core, Command&, FeatureValue& value) {
  for (std::size_t i = 0; i < Power::kApstEntries; ++i) {
    const auto entry = read_at<std::uint64_t>(value, i * 8);
    const auto target = static_cast<unsigned>(spec::bits(entry, 7, 3));
    if (spec::bits(entry, 31, 8) == 0) continue;
    if (target >= core.power.states() || core.power.operational(target)) {
      return Status::kInvalidField;
    }
  }
  return Status::kSuccess;
}
void apply_apst(Core& core, std::uint32_t, const FeatureValue& value) {
  Power::ApstTable table{};
  std::memcpy(table.data(), value.data.data(), sizeof table);
  core.power.set_apst((value.dword & 1) != 0, table);
}

bool has_hctm(const Core& core) {
  return core.config.thermal.host_controlled;
}
Status check_hctm(Core& core, Command&, FeatureValue& value) {
  const std::uint32_t tmt2 = spec::bits(value.dword, 15, 0);
  const std::uint32_t tmt1 = spec::bits(value.dword, 31, 16);
  const auto in_range = [&core](std::uint32_t kelvin) {
    return kelvin == 0 || (kelvin >= core.config.thermal.mntmt_kelvin &&
                           kelvin <= core.config.thermal.mxtmt_kelvin);
  };
  const bool ordered = tmt1 == 0 || tmt2 == 0 || tmt1 < tmt2;
  return in_range(tmt1) && in_range(tmt2) && ordered ? Status::kSuccess : Status::kInvalidField;
}
void apply_hctm(Core& core, std::uint32_t, const FeatureValue& value) {
  core.thermal.set_limits(static_cast<std::uint16_t>(value.dword >> 16),
                          static_cast<std::uint16_t>(value.dword));
}

bool has_non_operational(const Core& core) {
  return core.power.states() > 1 && !core.power.operational(core.power.states() - 1);
}

// --- Cache, queues, interrupts

bool has_cache(const Core& core) {
  return core.media.volatile_cache();
}
FeatureValue default_cache(const Core&, std::uint32_t) {
  return dword(1);
}
void apply_cache(Core& core, std::uint32_t, const FeatureValue& value) {
  core.features.set_write_cache((value.dword & 1) != 0);
}

FeatureValue default_queues(const Core& core, std::uint32_t) {
  const std::uint32_t granted = core.config.max_io_queues - 1;
  return dword(granted | (granted << 16));
}
Status check_queues(Core& core, Command& command, FeatureValue& value) {
  if (core.queues.io_queue_created()) return Status::kCommandSequenceError;
  if (spec::bits(value.dword, 15, 0) == kNoMoreQueues ||
      spec::bits(value.dword, 31, 16) == kNoMoreQueues) {
    return Status::kInvalidField;
  }
  value = default_queues(core, 0);  // granted, whatever was asked for
  command.dw0 = value.dword;
  return Status::kSuccess;
}

void apply_coalescing(Core& core, std::uint32_t, const FeatureValue& value) {
  core.coalescer.configure(spec::bits(value.dword, 7, 0),
                           spec::bits(value.dword, 15, 8) * kCoalescingUnit);
}

std::uint32_t vector_instance(const Core& core, std::uint32_t cdw11) {
  const std::uint32_t vector = spec::bits(cdw11, 15, 0);
  return vector < core.config.vectors ? vector : kNoInstance;
}
FeatureValue default_vector(const Core&, std::uint32_t vector) {
  return dword(vector);
}
void apply_vector(Core& core, std::uint32_t vector, const FeatureValue& value) {
  core.coalescer.set_disabled(static_cast<std::uint16_t>(vector),
                              spec::bits(value.dword, 16, 16) != 0);
}

constexpr FeatureRow kRows[] = {
    {.id = FeatureId::kArbitration,
     .saveable = true,
     .kept_bits = 0xFFFF'FF07,
     .default_value = default_arbitration,
     .apply = apply_arbitration},
    {.id = FeatureId::kPowerManagement,
     .saveable = true,
     .kept_bits = 0xFF,
     .check = check_power,
     .apply = apply_power,
     .read = read_power},
    {.id = FeatureId::kTemperatureThreshold,
     .saveable = true,
     .kept_bits = 0xFFFF,
     .instance = temperature_instance,
     .default_value = default_temperature,
     .apply = apply_temperature},
    {.id = FeatureId::kVolatileWriteCache,
     .saveable = true,
     .kept_bits = 1,
     .exists = has_cache,
     .default_value = default_cache,
     .apply = apply_cache},
    {.id = FeatureId::kNumberOfQueues, .default_value = default_queues, .check = check_queues},
    {.id = FeatureId::kInterruptCoalescing,
     .saveable = true,
     .kept_bits = 0xFFFF,
     .apply = apply_coalescing},
    {.id = FeatureId::kInterruptVectorConfiguration,
     .saveable = true,
     .kept_bits = 0x1'FFFF,
     .instance = vector_instance,
     .default_value = default_vector,
     .apply = apply_vector},
    {.id = FeatureId::kWriteAtomicityNormal, .saveable = true, .kept_bits = 1},
    {.id = FeatureId::kAutonomousPowerStateTransition,
     .saveable = true,
     .kept_bits = 1,
     .data_bytes = 256,
     .exists = has_apst,
     .default_value = default_apst,
     .check = check_apst,
     .apply = apply_apst},
    {.id = FeatureId::kHostControlledThermalManagement,
     .saveable = true,
     .exists = has_hctm,
     .check = check_hctm,
     .apply = apply_hctm},
    {.id = FeatureId::kNonOperationalPowerState,
     .saveable = true,
     .kept_bits = 1,
     .exists = has_non_operational},
    {.id = FeatureId::kSoftwareProgressMarker, .saveable = true, .kept_bits = 0xFF},
};

}  // namespace

std::span<const FeatureRow> drive_feature_rows() {
  return kRows;
}

std::array<std::span<const FeatureRow>, 2> feature_tables() {
  return {drive_feature_rows(), host_feature_rows()};
}

const FeatureRow* find_feature(const Core& core, std::uint32_t id) {
  for (const auto rows : feature_tables()) {
    for (const FeatureRow& row : rows) {
      if (static_cast<std::uint32_t>(row.id) == id) {
        return row.exists == nullptr || row.exists(core) ? &row : nullptr;
      }
    }
  }
  return nullptr;
}

}  // namespace nvmesim::device
