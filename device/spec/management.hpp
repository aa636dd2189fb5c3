// Dwords and data of the admin commands that manage the drive (NVMe 1.4, sections 5.7, 5.8, 5.11,
// 5.12, 5.19, 5.20, 5.23 to 5.26, 9.2 and 9.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/spec/registers.hpp"

namespace nvmesim::device::spec {

// Namespace Management and Attachment (5.20, 5.19): SEL.
inline constexpr std::uint32_t kNamespaceCreate = 0;
inline constexpr std::uint32_t kNamespaceDelete = 1;
inline constexpr std::uint32_t kNamespaceAttach = 0;
inline constexpr std::uint32_t kNamespaceDetach = 1;

struct ControllerList {
  std::uint16_t count;
  std::array<std::uint16_t, 2047> ids;
};
static_assert(sizeof(ControllerList) == 4096);

// Format NVM (5.23), dword 10.
struct FormatFields {
  std::uint32_t cdw10;
  constexpr unsigned lbaf() const { return bits(cdw10, 3, 0); }
  constexpr bool mset() const { return bits(cdw10, 4, 4) != 0; }
  constexpr unsigned pi() const { return bits(cdw10, 7, 5); }
  constexpr bool pil() const { return bits(cdw10, 8, 8) != 0; }
  constexpr unsigned ses() const { return bits(cdw10, 11, 9); }
};

// Firmware Commit (5.11), dword 10.
struct CommitFields {
  std::uint32_t cdw10;
  constexpr unsigned slot() const { return bits(cdw10, 2, 0); }
  constexpr unsigned action() const { return bits(cdw10, 5, 3); }
};
inline constexpr unsigned kCommitReplace = 0;
inline constexpr unsigned kCommitReplaceActivate = 1;
inline constexpr unsigned kCommitActivate = 2;
inline constexpr unsigned kCommitActivateNow = 3;
inline constexpr unsigned kCommitBootReplace = 6;
inline constexpr unsigned kCommitBootActivate = 7;

// Device Self-test (5.8), STC; and the results of log page 06h.
inline constexpr unsigned kSelfTestShort = 0x1;
inline constexpr unsigned kSelfTestExtended = 0x2;
inline constexpr unsigned kSelfTestAbort = 0xF;
enum class SelfTestResult : std::uint8_t {
  kPassed = 0x0,
  kAborted = 0x1,
  kAbortedByReset = 0x2,
  kAbortedNamespaceRemoved = 0x3,
  kAbortedByFormat = 0x4,
  kFailedSegment = 0x7,
  kAbortedBySanitize = 0x9,
  kNoEntry = 0xF,
};

// Sanitize (5.24), dword 10.
struct SanitizeFields {
  std::uint32_t cdw10;
  constexpr unsigned action() const { return bits(cdw10, 2, 0); }
  constexpr bool ause() const { return bits(cdw10, 3, 3) != 0; }
  constexpr unsigned passes() const { return bits(cdw10, 7, 4); }  // 0 = 16
  constexpr bool ndas() const { return bits(cdw10, 9, 9) != 0; }
};
inline constexpr unsigned kSanitizeExitFailure = 1;
inline constexpr unsigned kSanitizeBlockErase = 2;
inline constexpr unsigned kSanitizeOverwrite = 3;
inline constexpr unsigned kSanitizeCryptoErase = 4;
inline constexpr std::uint32_t kSanicapCrypto = 1u << 0;
inline constexpr std::uint32_t kSanicapBlock = 1u << 1;
inline constexpr std::uint32_t kSanicapOverwrite = 1u << 2;
inline constexpr unsigned kSanitizeNever = 0;
inline constexpr unsigned kSanitizeSucceeded = 1;
inline constexpr unsigned kSanitizeRunning = 2;
inline constexpr unsigned kSanitizeFailedState = 3;
// Done, and deallocated although the command asked for the opposite.
inline constexpr unsigned kSanitizeDeallocated = 4;
inline constexpr std::uint32_t kSanitizeNodrm = 1u << 0;  // feature 17h
inline constexpr std::uint16_t kSanitizeGlobalErased = 1u << 8;

// Security Send and Receive (5.25, 5.26), dword 10.
struct SecurityFields {
  std::uint32_t cdw10;
  constexpr unsigned protocol() const { return bits(cdw10, 31, 24); }
  constexpr unsigned specific() const { return bits(cdw10, 23, 8); }
};

// Directive Send and Receive (9.2, 9.3), dword 11.
struct DirectiveFields {
  std::uint32_t cdw11;
  constexpr unsigned operation() const { return bits(cdw11, 7, 0); }
  constexpr unsigned type() const { return bits(cdw11, 15, 8); }
  constexpr unsigned specific() const { return bits(cdw11, 31, 16); }
};
inline constexpr unsigned kDirectiveIdentify = 0;
inline constexpr unsigned kDirectiveStreams = 1;

struct StreamsParameters {
  std::uint16_t msl;
  std::uint16_t nssa;
  std::uint16_t nsso;
  std::array<std::uint8_t, 10> reserved6;
  std::uint32_t sws;
  std::uint16_t sgs;
  std::uint16_t nsa;
  std::uint16_t nso;
  std::array<std::uint8_t, 6> reserved26;
};
static_assert(sizeof(StreamsParameters) == 32);
static_assert(offsetof(StreamsParameters, sgs) == 20);

// OACS bits.
inline constexpr std::uint16_t kOacsSecurity = 1u << 0;
inline constexpr std::uint16_t kOacsFormat = 1u << 1;
inline constexpr std::uint16_t kOacsFirmware = 1u << 2;
inline constexpr std::uint16_t kOacsNamespaces = 1u << 3;
inline constexpr std::uint16_t kOacsSelfTest = 1u << 4;
inline constexpr std::uint16_t kOacsDirectives = 1u << 5;

// OAES bits, and bits of feature 0Bh.
inline constexpr std::uint32_t kNoticeNamespace = 1u << 8;
inline constexpr std::uint32_t kNoticeFirmware = 1u << 9;
inline constexpr std::uint32_t kNoticeTelemetry = 1u << 10;
inline constexpr std::uint32_t kNoticeAna = 1u << 11;
inline constexpr std::uint32_t kNoticeEndurance = 1u << 14;

// ANA states (8.20).
enum class AnaState : std::uint8_t {
  kOptimized = 0x1,
  kNonOptimized = 0x2,
  kInaccessible = 0x3,
  kPersistentLoss = 0x4,
  kChange = 0xF,
};

}  // namespace nvmesim::device::spec
