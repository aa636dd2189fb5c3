// The features' own rules, and the table of them.
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
constexpr std::uint32_t kDulbe = 1u << 16;
constexpr auto kCoalescingUnit = std::chrono::microseconds(100);

FeatureValue dword(std::uint32_t value) {
  return {value, {}};
}
template <class T>
T read_at(const FeatureValue& value, std::size_t offset) {
  T result{};
  std::memcpy(&result, value.data.data() + offset, sizeof result);
  return result;
}

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
void read_power(const Core& core, FeatureValue& value) {
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

// --- Namespaces

FeatureValue default_range_type(const Core& core, std::uint32_t nsid) {
  FeatureValue value;  // one range, the whole namespace, visible
  value.data.resize(4096);
  const Namespace* space = core.namespaces.find(nsid);
  const std::uint64_t blocks = space == nullptr ? 0 : space->blocks;
  std::memcpy(value.data.data() + 24, &blocks, sizeof blocks);
  return value;
}
Status check_range_type(Core&, Command&, FeatureValue& value) {
  value.dword &= 0x3F;
  return Status::kSuccess;
}

Status check_error_recovery(Core& core, Command&, FeatureValue& value) {
  const bool wanted = (value.dword & kDulbe) != 0;
  return wanted && !core.config.dulbe ? Status::kInvalidField : Status::kSuccess;
}

void apply_error_recovery(Core& core, std::uint32_t nsid, const FeatureValue& value) {
  core.features.set_dulbe(nsid, (value.dword & kDulbe) != 0);
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

// --- Events, time, hosts

Status check_events(Core& core, Command&, FeatureValue& value) {
  value.dword &= spec::kAsyncConfigSmartMask | core.config.management.oaes;
  return Status::kSuccess;
}
void apply_events(Core& core, std::uint32_t, const FeatureValue& value) {
  core.events.configure(value.dword);
}

bool has_timestamp(const Core& core) {
  return (core.config.oncs & spec::kOncsTimestamp) != 0;
}
FeatureValue eight_bytes(const Core&, std::uint32_t) {
  return {0, std::vector<std::byte>(8)};
}
Status check_timestamp(Core& core, Command&, FeatureValue& value) {
  struct Change {
    std::uint64_t before;
    std::uint64_t milliseconds_since_reset;
  };
  const auto since = static_cast<std::uint64_t>(core.scheduler.now() / 1ms);
  core.subsystem.events.add(core, spec::kEventTimestamp, Change{core.features.timestamp(), since});
  core.features.set_timestamp(read_at<std::uint64_t>(value, 0) & 0xFFFF'FFFF'FFFF);
  return Status::kSuccess;
}
void read_timestamp(const Core& core, FeatureValue& value) {
  const std::uint64_t now = core.features.timestamp();
  value.data.resize(8);
  std::memcpy(value.data.data(), &now, sizeof now);
}

bool has_keep_alive(const Core& core) {
  return core.config.management.keep_alive_granularity_100ms != 0;
}
Status check_keep_alive(Core& core, Command&, FeatureValue& value) {
  value.dword = core.keep_alive.configure(value.dword);
  return Status::kSuccess;
}

FeatureValue default_host_behavior(const Core&, std::uint32_t) {
  return {0, std::vector<std::byte>(512)};
}
// ACRE and ETDAS are flags; LBAFEE needs extended LBA formats, which are not offered.
Status check_host_behavior(Core&, Command&, FeatureValue& value) {
  const bool flags = value.data[0] <= std::byte{1} && value.data[1] <= std::byte{1};
  return flags && value.data[2] == std::byte{0} ? Status::kSuccess : Status::kInvalidField;
}

bool has_endurance_group(const Core& core) {
  return core.config.management.endurance_group;
}
std::uint32_t endurance_instance(const Core&, std::uint32_t cdw11) {
  return spec::bits(cdw11, 15, 0) == 1 ? 1 : kNoInstance;
}
FeatureValue default_endurance(const Core&, std::uint32_t group) {
  return dword(group);
}
void apply_endurance(Core& core, std::uint32_t, const FeatureValue& value) {
  if ((spec::bits(value.dword, 23, 16) & core.health.endurance_warning()) != 0) {
    core.events.raise_notice(spec::AsyncNoticeInfo::kEnduranceGroupEventChange);
  }
}

bool has_profile(const Core& core) {
  return core.config.registers.revision == Revision::v2_0;
}
Status check_profile(Core&, Command&, FeatureValue& value) {
  return value.dword == 0 ? Status::kSuccess : Status::kInvalidField;  // one combination
}

FeatureValue default_host_identifier(const Core&, std::uint32_t) {
  return {0, std::vector<std::byte>(16)};
}
// EXHID (dword 11 bit 0) chooses 128 bits; 64-bit ones fill the lower half.
Status check_host_identifier(Core&, Command&, FeatureValue& value) {
  if (value.dword == 0) std::fill(value.data.begin() + 8, value.data.end(), std::byte{0});
  return Status::kSuccess;
}

bool has_host_memory(const Core& core) {
  return core.hmb.offered();
}
FeatureValue no_host_memory(const Core&, std::uint32_t) {
  return {0, std::vector<std::byte>(4096)};
}
void set_host_memory(Core& core, Command& command) {
  core.hmb.set(command);
}
void read_host_memory(const Core& core, FeatureValue& value) {
  value = {core.hmb.enabled(), core.hmb.attributes()};
}

bool has_reservations(const Core& core) {
  return (core.config.oncs & spec::kOncsReservations) != 0;
}
// PTPL: RESCAP bit 0 is 0.
Status check_persistence(Core&, Command&, FeatureValue& value) {
  return value.dword == 0 ? Status::kSuccess : Status::kInvalidField;
}

constexpr auto kSpace = FeatureScope::kNamespace;

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
    {.id = FeatureId::kLbaRangeType,
     .scope = kSpace,
     .saveable = true,
     .kept_bits = 0x3F,
     .data_bytes = 4096,
     .default_value = default_range_type,
     .check = check_range_type},
    {.id = FeatureId::kTemperatureThreshold,
     .saveable = true,
     .kept_bits = 0xFFFF,
     .instance = temperature_instance,
     .default_value = default_temperature,
     .apply = apply_temperature},
    {.id = FeatureId::kErrorRecovery,
     .scope = kSpace,
     .saveable = true,
     .kept_bits = 0x1'FFFF,
     .check = check_error_recovery,
     .apply = apply_error_recovery},
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
    {.id = FeatureId::kAsyncEventConfiguration,
     .saveable = true,
     .check = check_events,
     .apply = apply_events},
    {.id = FeatureId::kAutonomousPowerStateTransition,
     .saveable = true,
     .kept_bits = 1,
     .data_bytes = 256,
     .exists = has_apst,
     .default_value = [](const Core&, std::uint32_t) -> FeatureValue {
       return {0, std::vector<std::byte>(256)};
     },
     .check = check_apst,
     .apply = apply_apst},
    {.id = FeatureId::kHostMemoryBuffer,
     .data_bytes = 4096,
     .exists = has_host_memory,
     .default_value = no_host_memory,
     .set = set_host_memory,
     .read = read_host_memory},
    {.id = FeatureId::kTimestamp,
     .kept_bits = 0,
     .data_bytes = 8,
     .exists = has_timestamp,
     .default_value = eight_bytes,
     .check = check_timestamp,
     .read = read_timestamp},
    {.id = FeatureId::kKeepAliveTimer, .exists = has_keep_alive, .check = check_keep_alive},
    {.id = FeatureId::kHostControlledThermalManagement,
     .saveable = true,
     .exists = has_hctm,
     .check = check_hctm,
     .apply = apply_hctm},
    {.id = FeatureId::kNonOperationalPowerState,
     .saveable = true,
     .kept_bits = 1,
     .exists = has_non_operational},
    {.id = FeatureId::kHostBehaviorSupport,
     .kept_bits = 0,
     .data_bytes = 512,
     .default_value = default_host_behavior,
     .check = check_host_behavior},
    {.id = FeatureId::kEnduranceGroupEventConfiguration,
     .saveable = true,
     .kept_bits = 0xFF'FFFF,
     .exists = has_endurance_group,
     .instance = endurance_instance,
     .default_value = default_endurance,
     .apply = apply_endurance},
    {.id = FeatureId::kIoCommandSetProfile,
     .kept_bits = 0x1FF,
     .exists = has_profile,
     .check = check_profile},
    {.id = FeatureId::kSoftwareProgressMarker, .saveable = true, .kept_bits = 0xFF},
    {.id = FeatureId::kHostIdentifier,
     .kept_bits = 1,
     .data_bytes = 16,
     .default_value = default_host_identifier,
     .check = check_host_identifier},
    {.id = FeatureId::kReservationNotificationMask,
     .scope = kSpace,
     .kept_bits = 0xE,
     .exists = has_reservations},
    {.id = FeatureId::kReservationPersistence,
     .scope = kSpace,
     .kept_bits = 1,
     .exists = has_reservations,
     .check = check_persistence},
};

}  // namespace

std::span<const FeatureRow> feature_rows() {
  return kRows;
}

const FeatureRow* find_feature(const Core& core, std::uint32_t id) {
  for (const FeatureRow& row : kRows) {
    if (static_cast<std::uint32_t>(row.id) == id) {
      return row.exists == nullptr || row.exists(core) ? &row : nullptr;
    }
  }
  return nullptr;
}

}  // namespace nvmesim::device
