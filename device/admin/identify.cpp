// Identify (section 5.15): a table with a row per CNS value, and the structures filled from the
// configuration.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::Cns;
using spec::Status;

namespace {

template <std::size_t Size>
void set_text(std::array<char, Size>& field, std::string_view text) {
  field.fill(' ');
  std::copy_n(text.begin(), std::min(text.size(), Size), field.begin());
}

template <class Structure>
Structure& structure_in(Command& command) {
  return *reinterpret_cast<Structure*>(command.staged->data());
}

// EUI-64 and NGUID: the OUI, and a number made from serial number and NSID (FNV-1a).
std::uint64_t unique_number(const ControllerConfig& config, std::uint32_t nsid) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100'0000'01B3; };
  for (const char c : config.identity.serial_number) mix(static_cast<std::uint8_t>(c));
  for (unsigned shift = 0; shift < 32; shift += 8) mix(static_cast<std::uint8_t>(nsid >> shift));
  return hash;
}

std::array<std::uint8_t, 8> eui64_of(const ControllerConfig& config, std::uint32_t nsid) {
  std::array<std::uint8_t, 8> id{};
  const std::uint64_t number = unique_number(config, nsid);
  for (unsigned i = 0; i < 3; ++i) {
    id[i] = static_cast<std::uint8_t>(config.identity.ieee_oui >> (16 - 8 * i));
  }
  for (unsigned i = 0; i < 5; ++i) id[3 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

// 8 bytes of vendor's choice, the OUI, 5 more.
std::array<std::uint8_t, 16> nguid_of(const ControllerConfig& config, std::uint32_t nsid) {
  std::array<std::uint8_t, 16> id{};
  const std::uint64_t number = unique_number(config, nsid);
  const auto eui = eui64_of(config, nsid);
  for (unsigned i = 0; i < 8; ++i) id[i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
  std::copy(eui.begin(), eui.end(), id.begin() + 8);
  return id;
}

void fill_controller(const Core& core, spec::IdentifyController& data) {
  const ControllerConfig& config = core.config;
  const IdentityConfig& identity = config.identity;
  data.vid = static_cast<std::uint16_t>(identity.vendor_id);
  data.ssvid = static_cast<std::uint16_t>(identity.subsystem_vendor_id);
  set_text(data.sn, identity.serial_number);
  set_text(data.mn, identity.model_number);
  set_text(data.fr, identity.firmware_revision);
  data.rab = static_cast<std::uint8_t>(config.rab);
  for (unsigned i = 0; i < 3; ++i) {
    data.ieee[i] = static_cast<std::uint8_t>(identity.ieee_oui >> (8 * i));
  }
  data.mdts = static_cast<std::uint8_t>(config.mdts);
  data.cntlid = static_cast<std::uint16_t>(identity.controller_id);
  data.ver = spec::kVersion14;
  data.rtd3r = config.ready_latency_us;
  data.rtd3e = config.shutdown_latency_us;
  data.cntrltype = 1;  // I/O controller
  if (config.doorbell_buffer_config) data.oacs |= spec::kOacsDoorbellBufferConfig;
  data.acl = static_cast<std::uint8_t>(config.acl);
  data.aerl = static_cast<std::uint8_t>(config.aerl);
  data.frmw = 0x03;  // one slot, read only
  data.lpa = static_cast<std::uint8_t>(config.lpa);
  data.elpe = static_cast<std::uint8_t>(config.elpe);
  data.wctemp = static_cast<std::uint16_t>(config.warning_temperature_kelvin);
  data.cctemp = static_cast<std::uint16_t>(config.critical_temperature_kelvin);
  data.sqes = spec::kIosqes << 4 | spec::kIosqes;
  data.cqes = spec::kIocqes << 4 | spec::kIocqes;
  data.nn = core.namespaces.count();
  data.oncs = static_cast<std::uint16_t>(config.oncs);
  data.fuses = static_cast<std::uint16_t>(config.fuses);
  data.awun = static_cast<std::uint16_t>(config.limits.awun);
  data.awupf = static_cast<std::uint16_t>(config.limits.awupf);
  data.acwu = static_cast<std::uint16_t>(config.limits.acwu);
  data.ocfs = (config.oncs & spec::kOncsCopy) != 0 ? 1 : 0;
  if (config.sgls != 0) data.sgls = config.sgls | spec::kSglsBitBucket | spec::kSglsMetadataSegment;
  data.hmpre = config.hmb.hmpre_pages;
  data.hmmin = config.hmb.hmmin_pages;
  data.hmminds = config.hmb.hmminds_pages;
  data.hmmaxd = static_cast<std::uint16_t>(config.hmb.hmmaxd);
  data.vwc = core.media.volatile_cache() ? 0x07 : 0;  // present; Flush takes NSID FFFFFFFFh
  std::copy(identity.subnqn.begin(), identity.subnqn.end(), data.subnqn.begin());
  data.psd[0].mp = static_cast<std::uint16_t>(config.max_power_centiwatts);
}

void controller(Core& core, Command& command) {
  fill_controller(core, structure_in<spec::IdentifyController>(command));
}

// What the data path knows of a namespace.
void fill_format(const Core& core, const Namespace& space, spec::IdentifyNamespace& data) {
  const BlockFormat& format = space.format;
  const BlockLimitsConfig& limits = core.config.limits;
  data.lbaf[0].lbads = static_cast<std::uint8_t>(format.block_shift);
  data.lbaf[0].ms = static_cast<std::uint16_t>(format.metadata_bytes);
  if (!format.plain()) {
    data.flbas = format.extended ? 0x10 : 0;
    data.mc = 0x03;  // both ways of transferring metadata
    data.dpc = 0x1F;
    data.dps =
        static_cast<std::uint8_t>(format.protection_type | (format.protection_first ? 8u : 0));
  }
  if (core.config.dulbe) data.nsfeat |= 0x04;
  data.nabsn = static_cast<std::uint16_t>(limits.nabsn);
  data.nabo = static_cast<std::uint16_t>(limits.nabo);
  if ((core.config.oncs & spec::kOncsCopy) != 0) {
    data.mssrl = static_cast<std::uint16_t>(limits.mssrl);
    data.mcl = limits.mcl;
    data.msrc = static_cast<std::uint8_t>(limits.msrc);
  }
}

void name_space(Core& core, Command& command) {
  auto& data = structure_in<spec::IdentifyNamespace>(command);
  const Namespace& space = *core.namespaces.find(command.sqe.nsid);
  data.nsze = data.ncap = data.nuse = space.blocks;
  if (core.namespaces.count() == 1) {  // the media counts for all namespaces together
    const std::uint64_t used_bytes = core.media.used_units() * models::kUnitBytes;
    data.nuse = std::min(space.blocks, used_bytes >> space.format.block_shift);
  }
  fill_format(core, space, data);
  data.dlfeat = core.config.deallocated_ones ? 0x02 : 0x01;
  if ((core.config.oncs & spec::kOncsWriteZeroes) != 0 && space.format.plain() &&
      !core.config.deallocated_ones) {
    data.dlfeat |= 0x08;  // Write Zeroes deallocates with DEAC
  }
  data.nguid = nguid_of(core.config, space.id);
  data.eui64 = eui64_of(core.config, space.id);
}

void active_list(Core& core, Command& command) {
  auto* list = reinterpret_cast<std::uint32_t*>(command.staged->data());
  std::size_t used = 0;
  for (std::uint32_t id = command.sqe.nsid + 1;
       id <= core.namespaces.count() && used < spec::kIdentifyBytes / sizeof *list; ++id) {
    list[used++] = id;
  }
}

void descriptors(Core& core, Command& command) {
  std::byte* out = command.staged->data();
  const auto add = [&out](std::uint8_t type, const auto& id) {
    const spec::NamespaceDescriptor header{type, static_cast<std::uint8_t>(id.size()), 0};
    std::memcpy(out, &header, sizeof header);
    std::memcpy(out + sizeof header, id.data(), id.size());
    out += sizeof header + id.size();
  };
  add(spec::kNidtEui64, eui64_of(core.config, command.sqe.nsid));
  add(spec::kNidtNguid, nguid_of(core.config, command.sqe.nsid));
}

bool existing_namespace(const Core& core, std::uint32_t nsid) {
  return core.namespaces.find(nsid) != nullptr;
}
bool list_start(const Core&, std::uint32_t nsid) {
  return nsid < 0xFFFF'FFFE;
}
bool any_nsid(const Core&, std::uint32_t) {
  return true;
}

struct Row {
  Cns cns;
  bool (*nsid_ok)(const Core&, std::uint32_t nsid);
  void (*fill)(Core&, Command&);  // the buffer is all zeroes
};

constexpr Row kRows[] = {
    {Cns::kNamespace, existing_namespace, name_space},
    {Cns::kController, any_nsid, controller},
    {Cns::kActiveNamespaces, list_start, active_list},
    {Cns::kNamespaceDescriptors, existing_namespace, descriptors},
};

const Row* find_row(const Command& command) {
  for (const Row& row : kRows) {
    if (static_cast<std::uint32_t>(row.cns) == spec::bits(command.sqe.cdw10, 7, 0)) return &row;
  }
  return nullptr;
}

void send_structure(Core& core, Command& command) {
  command.staged = core.buffers.take();
  std::memset(command.staged->data(), 0, spec::kIdentifyBytes);
  find_row(command)->fill(core, command);
  core.mover.send_staged(command, spec::kIdentifyBytes);
}

}  // namespace

void identify(Core& core, Command& command) {
  const Row* row = find_row(command);
  if (row == nullptr) {
    core.reject(command, Status::kInvalidField, "this CNS value is not supported", "5.15");
  } else if (!row->nsid_ok(core, command.sqe.nsid)) {
    core.reject(command, Status::kInvalidNamespace, "NSID is not valid for this CNS", "5.15");
  } else {
    core.prps.map(command, spec::kIdentifyBytes, send_structure);
  }
}

}  // namespace nvmesim::device
