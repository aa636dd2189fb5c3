// Zoned namespaces (the Zoned Namespace command set, NVMe 2.0): what the scan asks of one before
// its disk appears, and the report of its zones.
#include <algorithm>
#include <bit>
#include <cstring>

#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint8_t kCnsCommandSetNamespace = 0x05;
constexpr std::uint8_t kCnsCommandSetController = 0x06;
constexpr std::uint8_t kOpcodeZoneAppend = 0x7d;
constexpr std::uint8_t kOpcodeZoneManagementReceive = 0x7a;
// Commands supported and effects log: dwords of I/O commands begin here; bit 0: supported.
constexpr std::size_t kEffectsOfIo = 1024;
// Identify Namespace, CNS 05h CSI 02h.
constexpr std::size_t kZocAt = 0;
constexpr std::size_t kMarAt = 4;
constexpr std::size_t kMorAt = 8;
constexpr std::size_t kZonedFormatsAt = 2816;
constexpr std::size_t kZonedFormatBytes = 16;
// Report of Zone Management Receive: a header with the number of zones, then a descriptor each.
constexpr std::size_t kReportHeaderBytes = 64;
constexpr std::size_t kZoneDescriptorBytes = 64;
constexpr std::uint32_t kReportPartial = 1u << 16;
constexpr unsigned kZoneTypeSequential = 2;

template <class T>
T load(std::span<const std::byte> from, std::size_t at) {
  T value{};
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

}  // namespace

// The largest Zone Append, asked for once: ZASL is a power of two of minimum pages.
int NvmeCtrl::set_max_append() {
  std::vector<std::byte> page(kIdentifyBytes);
  const int status = identify(kCnsCommandSetController, 0, kCsiZoned, page);
  if (status != 0) return status;
  const auto zasl = load<std::uint8_t>(page, 0);
  max_zone_append_ = zasl != 0 && zasl < 29 ? 1u << (zasl + 3) : limits_.max_hw_sectors;
  return 0;
}

// In a zoned namespace the rest of Identify Namespace depends on the command set. -ENODEV: the host
// cannot serve it, its disk stays hidden.
int NvmeCtrl::update_zone_info(NvmeNs& ns, unsigned format) {
  ZoneInfo zones;
  const bool append =
      (load<std::uint32_t>(ns.head.effects, kEffectsOfIo + 4 * kOpcodeZoneAppend) & 1) != 0;
  if (!append)
    log_warning(fmt::format(
        "Zone Append not supported for zoned namespace:{}. Forcing to read-only mode", ns.nsid));
  if (max_zone_append_ == 0) {
    if (const int status = set_max_append(); status != 0) return status;
  }
  std::vector<std::byte> page(kIdentifyBytes);
  const int status = identify(kCnsCommandSetNamespace, ns.nsid, kCsiZoned, page);
  if (status != 0) return status;
  const auto operation = load<std::uint16_t>(page, kZocAt);
  if (operation != 0) {
    log_warning(
        fmt::format("zone operations:{:x} not supported for namespace:{}", operation, ns.nsid));
    return -ENODEV;
  }
  const auto zone_blocks = load<std::uint64_t>(page, kZonedFormatsAt + format * kZonedFormatBytes);
  zones.sectors = zone_blocks << (ns.info.lba_shift - kSectorShift);
  if (!std::has_single_bit(zones.sectors) || zones.sectors >> 32 != 0) {
    log_warning(fmt::format("invalid zone size:{} for namespace:{}", zones.sectors, ns.nsid));
    return -ENODEV;
  }
  zones.max_open = load<std::uint32_t>(page, kMorAt) + 1;  // FFFFFFFFh: no limit, 0 here
  zones.max_active = load<std::uint32_t>(page, kMarAt) + 1;
  ns.info.read_only |= !append;
  // No request crosses the end of a zone.
  ns.info.chunk_sectors = static_cast<std::uint32_t>(zones.sectors);
  ns.zones = zones;
  return 0;
}

// All zones are asked for, as many at a time as one request carries; all must be of the kind that
// Linux writes.
int NvmeCtrl::revalidate_zones(NvmeNs& ns) {
  ZoneInfo& zones = *ns.zones;
  const std::uint64_t capacity = ns.info.capacity_sectors;
  const std::uint64_t expected = capacity / zones.sectors;
  const std::uint64_t most_bytes = std::min(std::uint64_t{ns.info.max_hw_sectors} << kSectorShift,
                                            std::uint64_t{ns.info.max_segments} << kPageShift);
  std::vector<std::byte> report(
      std::min(kReportHeaderBytes + expected * kZoneDescriptorBytes, most_bytes));
  zones.count = 0;
  for (std::uint64_t sector = 0; sector < capacity;) {
    std::fill(report.begin(), report.end(), std::byte{0});
    SubmissionEntry command{};
    command.opc = kOpcodeZoneManagementReceive;
    command.nsid = ns.nsid;
    const std::uint64_t slba = sector >> (ns.info.lba_shift - kSectorShift);
    command.cdw10 = static_cast<std::uint32_t>(slba);
    command.cdw11 = static_cast<std::uint32_t>(slba >> 32);
    command.cdw12 = static_cast<std::uint32_t>(report.size() / 4 - 1);
    command.cdw13 = kReportPartial;
    const int status =
        submit(command, report, nullptr, ns.disk.queue(), false, false, base::kTimeZero);
    if (status != 0) return status > 0 ? -EIO : status;
    const std::uint64_t room = (report.size() - kReportHeaderBytes) / kZoneDescriptorBytes;
    const std::uint64_t found = std::min(load<std::uint64_t>(report, 0), room);
    if (found == 0) break;
    for (std::uint64_t i = 0; i < found; ++i) {
      const std::size_t at = kReportHeaderBytes + i * kZoneDescriptorBytes;
      const unsigned type = load<std::uint8_t>(report, at) & 0xfu;
      if (type != kZoneTypeSequential) {
        log_error(fmt::format("invalid zone type {}", type));
        return -EINVAL;
      }
    }
    zones.count += found;
    sector += found * zones.sectors;
  }
  return zones.count != 0 ? 0 : -EIO;
}

}  // namespace nvmesim::host
