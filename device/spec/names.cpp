// Names of the numbers of the specification, one table per kind.
#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "device/spec/commands.hpp"
#include "device/spec/features.hpp"
#include "device/spec/logs.hpp"
#include "device/spec/registers.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device::spec {
namespace {

template <class Key>
struct Row {
  Key key;
  std::string_view name;
};

template <class Key>
std::string_view find(std::span<const Row<Key>> rows, Key key, std::string_view otherwise) {
  for (const Row<Key>& row : rows) {
    if (row.key == key) return row.name;
  }
  return otherwise;
}

constexpr Row<AdminOpcode> kAdminOpcodes[] = {
    {AdminOpcode::kDeleteIoSq, "Delete I/O Submission Queue"},
    {AdminOpcode::kCreateIoSq, "Create I/O Submission Queue"},
    {AdminOpcode::kGetLogPage, "Get Log Page"},
    {AdminOpcode::kDeleteIoCq, "Delete I/O Completion Queue"},
    {AdminOpcode::kCreateIoCq, "Create I/O Completion Queue"},
    {AdminOpcode::kIdentify, "Identify"},
    {AdminOpcode::kAbort, "Abort"},
    {AdminOpcode::kSetFeatures, "Set Features"},
    {AdminOpcode::kGetFeatures, "Get Features"},
    {AdminOpcode::kAsyncEventRequest, "Asynchronous Event Request"},
    {AdminOpcode::kNamespaceManagement, "Namespace Management"},
    {AdminOpcode::kFirmwareCommit, "Firmware Commit"},
    {AdminOpcode::kFirmwareImageDownload, "Firmware Image Download"},
    {AdminOpcode::kDeviceSelfTest, "Device Self-test"},
    {AdminOpcode::kNamespaceAttachment, "Namespace Attachment"},
    {AdminOpcode::kKeepAlive, "Keep Alive"},
    {AdminOpcode::kDirectiveSend, "Directive Send"},
    {AdminOpcode::kDirectiveReceive, "Directive Receive"},
    {AdminOpcode::kVirtualizationManagement, "Virtualization Management"},
    {AdminOpcode::kNvmeMiSend, "NVMe-MI Send"},
    {AdminOpcode::kNvmeMiReceive, "NVMe-MI Receive"},
    {AdminOpcode::kDoorbellBufferConfig, "Doorbell Buffer Config"},
    {AdminOpcode::kFormatNvm, "Format NVM"},
    {AdminOpcode::kSecuritySend, "Security Send"},
    {AdminOpcode::kSecurityReceive, "Security Receive"},
    {AdminOpcode::kSanitize, "Sanitize"},
    {AdminOpcode::kGetLbaStatus, "Get LBA Status"},
};

constexpr Row<NvmOpcode> kNvmOpcodes[] = {
    {NvmOpcode::kFlush, "Flush"},
    {NvmOpcode::kWrite, "Write"},
    {NvmOpcode::kRead, "Read"},
    {NvmOpcode::kWriteUncorrectable, "Write Uncorrectable"},
    {NvmOpcode::kCompare, "Compare"},
    {NvmOpcode::kWriteZeroes, "Write Zeroes"},
    {NvmOpcode::kDatasetManagement, "Dataset Management"},
    {NvmOpcode::kVerify, "Verify"},
    {NvmOpcode::kReservationRegister, "Reservation Register"},
    {NvmOpcode::kReservationReport, "Reservation Report"},
    {NvmOpcode::kReservationAcquire, "Reservation Acquire"},
    {NvmOpcode::kReservationRelease, "Reservation Release"},
    {NvmOpcode::kCopy, "Copy"},
};

constexpr Row<FeatureId> kFeatures[] = {
    {FeatureId::kArbitration, "Arbitration"},
    {FeatureId::kPowerManagement, "Power Management"},
    {FeatureId::kLbaRangeType, "LBA Range Type"},
    {FeatureId::kTemperatureThreshold, "Temperature Threshold"},
    {FeatureId::kErrorRecovery, "Error Recovery"},
    {FeatureId::kVolatileWriteCache, "Volatile Write Cache"},
    {FeatureId::kNumberOfQueues, "Number of Queues"},
    {FeatureId::kInterruptCoalescing, "Interrupt Coalescing"},
    {FeatureId::kInterruptVectorConfiguration, "Interrupt Vector Configuration"},
    {FeatureId::kWriteAtomicityNormal, "Write Atomicity Normal"},
    {FeatureId::kAsyncEventConfiguration, "Asynchronous Event Configuration"},
    {FeatureId::kAutonomousPowerStateTransition, "Autonomous Power State Transition"},
    {FeatureId::kHostMemoryBuffer, "Host Memory Buffer"},
    {FeatureId::kTimestamp, "Timestamp"},
    {FeatureId::kKeepAliveTimer, "Keep Alive Timer"},
    {FeatureId::kHostControlledThermalManagement, "Host Controlled Thermal Management"},
    {FeatureId::kNonOperationalPowerState, "Non-Operational Power State Config"},
    {FeatureId::kReadRecoveryLevel, "Read Recovery Level Config"},
    {FeatureId::kPredictableLatencyModeConfig, "Predictable Latency Mode Config"},
    {FeatureId::kPredictableLatencyModeWindow, "Predictable Latency Mode Window"},
    {FeatureId::kLbaStatusInformation, "LBA Status Information Attributes"},
    {FeatureId::kHostBehaviorSupport, "Host Behavior Support"},
    {FeatureId::kSanitizeConfig, "Sanitize Config"},
    {FeatureId::kEnduranceGroupEventConfiguration, "Endurance Group Event Configuration"},
    {FeatureId::kIoCommandSetProfile, "I/O Command Set Profile"},
    {FeatureId::kSoftwareProgressMarker, "Software Progress Marker"},
    {FeatureId::kHostIdentifier, "Host Identifier"},
    {FeatureId::kReservationNotificationMask, "Reservation Notification Mask"},
    {FeatureId::kReservationPersistence, "Reservation Persistence"},
    {FeatureId::kNamespaceWriteProtection, "Namespace Write Protection Config"},
};

constexpr Row<LogPageId> kLogPages[] = {
    {LogPageId::kSupportedLogPages, "Supported Log Pages"},
    {LogPageId::kErrorInformation, "Error Information"},
    {LogPageId::kSmart, "SMART / Health Information"},
    {LogPageId::kFirmwareSlot, "Firmware Slot Information"},
    {LogPageId::kChangedNamespaceList, "Changed Namespace List"},
    {LogPageId::kCommandsSupportedAndEffects, "Commands Supported and Effects"},
    {LogPageId::kDeviceSelfTest, "Device Self-test"},
    {LogPageId::kTelemetryHostInitiated, "Telemetry Host-Initiated"},
    {LogPageId::kTelemetryControllerInitiated, "Telemetry Controller-Initiated"},
    {LogPageId::kEnduranceGroup, "Endurance Group Information"},
    {LogPageId::kPredictableLatency, "Predictable Latency Per NVM Set"},
    {LogPageId::kPredictableLatencyAggregate, "Predictable Latency Event Aggregate"},
    {LogPageId::kAsymmetricNamespaceAccess, "Asymmetric Namespace Access"},
    {LogPageId::kPersistentEventLog, "Persistent Event Log"},
    {LogPageId::kLbaStatusInformation, "LBA Status Information"},
    {LogPageId::kEnduranceGroupAggregate, "Endurance Group Event Aggregate"},
    {LogPageId::kFeatureEffects, "Feature Identifiers Supported and Effects"},
    {LogPageId::kNvmeMiEffects, "NVMe-MI Commands Supported and Effects"},
    {LogPageId::kReservationNotification, "Reservation Notification"},
    {LogPageId::kSanitizeStatus, "Sanitize Status"},
    {LogPageId::kOcpSmart, "OCP SMART / Health Information Extended"},
};

struct RegisterRow {
  std::uint32_t offset;
  unsigned bytes;
  std::string_view name;
};

constexpr RegisterRow kRegisters[] = {
    {kRegCap, 8, "CAP"},         {kRegVs, 4, "VS"},           {kRegIntms, 4, "INTMS"},
    {kRegIntmc, 4, "INTMC"},     {kRegCc, 4, "CC"},           {kRegCsts, 4, "CSTS"},
    {kRegNssr, 4, "NSSR"},       {kRegAqa, 4, "AQA"},         {kRegAsq, 8, "ASQ"},
    {kRegAcq, 8, "ACQ"},         {kRegCmbloc, 4, "CMBLOC"},   {kRegCmbsz, 4, "CMBSZ"},
    {kRegBpinfo, 4, "BPINFO"},   {kRegBprsel, 4, "BPRSEL"},   {kRegBpmbl, 8, "BPMBL"},
    {kRegCmbmsc, 8, "CMBMSC"},   {kRegCmbsts, 4, "CMBSTS"},   {kRegCrto, 4, "CRTO"},
    {kRegPmrcap, 4, "PMRCAP"},   {kRegPmrctl, 4, "PMRCTL"},   {kRegPmrsts, 4, "PMRSTS"},
    {kRegPmrebs, 4, "PMREBS"},   {kRegPmrswtp, 4, "PMRSWTP"}, {kRegPmrmscl, 4, "PMRMSCL"},
    {kRegPmrmscu, 4, "PMRMSCU"},
};

}  // namespace

std::string_view opcode_name(AdminOpcode opcode) {
  return find<AdminOpcode>(kAdminOpcodes, opcode, "Unknown");
}

std::string_view opcode_name(NvmOpcode opcode) {
  return find<NvmOpcode>(kNvmOpcodes, opcode, "Unknown");
}

std::string_view feature_name(FeatureId feature) {
  return find<FeatureId>(kFeatures, feature, "Unknown");
}

std::string_view log_page_name(LogPageId page) {
  return find<LogPageId>(kLogPages, page, "Unknown");
}

std::string register_name(std::uint32_t offset, unsigned dstrd) {
  for (const RegisterRow& row : kRegisters) {
    if (offset == row.offset) return std::string(row.name);
    if (row.bytes == 8 && offset == row.offset + 4) return std::string(row.name) + "+4";
  }
  const std::uint32_t stride = 4u << dstrd;
  if (offset >= kDoorbellBase && (offset - kDoorbellBase) % stride == 0) {
    const std::uint32_t index = (offset - kDoorbellBase) / stride;
    return fmt::format("{}Q{}{}", index % 2 == 0 ? 'S' : 'C', index / 2,
                       index % 2 == 0 ? "TDBL" : "HDBL");
  }
  return "?";
}

}  // namespace nvmesim::device::spec
