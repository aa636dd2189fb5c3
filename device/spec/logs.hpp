// Log pages of NVMe 1.4 (section 5.14.1) as they lie in host memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/spec/registers.hpp"

namespace nvmesim::device::spec {

enum class LogPageId : std::uint8_t {
  kSupportedLogPages = 0x00,
  kErrorInformation = 0x01,
  kSmart = 0x02,
  kFirmwareSlot = 0x03,
  kChangedNamespaceList = 0x04,
  kCommandsSupportedAndEffects = 0x05,
  kDeviceSelfTest = 0x06,
  kTelemetryHostInitiated = 0x07,
  kTelemetryControllerInitiated = 0x08,
  kEnduranceGroup = 0x09,
  kPredictableLatency = 0x0A,
  kPredictableLatencyAggregate = 0x0B,
  kAsymmetricNamespaceAccess = 0x0C,
  kPersistentEventLog = 0x0D,
  kLbaStatusInformation = 0x0E,
  kEnduranceGroupAggregate = 0x0F,
  kFeatureEffects = 0x12,
  kNvmeMiEffects = 0x13,
  kReservationNotification = 0x80,
  kSanitizeStatus = 0x81,
  kOcpSmart = 0xC0,
};

// "SMART / Health Information"; "Unknown" for what the specification does not define.
std::string_view log_page_name(LogPageId page);

// Dwords 10 to 14 of Get Log Page (5.14).
struct GetLogFields {
  std::uint32_t cdw10;
  std::uint32_t cdw11;
  std::uint32_t cdw12;
  std::uint32_t cdw13;
  constexpr std::uint8_t lid() const { return static_cast<std::uint8_t>(bits(cdw10, 7, 0)); }
  constexpr unsigned lsp() const { return bits(cdw10, 11, 8); }
  constexpr bool rae() const { return bits(cdw10, 15, 15) != 0; }
  constexpr std::uint32_t numd() const {  // 0's based
    return (bits(cdw11, 15, 0) << 16) | bits(cdw10, 31, 16);
  }
  constexpr unsigned lsi() const { return bits(cdw11, 31, 16); }
  constexpr std::uint64_t lpo() const { return (std::uint64_t{cdw13} << 32) | cdw12; }
};

// 128-bit counters of the SMART log.
struct Counter128 {
  std::uint64_t low;
  std::uint64_t high;
};

#pragma pack(push, 1)

struct ErrorLogEntry {
  std::uint64_t error_count;
  std::uint16_t sqid;
  std::uint16_t cid;
  std::uint16_t status_field;
  std::uint16_t parameter_error_location;  // byte 7:0, bit 10:8
  std::uint64_t lba;
  std::uint32_t nsid;
  std::uint8_t vendor_specific_information_available;
  std::uint8_t trtype;
  std::uint16_t reserved30;
  std::uint64_t command_specific_information;
  std::uint16_t transport_type_specific_information;
  std::array<std::uint8_t, 22> reserved42;
};
static_assert(sizeof(ErrorLogEntry) == 64);
static_assert(offsetof(ErrorLogEntry, lba) == 16);
static_assert(offsetof(ErrorLogEntry, command_specific_information) == 32);

struct SmartLog {
  std::uint8_t critical_warning;
  std::uint16_t composite_temperature;  // kelvin
  std::uint8_t available_spare;
  std::uint8_t available_spare_threshold;
  std::uint8_t percentage_used;
  std::uint8_t endurance_group_critical_warning_summary;
  std::array<std::uint8_t, 25> reserved7;
  Counter128 data_units_read;  // thousands of 512 bytes, rounded up
  Counter128 data_units_written;
  Counter128 host_read_commands;
  Counter128 host_write_commands;
  Counter128 controller_busy_time;  // minutes
  Counter128 power_cycles;
  Counter128 power_on_hours;
  Counter128 unsafe_shutdowns;
  Counter128 media_errors;
  Counter128 num_err_log_entries;
  std::uint32_t warning_temp_time;  // minutes
  std::uint32_t critical_comp_temp_time;
  std::array<std::uint16_t, 8> temperature_sensor;
  std::uint32_t thm_temp1_trans_count;
  std::uint32_t thm_temp2_trans_count;
  std::uint32_t thm_temp1_total_time;  // seconds
  std::uint32_t thm_temp2_total_time;
  std::array<std::uint8_t, 280> reserved232;
};
static_assert(sizeof(SmartLog) == 512);
static_assert(offsetof(SmartLog, data_units_read) == 32);
static_assert(offsetof(SmartLog, warning_temp_time) == 192);
static_assert(offsetof(SmartLog, thm_temp1_trans_count) == 216);

struct FirmwareSlotLog {
  std::uint8_t afi;  // 2:0 active slot, 6:4 slot after the next reset
  std::array<std::uint8_t, 7> reserved1;
  std::array<std::array<char, 8>, 7> frs;
  std::array<std::uint8_t, 448> reserved64;
};
static_assert(sizeof(FirmwareSlotLog) == 512);
static_assert(offsetof(FirmwareSlotLog, frs) == 8);

struct EffectsLog {
  std::array<std::uint32_t, 256> admin;
  std::array<std::uint32_t, 256> io;
  std::array<std::uint8_t, 2048> reserved2048;
};
static_assert(sizeof(EffectsLog) == 4096);
inline constexpr std::uint32_t kEffectSupported = 1u << 0;
inline constexpr std::uint32_t kEffectBlocks = 1u << 1;      // LBCC
inline constexpr std::uint32_t kEffectCapability = 1u << 2;  // NCC
inline constexpr std::uint32_t kEffectInventory = 1u << 3;   // NIC
inline constexpr std::uint32_t kEffectController = 1u << 4;  // CCC
inline constexpr std::uint32_t kEffectAlone = 2u << 16;      // CSE: no other command at all

struct SelfTestEntry {
  std::uint8_t status;  // result 3:0, code 7:4
  std::uint8_t segment;
  std::uint8_t valid;
  std::uint8_t reserved3;
  std::uint64_t power_on_hours;
  std::uint32_t nsid;
  std::uint64_t failing_lba;
  std::uint8_t status_code_type;
  std::uint8_t status_code;
  std::uint16_t vendor_specific;
};
static_assert(sizeof(SelfTestEntry) == 28);

struct SelfTestLog {
  std::uint8_t current_operation;
  std::uint8_t current_completion;  // percent
  std::uint16_t reserved2;
  std::array<SelfTestEntry, 20> results;  // newest first
};
static_assert(sizeof(SelfTestLog) == 564);

// Header of both telemetry logs; blocks of 512 bytes follow.
struct TelemetryHeader {
  std::uint8_t lid;
  std::array<std::uint8_t, 4> reserved1;
  std::array<std::uint8_t, 3> ieee;
  std::uint16_t data_area1_last_block;
  std::uint16_t data_area2_last_block;
  std::uint16_t data_area3_last_block;
  std::array<std::uint8_t, 368> reserved14;
  std::uint8_t controller_data_available;
  std::uint8_t controller_data_generation;
  std::array<std::uint8_t, 128> reason;
};
static_assert(sizeof(TelemetryHeader) == 512);
static_assert(offsetof(TelemetryHeader, controller_data_available) == 382);

struct EnduranceGroupLog {
  std::uint8_t critical_warning;
  std::array<std::uint8_t, 2> reserved1;
  std::uint8_t available_spare;
  std::uint8_t available_spare_threshold;
  std::uint8_t percentage_used;
  std::array<std::uint8_t, 26> reserved6;
  Counter128 endurance_estimate;
  Counter128 data_units_read;
  Counter128 data_units_written;
  Counter128 media_units_written;
  Counter128 host_read_commands;
  Counter128 host_write_commands;
  Counter128 media_errors;
  Counter128 num_err_log_entries;
  std::array<std::uint8_t, 352> reserved160;
};
static_assert(sizeof(EnduranceGroupLog) == 512);

struct AnaLogHeader {
  std::uint64_t change_count;
  std::uint16_t descriptors;
  std::array<std::uint8_t, 6> reserved10;
};
static_assert(sizeof(AnaLogHeader) == 16);
struct AnaGroupDescriptor {
  std::uint32_t group;
  std::uint32_t nsids;
  std::uint64_t change_count;
  std::uint8_t state;
  std::array<std::uint8_t, 15> reserved17;
};
static_assert(sizeof(AnaGroupDescriptor) == 32);

struct PersistentEventHeader {
  std::uint8_t lid;
  std::array<std::uint8_t, 3> reserved1;
  std::uint32_t events;
  std::uint64_t bytes;
  std::uint8_t revision;
  std::uint8_t reserved17;
  std::uint16_t header_length;  // bytes of this header less 20
  std::uint64_t timestamp;
  Counter128 power_on_hours;
  std::uint64_t power_cycles;
  std::uint16_t vid;
  std::uint16_t ssvid;
  std::array<char, 20> sn;
  std::array<char, 40> mn;
  std::array<char, 256> subnqn;
  std::array<std::uint8_t, 108> reserved372;
  std::array<std::uint8_t, 32> supported_events;
};
static_assert(sizeof(PersistentEventHeader) == 512);
static_assert(offsetof(PersistentEventHeader, supported_events) == 480);

struct PersistentEvent {
  std::uint8_t type;
  std::uint8_t revision;
  std::uint8_t header_length;  // bytes of this header less 3
  std::uint8_t reserved3;
  std::uint16_t cntlid;
  std::uint64_t timestamp;
  std::array<std::uint8_t, 6> reserved14;
  std::uint16_t vendor_length;
  std::uint16_t event_length;
};
static_assert(sizeof(PersistentEvent) == 24);
inline constexpr std::uint8_t kEventSmartSnapshot = 0x01;
inline constexpr std::uint8_t kEventFirmwareCommit = 0x02;
inline constexpr std::uint8_t kEventTimestamp = 0x03;
inline constexpr std::uint8_t kEventPowerOnOrReset = 0x04;
inline constexpr std::uint8_t kEventChangeNamespace = 0x06;
inline constexpr std::uint8_t kEventFormatStart = 0x07;
inline constexpr std::uint8_t kEventFormatEnd = 0x08;
inline constexpr std::uint8_t kEventSanitizeStart = 0x09;
inline constexpr std::uint8_t kEventSanitizeEnd = 0x0A;
inline constexpr std::uint8_t kEventThermalExcursion = 0x0D;

struct SanitizeLog {
  std::uint16_t sprog;  // 65536ths
  std::uint16_t sstat;
  std::uint32_t scdw10;
  std::uint32_t overwrite_seconds;
  std::uint32_t block_erase_seconds;
  std::uint32_t crypto_erase_seconds;
  std::uint32_t overwrite_seconds_no_deallocate;
  std::uint32_t block_erase_seconds_no_deallocate;
  std::uint32_t crypto_erase_seconds_no_deallocate;
  std::array<std::uint8_t, 480> reserved32;
};
static_assert(sizeof(SanitizeLog) == 512);

// OCP Datacenter NVMe SSD specification 2.0, section 4.8.6: SMART / Health Information Extended.
struct OcpSmartLog {
  Counter128 physical_media_units_written;  // bytes
  Counter128 physical_media_units_read;
  std::uint64_t bad_user_blocks;
  std::uint64_t bad_system_blocks;
  std::uint64_t xor_recovery_count;
  std::uint64_t uncorrectable_read_errors;
  std::uint64_t soft_ecc_errors;
  std::uint32_t end_to_end_detected;
  std::uint32_t end_to_end_corrected;
  std::uint8_t system_data_percent_used;
  std::array<std::uint8_t, 7> refresh_counts;
  std::uint32_t max_erase_count;
  std::uint32_t min_erase_count;
  std::uint8_t thermal_throttling_events;
  std::uint8_t thermal_throttling_status;
  std::array<std::uint8_t, 6> specification_version;
  std::uint64_t pcie_correctable_errors;
  std::uint32_t incomplete_shutdowns;
  std::uint32_t reserved116;
  std::uint8_t percent_free_blocks;
  std::array<std::uint8_t, 7> reserved121;
  std::uint16_t capacitor_health;
  std::array<std::uint8_t, 6> errata_versions;
  std::uint64_t unaligned_io;
  std::uint64_t security_version;
  std::uint64_t total_nuse;
  Counter128 plp_start_count;
  Counter128 endurance_estimate;
  std::uint64_t pcie_link_retrains;
  std::uint64_t power_state_changes;
  std::array<std::uint8_t, 286> reserved208;
  std::uint16_t log_page_version;
  std::array<std::uint8_t, 16> log_page_guid;
};
static_assert(sizeof(OcpSmartLog) == 512);
static_assert(offsetof(OcpSmartLog, pcie_correctable_errors) == 104);
static_assert(offsetof(OcpSmartLog, total_nuse) == 152);
static_assert(offsetof(OcpSmartLog, power_state_changes) == 200);
static_assert(offsetof(OcpSmartLog, log_page_version) == 494);

#pragma pack(pop)

// SMART critical warning (and feature 0Bh mask) bits.
inline constexpr std::uint8_t kWarningSpare = 1u << 0;
inline constexpr std::uint8_t kWarningTemperature = 1u << 1;
inline constexpr std::uint8_t kWarningReliability = 1u << 2;
inline constexpr std::uint8_t kWarningReadOnly = 1u << 3;
inline constexpr std::uint8_t kWarningVolatileBackup = 1u << 4;

}  // namespace nvmesim::device::spec
