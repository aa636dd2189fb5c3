#include "host/nvme/ns_info.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "host/block/bio.hpp"
#include "host/kernel/page_allocator.hpp"

namespace nvmesim::host {
namespace {

constexpr std::uint32_t kDefaultMaxSectors = 2560;  // 1280 KiB, the block layer's own limit
constexpr std::uint8_t kFeatureAtomic = 1u << 1;    // NSFEAT: NAWUPF and friends are valid
constexpr std::uint8_t kFeatureOptimal = 1u << 4;   // NSFEAT: NPWG to NOWS are valid
constexpr std::uint8_t kExtendedLba = 1u << 4;      // FLBAS

void set_block_sizes(const device::spec::IdentifyNamespace& id, const CtrlLimits& limits,
                     NsInfo& info) {
  const std::uint32_t block = 1u << info.lba_shift;
  std::uint32_t physical = block;
  std::uint32_t atomic = block;
  if (id.nabo == 0) {
    const bool own = (id.nsfeat & kFeatureAtomic) != 0 && id.nawupf != 0;
    atomic = (1u + (own ? id.nawupf : limits.awupf)) * block;
  }
  if ((id.nsfeat & kFeatureOptimal) != 0) {
    physical = (1u + id.npwg) * block;
    info.optimal_io_bytes = (1u + id.nows) * block;
  }
  info.physical_block_bytes = std::min(physical, atomic);
}

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

NsInfo derive_ns_info(const device::spec::IdentifyNamespace& id, const CtrlLimits& limits,
                      const Quirks& quirks, bool integrity) {
  const device::spec::LbaFormat& format = id.lbaf[id.flbas & 15u];
  NsInfo info;
  info.size_blocks = id.nsze;
  info.used_blocks = id.nuse;
  info.metadata_bytes = format.ms;
  info.pi_type = format.ms == 8 ? static_cast<std::uint8_t>(id.dps & 7u) : std::uint8_t{0};
  info.extended_lba = format.ms != 0 && (id.flbas & kExtendedLba) != 0;
  // A block size that the host cannot use leaves a disk of size 0 with 512-byte blocks.
  const bool usable = format.lbads <= kPageShift && format.lbads >= kSectorShift;
  if (usable) info.lba_shift = format.lbads;
  // Without integrity buffers, metadata can only be protection information that the drive makes.
  const bool metadata_fits = format.ms == 0 || info.pi_type != 0;
  if (usable && metadata_fits) info.capacity_sectors = id.nsze << (info.lba_shift - kSectorShift);
  info.integrity = integrity && usable && info.pi_type != 0 && !info.extended_lba;
  info.read_only = (id.nsattr & 1u) != 0;
  info.ana_group = id.anagrpid;
  set_block_sizes(id, limits, info);

  const std::uint32_t block_sectors = 1u << (info.lba_shift - kSectorShift);
  const std::uint32_t page_sectors = 1u << (kPageShift - kSectorShift);
  info.max_hw_sectors =
      std::max(limits.max_hw_sectors / block_sectors * block_sectors, page_sectors);
  info.max_segments = std::min(limits.max_hw_sectors / page_sectors + 1, limits.max_segments);
  info.max_sectors = std::min(info.max_hw_sectors, kDefaultMaxSectors);
  std::uint32_t boundary = std::uint32_t{id.noiob} << (info.lba_shift - kSectorShift);
  if (quirks.stripe_size && std::has_single_bit(limits.max_hw_sectors))
    boundary = limits.max_hw_sectors;
  if (std::has_single_bit(boundary)) info.chunk_sectors = boundary;
  return info;
}

bool parse_ns_descriptors(std::span<const std::byte> list, NsIds& ids) {
  constexpr std::uint8_t kNidtCsi = 4;  // NVMe 2.0
  bool csi_seen = false;
  std::size_t at = 0;
  device::spec::NamespaceDescriptor header{};
  while (at + sizeof header <= list.size()) {
    std::memcpy(&header, list.data() + at, sizeof header);
    at += sizeof header;
    if (header.nidl == 0 || at + header.nidl > list.size()) break;
    const std::byte* value = list.data() + at;
    const auto take = [&](auto& into) {
      if (header.nidl != sizeof into) return false;
      std::memcpy(&into, value, sizeof into);
      return true;
    };
    bool well_formed = true;
    if (header.nidt == device::spec::kNidtEui64) well_formed = take(ids.eui64);
    if (header.nidt == device::spec::kNidtNguid) well_formed = take(ids.nguid);
    if (header.nidt == device::spec::kNidtUuid) well_formed = take(ids.uuid);
    if (header.nidt == kNidtCsi) csi_seen = well_formed = take(ids.csi);
    if (!well_formed) break;
    at += header.nidl;
  }
  return csi_seen;
}

void complete_ns_ids(const device::spec::IdentifyNamespace& id, std::uint32_t version, NsIds& ids) {
  if (version >= device::spec::kVersion11 && all_zero(ids.eui64)) ids.eui64 = id.eui64;
  if (version >= device::spec::kVersion12 && all_zero(ids.nguid)) ids.nguid = id.nguid;
}

}  // namespace nvmesim::host
