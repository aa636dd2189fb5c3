// Submission and completion queue entries, opcodes and the fields of the command dwords of
// NVMe 1.4 (sections 4.2, 4.6, 5 and 6). All of it is little-endian, as is the machine we run on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/spec/registers.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device::spec {

static_assert(std::endian::native == std::endian::little, "wire structs are plain integers");

enum class AdminOpcode : std::uint8_t {
  kDeleteIoSq = 0x00,
  kCreateIoSq = 0x01,
  kGetLogPage = 0x02,
  kDeleteIoCq = 0x04,
  kCreateIoCq = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0A,
  kAsyncEventRequest = 0x0C,
  kNamespaceManagement = 0x0D,
  kFirmwareCommit = 0x10,
  kFirmwareImageDownload = 0x11,
  kDeviceSelfTest = 0x14,
  kNamespaceAttachment = 0x15,
  kKeepAlive = 0x18,
  kDirectiveSend = 0x19,
  kDirectiveReceive = 0x1A,
  kVirtualizationManagement = 0x1C,
  kNvmeMiSend = 0x1D,
  kNvmeMiReceive = 0x1E,
  kDoorbellBufferConfig = 0x7C,
  kFormatNvm = 0x80,
  kSecuritySend = 0x81,
  kSecurityReceive = 0x82,
  kSanitize = 0x84,
  kGetLbaStatus = 0x86,
};

enum class NvmOpcode : std::uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kWriteUncorrectable = 0x04,
  kCompare = 0x05,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
  kVerify = 0x0C,
  kReservationRegister = 0x0D,
  kReservationReport = 0x0E,
  kReservationAcquire = 0x11,
  kReservationRelease = 0x15,
  kCopy = 0x19,
};

// "Identify", "Read"; "Unknown" for an opcode that the specification does not define.
std::string_view opcode_name(AdminOpcode opcode);
std::string_view opcode_name(NvmOpcode opcode);

// SQE flags bits 1:0.
inline constexpr unsigned kFuseFirst = 1;
inline constexpr unsigned kFuseSecond = 2;

inline constexpr std::uint32_t kNsidAll = 0xFFFF'FFFF;

struct SubmissionEntry {
  std::uint8_t opc;
  std::uint8_t flags;  // FUSE 1:0, PSDT 7:6
  std::uint16_t cid;
  std::uint32_t nsid;
  std::uint32_t cdw2;
  std::uint32_t cdw3;
  std::uint64_t mptr;
  std::uint64_t prp1;
  std::uint64_t prp2;
  std::uint32_t cdw10;
  std::uint32_t cdw11;
  std::uint32_t cdw12;
  std::uint32_t cdw13;
  std::uint32_t cdw14;
  std::uint32_t cdw15;

  constexpr unsigned fuse() const { return flags & 3u; }
  constexpr unsigned psdt() const { return flags >> 6; }
};
static_assert(sizeof(SubmissionEntry) == 64);
static_assert(offsetof(SubmissionEntry, nsid) == 4);
static_assert(offsetof(SubmissionEntry, mptr) == 16);
static_assert(offsetof(SubmissionEntry, prp1) == 24);
static_assert(offsetof(SubmissionEntry, cdw10) == 40);

struct CompletionEntry {
  std::uint32_t dw0;  // command specific
  std::uint32_t dw1;
  std::uint16_t sqhd;
  std::uint16_t sqid;
  std::uint16_t cid;
  std::uint16_t status;  // see status.hpp
};
static_assert(sizeof(CompletionEntry) == 16);
static_assert(offsetof(CompletionEntry, sqhd) == 8);
static_assert(offsetof(CompletionEntry, status) == 14);

// Dwords 10 and 11 of the queue commands (5.3 to 5.6).
struct CreateQueueFields {
  std::uint32_t cdw10;
  std::uint32_t cdw11;
  constexpr std::uint16_t qid() const { return static_cast<std::uint16_t>(bits(cdw10, 15, 0)); }
  constexpr std::uint16_t qsize() const { return static_cast<std::uint16_t>(bits(cdw10, 31, 16)); }
  constexpr bool pc() const { return bits(cdw11, 0, 0) != 0; }
  // completion queue
  constexpr bool ien() const { return bits(cdw11, 1, 1) != 0; }
  constexpr std::uint16_t iv() const { return static_cast<std::uint16_t>(bits(cdw11, 31, 16)); }
  // submission queue
  constexpr unsigned qprio() const { return bits(cdw11, 2, 1); }
  constexpr std::uint16_t cqid() const { return static_cast<std::uint16_t>(bits(cdw11, 31, 16)); }
};

// Dword 12 of Read, Write and Write Zeroes (6.9, 6.15, 6.16).
struct RwControl {
  std::uint32_t cdw12;
  constexpr std::uint32_t nlb() const { return bits(cdw12, 15, 0); }  // 0's based
  constexpr bool deac() const { return bits(cdw12, 25, 25) != 0; }    // Write Zeroes
  constexpr unsigned prinfo() const { return bits(cdw12, 29, 26); }
  constexpr bool fua() const { return bits(cdw12, 30, 30) != 0; }
  constexpr bool lr() const { return bits(cdw12, 31, 31) != 0; }
};

// Bits of RwControl::prinfo().
inline constexpr unsigned kPrinfoReference = 1u << 0;
inline constexpr unsigned kPrinfoApplication = 1u << 1;
inline constexpr unsigned kPrinfoGuard = 1u << 2;
inline constexpr unsigned kPrinfoAction = 1u << 3;  // PRACT

// A source range of Copy, descriptor format 0 (NVMe 2.0, NVM command set 3.2.2).
struct CopyRange {
  std::uint64_t reserved0;
  std::uint64_t slba;
  std::uint16_t nlb;  // 0's based
  std::uint16_t reserved18;
  std::uint32_t reserved20;
  std::uint32_t eilbrt;
  std::uint16_t elbat;
  std::uint16_t elbatm;
};
static_assert(sizeof(CopyRange) == 32);
static_assert(offsetof(CopyRange, eilbrt) == 24);

// A range of Dataset Management (6.7).
struct DsmRange {
  std::uint32_t context_attributes;
  std::uint32_t length;  // logical blocks
  std::uint64_t starting_lba;
};
static_assert(sizeof(DsmRange) == 16);
inline constexpr unsigned kMaxDsmRanges = 256;
inline constexpr std::uint32_t kDsmAttributeIdr = 1u << 0;
inline constexpr std::uint32_t kDsmAttributeIdw = 1u << 1;
inline constexpr std::uint32_t kDsmAttributeAd = 1u << 2;

}  // namespace nvmesim::device::spec
