// Log pages of NVMe 1.4 (section 5.14.1) as they lie in host memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/spec/registers.hpp"

namespace nvmesim::device::spec {

enum class LogPageId : std::uint8_t {
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
  kReservationNotification = 0x80,
  kSanitizeStatus = 0x81,
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

#pragma pack(pop)

// SMART critical warning (and feature 0Bh mask) bits.
inline constexpr std::uint8_t kWarningSpare = 1u << 0;
inline constexpr std::uint8_t kWarningTemperature = 1u << 1;
inline constexpr std::uint8_t kWarningReliability = 1u << 2;
inline constexpr std::uint8_t kWarningReadOnly = 1u << 3;
inline constexpr std::uint8_t kWarningVolatileBackup = 1u << 4;

}  // namespace nvmesim::device::spec
