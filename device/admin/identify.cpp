// Identify (section 5.15): a table with a row per CNS value, and the structures that describe the
// controller and its subsystem.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "device/admin/admin_commands.hpp"
#include "device/admin/identify.hpp"
#include "device/core.hpp"
#include "device/lba_formats.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Cns;
using spec::Status;

namespace {

template <std::size_t Size>
void set_text(std::array<char, Size>& field, std::string_view text) {
  field.fill(' ');
  std::copy_n(text.begin(), std::min(text.size(), Size), field.begin());
}

void fill_power_states(const Core& core, spec::IdentifyController& data) {
  const auto& states = core.config.power.states;
  data.npss = static_cast<std::uint8_t>(states.size());
  data.apsta = core.config.power.apst;
  data.psd[0].mp = static_cast<std::uint16_t>(core.config.max_power_centiwatts);
  for (std::size_t i = 0; i < states.size(); ++i) {
    spec::PowerStateDescriptor& psd = data.psd[i + 1];
    psd.mp = static_cast<std::uint16_t>(states[i].max_power_centiwatts);
    psd.flags = states[i].non_operational ? 2 : 0;
    psd.enlat = states[i].entry_latency_us;
    psd.exlat = states[i].exit_latency_us;
    const auto rank = static_cast<std::uint8_t>(i + 1);  // relative: lower is better
    if (!states[i].non_operational) psd.rrt = psd.rrl = psd.rwt = psd.rwl = rank;
  }
}

void fill_management(const Core& core, spec::IdentifyController& data) {
  const ControllerConfig& config = core.config;
  const ManagementConfig& management = config.management;
  // Namespaces that several controllers may share say that there may be several.
  const bool several = core.subsystem.size() > 1 ||
                       std::any_of(config.namespaces.begin(), config.namespaces.end(),
                                   [](const NamespaceConfig& space) { return space.shared; });
  data.cmic = static_cast<std::uint8_t>((several ? 2 : 0) | (management.ana ? 8 : 0));
  data.oaes = management.oaes;
  data.ctratt = spec::kCtrattHostIdentifier128;
  if (management.endurance_group) {
    data.ctratt |= spec::kCtrattNvmSets | spec::kCtrattEnduranceGroups;
    data.nsetidmax = data.endgidmax = 1;
  }
  if (management.namespaces) {
    data.ctratt |= spec::kCtrattGranularity;
    data.tnvmcap.low = unit_bytes(core.subsystem.namespaces.media_units());
    data.unvmcap.low = unit_bytes(core.subsystem.namespaces.unallocated_units());
    data.mnan = core.namespaces.count();
  }
  data.oacs = oacs_of(core);
  data.frmw = static_cast<std::uint8_t>((config.firmware.slot1_read_only ? 1 : 0) |
                                        (config.firmware.slots << 1) |
                                        (config.firmware.without_reset ? 16 : 0));
  if (config.firmware.update) {
    data.fwug = static_cast<std::uint8_t>(config.firmware.granularity_pages);
    data.mtfa = static_cast<std::uint16_t>(config.firmware.mtfa_100ms);
  }
  if (config.self_test.offered) {
    constexpr std::uint32_t kMinuteMs = 60'000;
    data.edstt =
        static_cast<std::uint16_t>((config.self_test.extended_ms + kMinuteMs - 1) / kMinuteMs);
    data.dsto = config.self_test.single;
  }
  data.sanicap = config.sanitize.sanicap;
  if (data.sanicap != 0) data.sanicap |= 1u << 29;  // No-Deallocate is inhibited
  data.kas = static_cast<std::uint16_t>(management.keep_alive_granularity_100ms);
  if (config.thermal.host_controlled) {
    data.hctma = 1;
    data.mntmt = static_cast<std::uint16_t>(config.thermal.mntmt_kelvin);
    data.mxtmt = static_cast<std::uint16_t>(config.thermal.mxtmt_kelvin);
  }
  if (management.ana) {
    data.anatt = static_cast<std::uint8_t>(management.anatt_s);
    data.anacap = 0x1F;  // every state can be reported
    data.anagrpmax = data.nanagrpid = management.ana_groups;
    data.mnan = core.namespaces.count();  // the size of the log page follows from it
  }
  if ((config.lpa & 0x10) != 0) data.pels = management.persistent_events / 100 + 1;  // 64 KiB
  if (management.format) data.fna = 4;  // cryptographic erase; per namespace
}

void fill_controller(const Core& core, spec::IdentifyController& data) {
  const ControllerConfig& config = core.config;
  const IdentityConfig& identity = config.identity;
  data.vid = static_cast<std::uint16_t>(identity.vendor_id);
  data.ssvid = static_cast<std::uint16_t>(identity.subsystem_vendor_id);
  set_text(data.sn, identity.serial_number);
  set_text(data.mn, identity.model_number);
  set_text(data.fr, core.subsystem.firmware.revision());
  data.rab = static_cast<std::uint8_t>(config.rab);
  for (unsigned i = 0; i < 3; ++i) {
    data.ieee[i] = static_cast<std::uint8_t>(identity.ieee_oui >> (8 * i));
  }
  data.mdts = static_cast<std::uint8_t>(config.mdts);
  data.cntlid = static_cast<std::uint16_t>(identity.controller_id);
  data.ver = config.version();
  data.rtd3r = config.ready_latency_us + config.registers.media_ready_latency_us;
  data.rtd3e = config.shutdown_latency_us;
  data.cntrltype = 1;  // I/O controller
  data.acl = static_cast<std::uint8_t>(config.acl);
  data.aerl = static_cast<std::uint8_t>(config.aerl);
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
  fill_management(core, data);
  if (config.doorbell_buffer_config) data.oacs |= spec::kOacsDoorbellBufferConfig;
  fill_power_states(core, data);
}

void controller(Core& core, Command& command) {
  fill_controller(core, structure_in<spec::IdentifyController>(command));
}

template <class Includes>
void namespace_list(Core& core, Command& command, Includes includes) {
  auto* list = reinterpret_cast<std::uint32_t*>(command.staged->data());
  std::size_t used = 0;
  for (std::uint32_t id = command.sqe.nsid + 1;
       id <= core.namespaces.count() && used < spec::kIdentifyBytes / sizeof *list; ++id) {
    if (includes(id)) list[used++] = id;
  }
}
void active_list(Core& core, Command& command) {
  namespace_list(core, command,
                 [&](std::uint32_t id) { return core.namespaces.find(id) != nullptr; });
}
void allocated_list(Core& core, Command& command) {
  namespace_list(core, command,
                 [&](std::uint32_t id) { return core.subsystem.namespaces.find(id) != nullptr; });
}

// Controllers at or above CDW10.CNTID: all of them, or those that a namespace is attached to.
template <class Includes>
void controller_list(Core& core, Command& command, Includes includes) {
  auto& list = structure_in<spec::ControllerList>(command);
  std::vector<std::uint16_t> ids;
  for (const Core* each : core.subsystem.controllers) {
    if (each == nullptr || !includes(*each)) continue;
    const std::uint32_t id = each->config.identity.controller_id;
    if (id >= spec::bits(command.sqe.cdw10, 31, 16)) ids.push_back(static_cast<std::uint16_t>(id));
  }
  std::sort(ids.begin(), ids.end());
  list.count = static_cast<std::uint16_t>(ids.size());
  std::copy(ids.begin(), ids.end(), list.ids.begin());
}
void all_controllers(Core& core, Command& command) {
  controller_list(core, command, [](const Core&) { return true; });
}
void attached_controllers(Core& core, Command& command) {
  const Namespace& space = *core.subsystem.namespaces.find(command.sqe.nsid);
  controller_list(core, command,
                  [&](const Core& each) { return (space.attached & each.namespaces.bit()) != 0; });
}

// What the NVM command set adds (2.0): nothing for a namespace, limits for a controller.
void nothing(Core&, Command&) {}
void limits(Core& core, Command& command) {
  auto& data = structure_in<spec::IdentifyControllerNvm>(command);
  if ((core.config.oncs & spec::kOncsDsm) != 0) data.dmrl = 0xFF;
}
void command_sets(Core&, Command& command) {
  *command.staged->data() = std::byte{1};  // combination 0: the NVM command set
}

bool active(const Core& core, const Command& command) {
  return core.namespaces.find(command.sqe.nsid) != nullptr;
}
bool active_or_common(const Core& core, const Command& command) {
  return active(core, command) || (command.sqe.nsid == spec::kNsidAll && formats_offered(core));
}
bool possible(const Core& core, const Command& command) {
  return command.sqe.nsid != 0 && command.sqe.nsid <= core.namespaces.count();
}
bool allocated(const Core& core, const Command& command) {
  return core.subsystem.namespaces.find(command.sqe.nsid) != nullptr;
}
bool list_start(const Core&, const Command& command) {
  return command.sqe.nsid < 0xFFFF'FFFE;
}
bool any_nsid(const Core&, const Command&) {
  return true;
}

bool manages(const Core& core) {
  return core.config.management.namespaces;
}
bool has_sets(const Core& core) {
  return core.config.management.endurance_group;
}
bool newer(const Core& core) {
  return core.config.registers.revision == Revision::v2_0;
}
bool newer_manages(const Core& core) {
  return newer(core) && manages(core);
}
bool newer_sets(const Core& core) {
  return newer(core) && has_sets(core);
}
bool always(const Core&) {
  return true;
}

struct Row {
  Cns cns;
  bool (*exists)(const Core&);
  bool (*nsid_ok)(const Core&, const Command&);
  void (*fill)(Core&, Command&);  // the buffer is all zeroes
};

constexpr Row kRows[] = {
    {Cns::kNamespace, always, active_or_common, identify_namespace},
    {Cns::kController, always, any_nsid, controller},
    {Cns::kActiveNamespaces, always, list_start, active_list},
    {Cns::kNamespaceDescriptors, always, active, identify_descriptors},
    {Cns::kNvmSetList, has_sets, any_nsid, identify_nvm_sets},
    {Cns::kCommandSetNamespace, newer, active, nothing},
    {Cns::kCommandSetController, newer, any_nsid, limits},
    {Cns::kCommandSetActiveNamespaces, newer, list_start, active_list},
    {Cns::kIndependentNamespace, newer, active, identify_independent},
    {Cns::kAllocatedNamespaces, manages, list_start, allocated_list},
    {Cns::kAllocatedNamespace, manages, possible, identify_allocated},
    {Cns::kAttachedControllers, manages, allocated, attached_controllers},
    {Cns::kControllerList, manages, any_nsid, all_controllers},
    {Cns::kNamespaceGranularity, manages, any_nsid, identify_granularity},
    {Cns::kEnduranceGroupList, newer_sets, any_nsid, identify_endurance_groups},
    {Cns::kCommandSetAllocatedNamespaces, newer_manages, list_start, allocated_list},
    {Cns::kCommandSetAllocatedNamespace, newer_manages, possible, nothing},
    {Cns::kCommandSets, newer, any_nsid, command_sets},
};

const Row* find_row(const Core& core, const Command& command) {
  for (const Row& row : kRows) {
    if (static_cast<std::uint32_t>(row.cns) == spec::bits(command.sqe.cdw10, 7, 0)) {
      return row.exists(core) ? &row : nullptr;
    }
  }
  return nullptr;
}

// CNS values of one command set: only the NVM command set is there (CSI 0).
bool command_set_ok(const Command& command) {
  switch (static_cast<Cns>(spec::bits(command.sqe.cdw10, 7, 0))) {
    case Cns::kCommandSetNamespace:
    case Cns::kCommandSetController:
    case Cns::kCommandSetActiveNamespaces:
    case Cns::kCommandSetAllocatedNamespaces:
    case Cns::kCommandSetAllocatedNamespace:
      return spec::bits(command.sqe.cdw11, 31, 24) == 0;
    default:
      return true;
  }
}

void send_structure(Core& core, Command& command) {
  command.staged = core.buffers.take();
  std::memset(command.staged->data(), 0, spec::kIdentifyBytes);
  find_row(core, command)->fill(core, command);
  core.mover.send_staged(command, spec::kIdentifyBytes);
}

}  // namespace

void identify(Core& core, Command& command) {
  const Row* row = find_row(core, command);
  if (row == nullptr) {
    core.reject(command, Status::kInvalidField, "this CNS value is not supported", "5.15");
  } else if (!command_set_ok(command)) {
    core.reject(command, Status::kInvalidField, "CSI names no I/O command set", "5.15");
  } else if (!row->nsid_ok(core, command)) {
    core.reject(command, Status::kInvalidNamespace, "NSID is not valid for this CNS", "5.15");
  } else {
    core.prps.map(command, spec::kIdentifyBytes, send_structure);
  }
}

}  // namespace nvmesim::device
