// Identify: namespaces, their identifiers, and the sets and groups that they belong to.
#include <algorithm>
#include <array>
#include <cstring>

#include "device/admin/identify.hpp"
#include "device/core.hpp"
#include "device/lba_formats.hpp"

namespace nvmesim::device {

namespace {

// EUI-64 and NGUID: the OUI, and a number made from serial number and NSID (FNV-1a).
std::uint64_t unique_number(const ControllerConfig& config, const Namespace& space) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100'0000'01B3; };
  for (const char c : config.identity.serial_number) mix(static_cast<std::uint8_t>(c));
  for (unsigned shift = 0; shift < 32; shift += 8)
    mix(static_cast<std::uint8_t>(space.id >> shift));
  for (unsigned shift = 0; space.identity != 0 && shift < 64; shift += 8) {
    mix(static_cast<std::uint8_t>(space.identity >> shift));
  }
  return hash;
}

std::array<std::uint8_t, 8> eui64_of(const ControllerConfig& config, const Namespace& space) {
  std::array<std::uint8_t, 8> id{};
  const std::uint64_t number = unique_number(config, space);
  for (unsigned i = 0; i < 3; ++i) {
    id[i] = static_cast<std::uint8_t>(config.identity.ieee_oui >> (16 - 8 * i));
  }
  for (unsigned i = 0; i < 5; ++i) id[3 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

// 8 bytes of vendor's choice, the OUI, 5 more.
std::array<std::uint8_t, 16> nguid_of(const ControllerConfig& config, const Namespace& space) {
  std::array<std::uint8_t, 16> id{};
  const std::uint64_t number = unique_number(config, space);
  const auto eui = eui64_of(config, space);
  for (unsigned i = 0; i < 8; ++i) id[i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
  std::copy(eui.begin(), eui.end(), id.begin() + 8);
  return id;
}

// What the data path knows of a namespace.
void fill_data_path(const Core& core, const Namespace& space, spec::IdentifyNamespace& data) {
  const BlockFormat& format = space.format;
  const BlockLimitsConfig& limits = core.config.limits;
  if (!format.plain()) {
    if (format.extended) data.flbas |= 0x10;
    data.mc = 0x03;  // both ways of transferring metadata
    data.dpc = 0x1F;
    data.dps =
        static_cast<std::uint8_t>(format.protection_type | (format.protection_first ? 8u : 0));
  }
  if ((core.config.oncs & spec::kOncsReservations) != 0) data.rescap = 0xFF;
  if (core.config.dulbe) data.nsfeat |= 0x04;
  data.nabsn = static_cast<std::uint16_t>(limits.nabsn);
  data.nabo = static_cast<std::uint16_t>(limits.nabo);
  if ((core.config.oncs & spec::kOncsCopy) != 0) {
    data.mssrl = static_cast<std::uint16_t>(limits.mssrl);
    data.mcl = limits.mcl;
    data.msrc = static_cast<std::uint8_t>(limits.msrc);
  }
}

void fill_formats(const Core& core, const Namespace& space, spec::IdentifyNamespace& data) {
  if (!formats_offered(core)) {
    data.lbaf[0].lbads = static_cast<std::uint8_t>(space.format.block_shift);
    data.lbaf[0].ms = static_cast<std::uint16_t>(space.format.metadata_bytes);
    return;
  }
  const auto formats = lba_formats(core);
  std::copy(formats.begin(), formats.end(), data.lbaf.begin());
  data.nlbaf = static_cast<std::uint8_t>(formats.size() - 1);
  data.flbas = format_index(core, space);
}

void fill_namespace(const Core& core, const Namespace& space, spec::IdentifyNamespace& data) {
  data.nsze = data.ncap = data.nuse = space.blocks;
  if (core.subsystem.namespaces.allocated() == 1) {  // the media counts for all together
    const std::uint64_t used_bytes = unit_bytes(core.media.used_units());
    data.nuse = std::min(space.blocks, used_bytes >> space.format.block_shift);
  }
  data.dlfeat = core.config.deallocated_ones ? 0x02 : 0x01;
  if ((core.config.oncs & spec::kOncsWriteZeroes) != 0 && space.format.plain() &&
      !core.config.deallocated_ones) {
    data.dlfeat |= 0x08;  // Write Zeroes deallocates with DEAC
  }
  data.nmic = space.shared;
  if (core.config.management.namespaces) data.nvmcap.low = unit_bytes(space.units);
  if (core.config.management.ana) data.anagrpid = space.ana_group;
  if (core.config.management.endurance_group) data.nvmsetid = data.endgid = 1;
  data.nguid = nguid_of(core.config, space);
  data.eui64 = eui64_of(core.config, space);
  fill_formats(core, space, data);
  fill_data_path(core, space, data);
}

}  // namespace

void identify_namespace(Core& core, Command& command) {
  auto& data = structure_in<spec::IdentifyNamespace>(command);
  if (command.sqe.nsid == spec::kNsidAll) {  // what all namespaces have in common
    Namespace common;
    fill_formats(core, common, data);
    data.flbas = 0;
    return;
  }
  fill_namespace(core, *core.namespaces.find(command.sqe.nsid), data);
}

void identify_allocated(Core& core, Command& command) {
  const Namespace* space = core.subsystem.namespaces.find(command.sqe.nsid);
  if (space != nullptr) {
    fill_namespace(core, *space, structure_in<spec::IdentifyNamespace>(command));
  }
}

void identify_descriptors(Core& core, Command& command) {
  std::byte* out = command.staged->data();
  const auto add = [&out](std::uint8_t type, const auto& id) {
    const spec::NamespaceDescriptor header{type, static_cast<std::uint8_t>(id.size()), 0};
    std::memcpy(out, &header, sizeof header);
    std::memcpy(out + sizeof header, id.data(), id.size());
    out += sizeof header + id.size();
  };
  const Namespace& space = *core.namespaces.find(command.sqe.nsid);
  add(spec::kNidtEui64, eui64_of(core.config, space));
  add(spec::kNidtNguid, nguid_of(core.config, space));
  if (core.config.registers.revision == Revision::v2_0) {
    add(spec::kNidtCsi, std::array<std::uint8_t, 1>{0});  // NVM command set
  }
}

void identify_independent(Core& core, Command& command) {
  auto& data = structure_in<spec::IdentifyNamespaceIndependent>(command);
  const Namespace& space = *core.namespaces.find(command.sqe.nsid);
  data.nmic = space.shared;
  if (core.config.management.ana) data.anagrpid = space.ana_group;
  if (core.config.management.endurance_group) data.nvmsetid = data.endgid = 1;
  data.nstat = (core.gates & Core::kGateMedia) == 0;
}

void identify_nvm_sets(Core& core, Command& command) {
  if (spec::bits(command.sqe.cdw11, 15, 0) > 1) return;  // sets from this identifier on
  std::byte* out = command.staged->data();
  *out = std::byte{1};
  spec::NvmSetEntry set{};
  set.nvmsetid = set.endgid = 1;
  set.total_capacity.low = unit_bytes(core.subsystem.namespaces.media_units());
  set.unallocated_capacity.low = unit_bytes(core.subsystem.namespaces.unallocated_units());
  set.optimal_write_size = models::kUnitBytes;
  std::memcpy(out + sizeof set, &set, sizeof set);
}

void identify_endurance_groups(Core&, Command& command) {
  auto* list = reinterpret_cast<std::uint16_t*>(command.staged->data());
  if (spec::bits(command.sqe.cdw11, 15, 0) > 1) return;
  list[0] = 1;
  list[1] = 1;
}

void identify_granularity(Core&, Command& command) {
  constexpr std::size_t kHeader = 32;
  const spec::NamespaceGranularity unit{models::kUnitBytes, models::kUnitBytes};
  std::memcpy(command.staged->data() + kHeader, &unit, sizeof unit);
}

}  // namespace nvmesim::device
