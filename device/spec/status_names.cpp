// Names of completion statuses, as the specification writes them.
#include "device/spec/status.hpp"

namespace nvmesim::device::spec {
namespace {

struct StatusRow {
  Status status;
  std::string_view name;
};

constexpr StatusRow kStatuses[] = {
    {Status::kSuccess, "Successful Completion"},
    {Status::kInvalidOpcode, "Invalid Command Opcode"},
    {Status::kInvalidField, "Invalid Field in Command"},
    {Status::kCommandIdConflict, "Command ID Conflict"},
    {Status::kDataTransferError, "Data Transfer Error"},
    {Status::kPowerLossNotification, "Commands Aborted due to Power Loss Notification"},
    {Status::kInternalError, "Internal Error"},
    {Status::kAbortRequested, "Command Abort Requested"},
    {Status::kAbortedSqDeletion, "Command Aborted due to SQ Deletion"},
    {Status::kAbortedFailedFused, "Command Aborted due to Failed Fused Command"},
    {Status::kAbortedMissingFused, "Command Aborted due to Missing Fused Command"},
    {Status::kInvalidNamespace, "Invalid Namespace or Format"},
    {Status::kCommandSequenceError, "Command Sequence Error"},
    {Status::kInvalidSglSegment, "Invalid SGL Segment Descriptor"},
    {Status::kInvalidSglCount, "Invalid Number of SGL Descriptors"},
    {Status::kDataSglLengthInvalid, "Data SGL Length Invalid"},
    {Status::kMetadataSglLengthInvalid, "Metadata SGL Length Invalid"},
    {Status::kSglTypeInvalid, "SGL Descriptor Type Invalid"},
    {Status::kInvalidUseOfCmb, "Invalid Use of Controller Memory Buffer"},
    {Status::kPrpOffsetInvalid, "PRP Offset Invalid"},
    {Status::kAtomicWriteUnitExceeded, "Atomic Write Unit Exceeded"},
    {Status::kOperationDenied, "Operation Denied"},
    {Status::kSglOffsetInvalid, "SGL Offset Invalid"},
    {Status::kHostIdInconsistent, "Host Identifier Inconsistent Format"},
    {Status::kKeepAliveExpired, "Keep Alive Timer Expired"},
    {Status::kKeepAliveInvalid, "Keep Alive Timeout Invalid"},
    {Status::kPreemptAndAbort, "Command Aborted due to Preempt and Abort"},
    {Status::kSanitizeFailed, "Sanitize Failed"},
    {Status::kSanitizeInProgress, "Sanitize In Progress"},
    {Status::kSglGranularityInvalid, "SGL Data Block Granularity Invalid"},
    {Status::kNotSupportedInCmb, "Command Not Supported for Queue in CMB"},
    {Status::kNamespaceWriteProtected, "Namespace is Write Protected"},
    {Status::kCommandInterrupted, "Command Interrupted"},
    {Status::kTransientTransportError, "Transient Transport Error"},
    {Status::kCommandProhibitedByLockdown, "Command Prohibited by Command and Feature Lockdown"},
    {Status::kAdminMediaNotReady, "Admin Command Media Not Ready"},
    {Status::kLbaOutOfRange, "LBA Out of Range"},
    {Status::kCapacityExceeded, "Capacity Exceeded"},
    {Status::kNamespaceNotReady, "Namespace Not Ready"},
    {Status::kReservationConflict, "Reservation Conflict"},
    {Status::kFormatInProgress, "Format In Progress"},
    {Status::kCompletionQueueInvalid, "Completion Queue Invalid"},
    {Status::kInvalidQueueId, "Invalid Queue Identifier"},
    {Status::kInvalidQueueSize, "Invalid Queue Size"},
    {Status::kAbortLimitExceeded, "Abort Command Limit Exceeded"},
    {Status::kAsyncEventLimitExceeded, "Asynchronous Event Request Limit Exceeded"},
    {Status::kInvalidFirmwareSlot, "Invalid Firmware Slot"},
    {Status::kInvalidFirmwareImage, "Invalid Firmware Image"},
    {Status::kInvalidInterruptVector, "Invalid Interrupt Vector"},
    {Status::kInvalidLogPage, "Invalid Log Page"},
    {Status::kInvalidFormat, "Invalid Format"},
    {Status::kFirmwareNeedsConventionalReset, "Firmware Activation Requires Conventional Reset"},
    {Status::kInvalidQueueDeletion, "Invalid Queue Deletion"},
    {Status::kFeatureNotSaveable, "Feature Identifier Not Saveable"},
    {Status::kFeatureNotChangeable, "Feature Not Changeable"},
    {Status::kFeatureNotNamespaceSpecific, "Feature Not Namespace Specific"},
    {Status::kFirmwareNeedsSubsystemReset, "Firmware Activation Requires NVM Subsystem Reset"},
    {Status::kFirmwareNeedsControllerReset, "Firmware Activation Requires Controller Level Reset"},
    {Status::kFirmwareNeedsMaxTimeViolation, "Firmware Activation Requires Maximum Time Violation"},
    {Status::kFirmwareActivationProhibited, "Firmware Activation Prohibited"},
    {Status::kOverlappingRange, "Overlapping Range"},
    {Status::kNamespaceInsufficientCapacity, "Namespace Insufficient Capacity"},
    {Status::kNamespaceIdUnavailable, "Namespace Identifier Unavailable"},
    {Status::kNamespaceAlreadyAttached, "Namespace Already Attached"},
    {Status::kNamespaceIsPrivate, "Namespace Is Private"},
    {Status::kNamespaceNotAttached, "Namespace Not Attached"},
    {Status::kThinProvisioningNotSupported, "Thin Provisioning Not Supported"},
    {Status::kControllerListInvalid, "Controller List Invalid"},
    {Status::kSelfTestInProgress, "Device Self-test In Progress"},
    {Status::kBootPartitionWriteProhibited, "Boot Partition Write Prohibited"},
    {Status::kInvalidControllerId, "Invalid Controller Identifier"},
    {Status::kInvalidSecondaryController, "Invalid Secondary Controller State"},
    {Status::kInvalidControllerResources, "Invalid Number of Controller Resources"},
    {Status::kInvalidResourceId, "Invalid Resource Identifier"},
    {Status::kSanitizeProhibitedByPmr,
     "Sanitize Prohibited While Persistent Memory Region is Enabled"},
    {Status::kAnaGroupIdInvalid, "ANA Group Identifier Invalid"},
    {Status::kAnaAttachFailed, "ANA Attach Failed"},
    {Status::kStreamAllocationFailed, "Stream Resource Allocation Failed"},
    {Status::kConflictingAttributes, "Conflicting Attributes"},
    {Status::kInvalidProtectionInformation, "Invalid Protection Information"},
    {Status::kWriteToReadOnlyRange, "Attempted Write to Read Only Range"},
    {Status::kCommandSizeLimitExceeded, "Command Size Limit Exceeded"},
    {Status::kWriteFault, "Write Fault"},
    {Status::kUnrecoveredReadError, "Unrecovered Read Error"},
    {Status::kGuardCheckError, "End-to-end Guard Check Error"},
    {Status::kApplicationTagCheckError, "End-to-end Application Tag Check Error"},
    {Status::kReferenceTagCheckError, "End-to-end Reference Tag Check Error"},
    {Status::kCompareFailure, "Compare Failure"},
    {Status::kAccessDenied, "Access Denied"},
    {Status::kDeallocatedBlock, "Deallocated or Unwritten Logical Block"},
    {Status::kInternalPathError, "Internal Path Error"},
    {Status::kAnaPersistentLoss, "Asymmetric Access Persistent Loss"},
    {Status::kAnaInaccessible, "Asymmetric Access Inaccessible"},
    {Status::kAnaTransition, "Asymmetric Access Transition"},
    {Status::kControllerPathingError, "Controller Pathing Error"},
    {Status::kHostPathingError, "Host Pathing Error"},
    {Status::kAbortedByHost, "Command Aborted By Host"},
};

}  // namespace

std::string_view status_name(Status status) {
  for (const StatusRow& row : kStatuses) {
    if (row.status == status) return row.name;
  }
  return "Unknown Status";
}

}  // namespace nvmesim::device::spec
