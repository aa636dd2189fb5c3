// Feature identifiers of NVMe 1.4 (section 5.21.1), the select field of Get Features and the
// attributes of a feature, and asynchronous event types (section 5.2).
#pragma once

#include <cstdint>
#include <string_view>

namespace nvmesim::device::spec {

enum class FeatureId : std::uint8_t {
  kArbitration = 0x01,
  kPowerManagement = 0x02,
  kLbaRangeType = 0x03,
  kTemperatureThreshold = 0x04,
  kErrorRecovery = 0x05,
  kVolatileWriteCache = 0x06,
  kNumberOfQueues = 0x07,
  kInterruptCoalescing = 0x08,
  kInterruptVectorConfiguration = 0x09,
  kWriteAtomicityNormal = 0x0A,
  kAsyncEventConfiguration = 0x0B,
  kAutonomousPowerStateTransition = 0x0C,
  kHostMemoryBuffer = 0x0D,
  kTimestamp = 0x0E,
  kKeepAliveTimer = 0x0F,
  kHostControlledThermalManagement = 0x10,
  kNonOperationalPowerState = 0x11,
  kReadRecoveryLevel = 0x12,
  kPredictableLatencyModeConfig = 0x13,
  kPredictableLatencyModeWindow = 0x14,
  kLbaStatusInformation = 0x15,
  kHostBehaviorSupport = 0x16,
  kSanitizeConfig = 0x17,
  kEnduranceGroupEventConfiguration = 0x18,
  kIoCommandSetProfile = 0x19,
  kSoftwareProgressMarker = 0x80,
  kHostIdentifier = 0x81,
  kReservationNotificationMask = 0x82,
  kReservationPersistence = 0x83,
  kNamespaceWriteProtection = 0x84,
};

// "Number of Queues"; "Unknown" for what the specification does not define.
std::string_view feature_name(FeatureId feature);

// Get Features, dword 10 bits 10:8.
enum class FeatureSelect : std::uint8_t { kCurrent = 0, kDefault = 1, kSaved = 2, kSupported = 3 };

// Answer to select 3: attributes of the feature.
inline constexpr std::uint32_t kFeatureSaveable = 1u << 0;
inline constexpr std::uint32_t kFeatureNamespaceSpecific = 1u << 1;
inline constexpr std::uint32_t kFeatureChangeable = 1u << 2;

inline constexpr std::uint32_t kSetFeaturesSave = 1u << 31;  // dword 10, SV

// Dword 0 of an asynchronous event's completion: type 2:0, information 15:8, log page 23:16.
enum class AsyncEventType : std::uint8_t {
  kError = 0,
  kSmart = 1,
  kNotice = 2,
  kIoCommandSetSpecific = 6,
  kVendorSpecific = 7,
};

enum class AsyncErrorInfo : std::uint8_t {
  kInvalidDoorbellRegister = 0,  // write to an invalid doorbell register
  kInvalidDoorbellValue = 1,
  kDiagnosticFailure = 2,
  kPersistentInternalError = 3,
  kTransientInternalError = 4,
  kFirmwareImageLoadError = 5,
};

enum class AsyncSmartInfo : std::uint8_t {
  kSubsystemReliability = 0,
  kTemperatureThreshold = 1,
  kSpareBelowThreshold = 2,
};

enum class AsyncNoticeInfo : std::uint8_t {
  kNamespaceAttributeChanged = 0,
  kFirmwareActivationStarting = 1,
  kTelemetryLogChanged = 2,
  kAsymmetricNamespaceAccessChange = 3,
  kPredictableLatencyEventChange = 4,
  kLbaStatusInformationAlert = 5,
  kEnduranceGroupEventChange = 6,
};

enum class AsyncIoInfo : std::uint8_t {
  kReservationLogAvailable = 0,
  kSanitizeCompleted = 1,
  kSanitizeCompletedUnexpected = 2,
};

constexpr std::uint32_t async_event_dword(AsyncEventType type, unsigned information,
                                          unsigned log_page) {
  return static_cast<std::uint32_t>(type) | (information << 8) | (log_page << 16);
}

// Feature 0Bh: bits 7:0 mask SMART events by critical warning, bit 8 and up the notices.
inline constexpr std::uint32_t kAsyncConfigSmartMask = 0xFF;

}  // namespace nvmesim::device::spec
