// Completion status of NVMe 1.4 (section 4.6.1). A Status is (SCT << 8 | SC), 11 bits; the
// completion entry's status word holds it with phase, CRD, M and DNR around it.
#pragma once

#include <cstdint>
#include <string_view>

namespace nvmesim::device::spec {

inline constexpr unsigned kSctGeneric = 0;
inline constexpr unsigned kSctCommandSpecific = 1;
inline constexpr unsigned kSctMedia = 2;
inline constexpr unsigned kSctPath = 3;

enum class Status : std::uint16_t {
  // generic
  kSuccess = 0x000,
  kInvalidOpcode = 0x001,
  kInvalidField = 0x002,
  kCommandIdConflict = 0x003,
  kDataTransferError = 0x004,
  kPowerLossNotification = 0x005,
  kInternalError = 0x006,
  kAbortRequested = 0x007,
  kAbortedSqDeletion = 0x008,
  kAbortedFailedFused = 0x009,
  kAbortedMissingFused = 0x00A,
  kInvalidNamespace = 0x00B,
  kCommandSequenceError = 0x00C,
  kInvalidSglSegment = 0x00D,
  kInvalidSglCount = 0x00E,
  kDataSglLengthInvalid = 0x00F,
  kMetadataSglLengthInvalid = 0x010,
  kSglTypeInvalid = 0x011,
  kInvalidUseOfCmb = 0x012,
  kPrpOffsetInvalid = 0x013,
  kAtomicWriteUnitExceeded = 0x014,
  kOperationDenied = 0x015,
  kSglOffsetInvalid = 0x016,
  kHostIdInconsistent = 0x018,
  kKeepAliveExpired = 0x019,
  kKeepAliveInvalid = 0x01A,
  kPreemptAndAbort = 0x01B,
  kSanitizeFailed = 0x01C,
  kSanitizeInProgress = 0x01D,
  kSglGranularityInvalid = 0x01E,
  kNotSupportedInCmb = 0x01F,
  kNamespaceWriteProtected = 0x020,
  kCommandInterrupted = 0x021,
  kTransientTransportError = 0x022,
  kCommandProhibitedByLockdown = 0x023,
  kAdminMediaNotReady = 0x024,
  kLbaOutOfRange = 0x080,
  kCapacityExceeded = 0x081,
  kNamespaceNotReady = 0x082,
  kReservationConflict = 0x083,
  kFormatInProgress = 0x084,
  // command specific
  kCompletionQueueInvalid = 0x100,
  kInvalidQueueId = 0x101,
  kInvalidQueueSize = 0x102,
  kAbortLimitExceeded = 0x103,
  kAsyncEventLimitExceeded = 0x105,
  kInvalidFirmwareSlot = 0x106,
  kInvalidFirmwareImage = 0x107,
  kInvalidInterruptVector = 0x108,
  kInvalidLogPage = 0x109,
  kInvalidFormat = 0x10A,
  kFirmwareNeedsConventionalReset = 0x10B,
  kInvalidQueueDeletion = 0x10C,
  kFeatureNotSaveable = 0x10D,
  kFeatureNotChangeable = 0x10E,
  kFeatureNotNamespaceSpecific = 0x10F,
  kFirmwareNeedsSubsystemReset = 0x110,
  kFirmwareNeedsControllerReset = 0x111,
  kFirmwareNeedsMaxTimeViolation = 0x112,
  kFirmwareActivationProhibited = 0x113,
  kOverlappingRange = 0x114,
  kNamespaceInsufficientCapacity = 0x115,
  kNamespaceIdUnavailable = 0x116,
  kNamespaceAlreadyAttached = 0x118,
  kNamespaceIsPrivate = 0x119,
  kNamespaceNotAttached = 0x11A,
  kThinProvisioningNotSupported = 0x11B,
  kControllerListInvalid = 0x11C,
  kSelfTestInProgress = 0x11D,
  kBootPartitionWriteProhibited = 0x11E,
  kInvalidControllerId = 0x11F,
  kInvalidSecondaryController = 0x120,
  kInvalidControllerResources = 0x121,
  kInvalidResourceId = 0x122,
  kSanitizeProhibitedByPmr = 0x123,
  kAnaGroupIdInvalid = 0x124,
  kAnaAttachFailed = 0x125,
  kStreamAllocationFailed = 0x17F,
  kConflictingAttributes = 0x180,
  kInvalidProtectionInformation = 0x181,
  kWriteToReadOnlyRange = 0x182,
  kCommandSizeLimitExceeded = 0x183,
  // media and data integrity
  kWriteFault = 0x280,
  kUnrecoveredReadError = 0x281,
  kGuardCheckError = 0x282,
  kApplicationTagCheckError = 0x283,
  kReferenceTagCheckError = 0x284,
  kCompareFailure = 0x285,
  kAccessDenied = 0x286,
  kDeallocatedBlock = 0x287,
  // path related
  kInternalPathError = 0x300,
  kAnaPersistentLoss = 0x301,
  kAnaInaccessible = 0x302,
  kAnaTransition = 0x303,
  kControllerPathingError = 0x360,
  kHostPathingError = 0x370,
  kAbortedByHost = 0x371,
};

constexpr unsigned sct_of(Status status) {
  return static_cast<unsigned>(status) >> 8;
}
constexpr unsigned sc_of(Status status) {
  return static_cast<unsigned>(status) & 0xFF;
}

// The 16-bit status word of a completion entry: bit 0 phase tag, 11:1 status, 13:12 CRD, 14 more,
// 15 do not retry.
inline constexpr std::uint16_t kStatusPhase = 0x0001;
inline constexpr std::uint16_t kStatusMore = 0x4000;
inline constexpr std::uint16_t kStatusDnr = 0x8000;

constexpr std::uint16_t status_word(Status status, bool phase, bool dnr = false,
                                    bool more = false) {
  return static_cast<std::uint16_t>((static_cast<unsigned>(status) << 1) | unsigned{phase} |
                                    (more ? kStatusMore : 0u) | (dnr ? kStatusDnr : 0u));
}
constexpr Status status_of(std::uint16_t word) {
  return static_cast<Status>((word >> 1) & 0x7FF);
}
constexpr bool phase_of(std::uint16_t word) {
  return (word & kStatusPhase) != 0;
}
constexpr bool dnr_of(std::uint16_t word) {
  return (word & kStatusDnr) != 0;
}
constexpr unsigned crd_of(std::uint16_t word) {
  return (word >> 12) & 3u;
}

// As the specification writes it: "Invalid Field in Command"; "Unknown Status" for what it does
// not define.
std::string_view status_name(Status status);

}  // namespace nvmesim::device::spec
