// Identify data structures of NVMe 1.4 (section 5.15.2), 4096 bytes each, fields named as the
// specification names them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/spec/logs.hpp"

namespace nvmesim::device::spec {

enum class Cns : std::uint8_t {
  kNamespace = 0x00,
  kController = 0x01,
  kActiveNamespaces = 0x02,
  kNamespaceDescriptors = 0x03,
  kNvmSetList = 0x04,
  kCommandSetNamespace = 0x05,
  kCommandSetController = 0x06,
  kCommandSetActiveNamespaces = 0x07,
  kIndependentNamespace = 0x08,
  kAllocatedNamespaces = 0x10,
  kAllocatedNamespace = 0x11,
  kAttachedControllers = 0x12,
  kControllerList = 0x13,
  kPrimaryCapabilities = 0x14,
  kSecondaryControllers = 0x15,
  kNamespaceGranularity = 0x16,
  kUuidList = 0x17,
  kDomainList = 0x18,
  kEnduranceGroupList = 0x19,
  kCommandSetAllocatedNamespaces = 0x1A,
  kCommandSetAllocatedNamespace = 0x1B,
  kCommandSets = 0x1C,
};

inline constexpr std::size_t kIdentifyBytes = 4096;

#pragma pack(push, 1)

struct PowerStateDescriptor {
  std::uint16_t mp;  // centiwatts, or 0.1 mW with MXPS
  std::uint8_t reserved2;
  std::uint8_t flags;   // bit 0 MXPS, bit 1 NOPS
  std::uint32_t enlat;  // microseconds
  std::uint32_t exlat;
  std::uint8_t rrt;
  std::uint8_t rrl;
  std::uint8_t rwt;
  std::uint8_t rwl;
  std::uint16_t idlp;
  std::uint8_t ips;
  std::uint8_t reserved19;
  std::uint16_t actp;
  std::uint8_t apw_aps;
  std::array<std::uint8_t, 9> reserved23;
};
static_assert(sizeof(PowerStateDescriptor) == 32);

struct IdentifyController {
  std::uint16_t vid;
  std::uint16_t ssvid;
  std::array<char, 20> sn;
  std::array<char, 40> mn;
  std::array<char, 8> fr;
  std::uint8_t rab;
  std::array<std::uint8_t, 3> ieee;
  std::uint8_t cmic;
  std::uint8_t mdts;
  std::uint16_t cntlid;
  std::uint32_t ver;
  std::uint32_t rtd3r;
  std::uint32_t rtd3e;
  std::uint32_t oaes;
  std::uint32_t ctratt;
  std::uint16_t rrls;
  std::array<std::uint8_t, 9> reserved102;
  std::uint8_t cntrltype;
  std::array<std::uint8_t, 16> fguid;
  std::uint16_t crdt1;
  std::uint16_t crdt2;
  std::uint16_t crdt3;
  std::array<std::uint8_t, 106> reserved134;
  std::array<std::uint8_t, 16> nvme_mi;
  std::uint16_t oacs;
  std::uint8_t acl;
  std::uint8_t aerl;
  std::uint8_t frmw;
  std::uint8_t lpa;
  std::uint8_t elpe;
  std::uint8_t npss;
  std::uint8_t avscc;
  std::uint8_t apsta;
  std::uint16_t wctemp;
  std::uint16_t cctemp;
  std::uint16_t mtfa;
  std::uint32_t hmpre;
  std::uint32_t hmmin;
  Counter128 tnvmcap;
  Counter128 unvmcap;
  std::uint32_t rpmbs;
  std::uint16_t edstt;
  std::uint8_t dsto;
  std::uint8_t fwug;
  std::uint16_t kas;
  std::uint16_t hctma;
  std::uint16_t mntmt;
  std::uint16_t mxtmt;
  std::uint32_t sanicap;
  std::uint32_t hmminds;
  std::uint16_t hmmaxd;
  std::uint16_t nsetidmax;
  std::uint16_t endgidmax;
  std::uint8_t anatt;
  std::uint8_t anacap;
  std::uint32_t anagrpmax;
  std::uint32_t nanagrpid;
  std::uint32_t pels;
  std::array<std::uint8_t, 156> reserved356;
  std::uint8_t sqes;
  std::uint8_t cqes;
  std::uint16_t maxcmd;
  std::uint32_t nn;
  std::uint16_t oncs;
  std::uint16_t fuses;
  std::uint8_t fna;
  std::uint8_t vwc;
  std::uint16_t awun;
  std::uint16_t awupf;
  std::uint8_t nvscc;
  std::uint8_t nwpc;
  std::uint16_t acwu;
  std::uint16_t ocfs;  // Copy descriptor formats
  std::uint32_t sgls;
  std::uint32_t mnan;
  std::array<std::uint8_t, 224> reserved544;
  std::array<char, 256> subnqn;
  std::array<std::uint8_t, 768> reserved1024;
  std::array<std::uint8_t, 256> nvmeof;
  std::array<PowerStateDescriptor, 32> psd;
  std::array<std::uint8_t, 1024> vendor_specific;
};
static_assert(sizeof(IdentifyController) == kIdentifyBytes);
static_assert(offsetof(IdentifyController, cntrltype) == 111);
static_assert(offsetof(IdentifyController, oacs) == 256);
static_assert(offsetof(IdentifyController, tnvmcap) == 280);
static_assert(offsetof(IdentifyController, kas) == 320);
static_assert(offsetof(IdentifyController, pels) == 352);
static_assert(offsetof(IdentifyController, sqes) == 512);
static_assert(offsetof(IdentifyController, sgls) == 536);
static_assert(offsetof(IdentifyController, subnqn) == 768);
static_assert(offsetof(IdentifyController, psd) == 2048);
static_assert(offsetof(IdentifyController, vendor_specific) == 3072);

struct LbaFormat {
  std::uint16_t ms;
  std::uint8_t lbads;  // power of two
  std::uint8_t rp;
};
static_assert(sizeof(LbaFormat) == 4);

struct IdentifyNamespace {
  std::uint64_t nsze;
  std::uint64_t ncap;
  std::uint64_t nuse;
  std::uint8_t nsfeat;
  std::uint8_t nlbaf;  // 0's based
  std::uint8_t flbas;
  std::uint8_t mc;
  std::uint8_t dpc;
  std::uint8_t dps;
  std::uint8_t nmic;
  std::uint8_t rescap;
  std::uint8_t fpi;
  std::uint8_t dlfeat;
  std::uint16_t nawun;
  std::uint16_t nawupf;
  std::uint16_t nacwu;
  std::uint16_t nabsn;
  std::uint16_t nabo;
  std::uint16_t nabspf;
  std::uint16_t noiob;
  Counter128 nvmcap;
  std::uint16_t npwg;
  std::uint16_t npwa;
  std::uint16_t npdg;
  std::uint16_t npda;
  std::uint16_t nows;
  std::uint16_t mssrl;
  std::uint32_t mcl;
  std::uint8_t msrc;
  std::array<std::uint8_t, 11> reserved81;
  std::uint32_t anagrpid;
  std::array<std::uint8_t, 3> reserved96;
  std::uint8_t nsattr;
  std::uint16_t nvmsetid;
  std::uint16_t endgid;
  std::array<std::uint8_t, 16> nguid;
  std::array<std::uint8_t, 8> eui64;
  std::array<LbaFormat, 16> lbaf;
  std::array<std::uint8_t, 192> reserved192;
  std::array<std::uint8_t, 3712> vendor_specific;
};
static_assert(sizeof(IdentifyNamespace) == kIdentifyBytes);
static_assert(offsetof(IdentifyNamespace, dlfeat) == 33);
static_assert(offsetof(IdentifyNamespace, nvmcap) == 48);
static_assert(offsetof(IdentifyNamespace, mcl) == 76);
static_assert(offsetof(IdentifyNamespace, anagrpid) == 92);
static_assert(offsetof(IdentifyNamespace, nguid) == 104);
static_assert(offsetof(IdentifyNamespace, eui64) == 120);
static_assert(offsetof(IdentifyNamespace, lbaf) == 128);

// Header of one entry of the descriptor list (CNS 03h); nidl bytes follow.
struct NamespaceDescriptor {
  std::uint8_t nidt;
  std::uint8_t nidl;
  std::uint16_t reserved2;
};
static_assert(sizeof(NamespaceDescriptor) == 4);

// CNS 04h.
struct NvmSetEntry {
  std::uint16_t nvmsetid;
  std::uint16_t endgid;
  std::uint32_t reserved4;
  std::uint32_t random_4k_read_typical;  // 100 ns
  std::uint32_t optimal_write_size;
  Counter128 total_capacity;
  Counter128 unallocated_capacity;
  std::array<std::uint8_t, 80> reserved48;
};
static_assert(sizeof(NvmSetEntry) == 128);

// CNS 06h, NVM command set (2.0).
struct IdentifyControllerNvm {
  std::uint8_t vsl;
  std::uint8_t wzsl;
  std::uint8_t wusl;
  std::uint8_t dmrl;
  std::uint32_t dmrsl;
  std::uint64_t dmsl;
  std::array<std::uint8_t, 4080> reserved16;
};
static_assert(sizeof(IdentifyControllerNvm) == kIdentifyBytes);

// CNS 08h (2.0).
struct IdentifyNamespaceIndependent {
  std::uint8_t nsfeat;
  std::uint8_t nmic;
  std::uint8_t rescap;
  std::uint8_t fpi;
  std::uint32_t anagrpid;
  std::uint8_t nsattr;
  std::uint8_t reserved9;
  std::uint16_t nvmsetid;
  std::uint16_t endgid;
  std::uint8_t nstat;
  std::array<std::uint8_t, 4081> reserved15;
};
static_assert(sizeof(IdentifyNamespaceIndependent) == kIdentifyBytes);

// CNS 16h: one descriptor of the namespace granularity list behind its header of 32 bytes.
struct NamespaceGranularity {
  std::uint64_t size;
  std::uint64_t capacity;
};
static_assert(sizeof(NamespaceGranularity) == 16);

#pragma pack(pop)

inline constexpr std::uint8_t kNidtEui64 = 1;  // 8 bytes
inline constexpr std::uint8_t kNidtNguid = 2;  // 16 bytes
inline constexpr std::uint8_t kNidtUuid = 3;   // 16 bytes
inline constexpr std::uint8_t kNidtCsi = 4;    // 1 byte (2.0)

// CTRATT bits.
inline constexpr std::uint32_t kCtrattNvmSets = 1u << 2;
inline constexpr std::uint32_t kCtrattEnduranceGroups = 1u << 4;
inline constexpr std::uint32_t kCtrattGranularity = 1u << 7;
inline constexpr std::uint32_t kCtrattHostIdentifier128 = 1u << 0;

inline constexpr std::uint16_t kOacsDoorbellBufferConfig = 1u << 8;

// ONCS bits.
inline constexpr std::uint16_t kOncsCompare = 1u << 0;
inline constexpr std::uint16_t kOncsWriteUncorrectable = 1u << 1;
inline constexpr std::uint16_t kOncsDsm = 1u << 2;
inline constexpr std::uint16_t kOncsWriteZeroes = 1u << 3;
inline constexpr std::uint16_t kOncsSaveSelect = 1u << 4;
inline constexpr std::uint16_t kOncsReservations = 1u << 5;
inline constexpr std::uint16_t kOncsTimestamp = 1u << 6;
inline constexpr std::uint16_t kOncsVerify = 1u << 7;
inline constexpr std::uint16_t kOncsCopy = 1u << 8;

}  // namespace nvmesim::device::spec
