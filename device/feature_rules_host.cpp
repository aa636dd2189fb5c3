// Rules of the features that concern namespaces, events, time and hosts.
#include <algorithm>
#include <cstring>

#include "device/core.hpp"
#include "device/feature_table.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::FeatureId;
using spec::Status;

namespace {

constexpr std::uint32_t kDulbe = 1u << 16;

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
void read_timestamp(const Core& core, std::uint32_t, FeatureValue& value) {
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
void read_host_memory(const Core& core, std::uint32_t, FeatureValue& value) {
  value = {core.hmb.enabled(), core.hmb.attributes()};
}

bool has_reservations(const Core& core) {
  return (core.config.oncs & spec::kOncsReservations) != 0;
}
// PTPL is a state of the namespace's reservation, which a Reservation Register can change too.
void apply_persistence(Core& core, std::uint32_t nsid, const FeatureValue& value) {
  core.subsystem.reservations.of(nsid).set_persists((value.dword & 1) != 0);
}
void read_persistence(const Core& core, std::uint32_t nsid, FeatureValue& value) {
  const Reservation* reservation = core.subsystem.reservations.find(nsid);
  value.dword = reservation != nullptr && reservation->persists() ? 1 : 0;
}

// With No Deallocate inhibited (SANICAP.NDI) NODRM says what a Sanitize that asks for it gets.
bool has_sanitize_config(const Core& core) {
  return core.config.sanitize.sanicap != 0;
}

constexpr auto kSpace = FeatureScope::kNamespace;

constexpr FeatureRow kRows[] = {
    {.id = FeatureId::kLbaRangeType,
     .scope = kSpace,
     .saveable = true,
     .kept_bits = 0x3F,
     .data_bytes = 4096,
     .default_value = default_range_type,
     .check = check_range_type},
    {.id = FeatureId::kErrorRecovery,
     .scope = kSpace,
     .saveable = true,
     .kept_bits = 0x1'FFFF,
     .check = check_error_recovery,
     .apply = apply_error_recovery},
    {.id = FeatureId::kAsyncEventConfiguration,
     .saveable = true,
     .check = check_events,
     .apply = apply_events},
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
    {.id = FeatureId::kHostBehaviorSupport,
     .kept_bits = 0,
     .data_bytes = 512,
     .default_value = default_host_behavior,
     .check = check_host_behavior},
    {.id = FeatureId::kSanitizeConfig,
     .saveable = true,
     .kept_bits = spec::kSanitizeNodrm,
     .exists = has_sanitize_config},
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
     .apply = apply_persistence,
     .read = read_persistence},
};

}  // namespace

std::span<const FeatureRow> host_feature_rows() {
  return kRows;
}

}  // namespace nvmesim::device
