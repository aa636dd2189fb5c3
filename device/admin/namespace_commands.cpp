// Namespace Management, Namespace Attachment and Format NVM (sections 5.20, 5.19, 5.23).
#include <algorithm>
#include <cstring>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/lba_formats.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

// Ends everything that works on a namespace, on every controller.
void clear_namespace(Core& core, const Namespace& space, spec::SelfTestResult result) {
  for (Core* each : core.subsystem.controllers) {
    if (each == nullptr) continue;
    each->self_test.namespace_gone(space.id, result);
    each->terminate_io(Status::kInvalidNamespace, space.id);
    each->directives.forget(space.id);
    if (result == spec::SelfTestResult::kAbortedNamespaceRemoved) {
      each->features.forget_namespace(space.id);
    }
  }
}

void detach(Core& core, Namespace& space, Core& from) {
  from.terminate_io(Status::kInvalidNamespace, space.id);
  from.directives.forget(space.id);
  space.attached &= ~from.namespaces.bit();
  if (&from != &core) from.changed.add(from, space.id);
}

// --- Namespace Management

const char* create_fault(const Core& core, const spec::IdentifyNamespace& wanted,
                         BlockFormat& format, Status& status) {
  status = Status::kInvalidFormat;
  const bool first = (wanted.dps & 8) != 0;
  if (!choose_format(core, wanted.flbas & 0xF, (wanted.flbas & 0x10) != 0, wanted.dps & 7, first,
                     format)) {
    return "FLBAS or DPS names no format that is offered";
  }
  status = Status::kThinProvisioningNotSupported;
  if (wanted.ncap != wanted.nsze) return "NCAP differs from NSZE";
  status = Status::kInvalidField;
  if (wanted.nsze == 0) return "NSZE is 0";
  if ((wanted.nmic & ~1u) != 0) return "reserved bits of NMIC are set";
  if (core.config.management.endurance_group && wanted.nvmsetid > 1) {
    return "NVMSETID names no NVM set";
  }
  status = Status::kAnaGroupIdInvalid;
  if (wanted.anagrpid > (core.config.management.ana ? core.config.management.ana_groups : 0)) {
    return "ANAGRPID names no ANA group";
  }
  status = Status::kNamespaceIdUnavailable;
  if (core.subsystem.namespaces.full()) return "every NSID is taken";
  return nullptr;
}

void create_namespace(Core& core, Command& command) {
  const auto wanted = AdminData::received_as<spec::IdentifyNamespace>(command);
  BlockFormat format;
  Status status{};
  const char* fault = create_fault(core, wanted, format, status);
  if (fault != nullptr) {
    core.reject(command, status, fault, "5.20");
    return;
  }
  Namespace* space = core.subsystem.namespaces.create(wanted.nsze, format);
  if (space == nullptr) {
    core.reject(command, Status::kNamespaceInsufficientCapacity,
                "no range of the media is long enough", "5.20");
    return;
  }
  space->shared = (wanted.nmic & 1) != 0;
  space->ana_group = wanted.anagrpid != 0 ? wanted.anagrpid : 1;
  core.subsystem.events.add(core, spec::kEventChangeNamespace,
                            std::array<std::uint64_t, 2>{wanted.nsze, space->id});
  core.complete(command, Status::kSuccess, space->id);
}

// The data of a namespace that goes away is forgotten; its units are free once that is done.
void deletion_done(void* object, std::uint64_t nsid);

struct Deletion {
  static void begin(Core& core, Namespace& space) {
    clear_namespace(core, space, spec::SelfTestResult::kAbortedNamespaceRemoved);
    core.subsystem.reservations.forget(space.id);
    const std::uint64_t attached = space.attached;
    space.attached = 0;
    space.deleting = true;
    core.subsystem.erase(space.first_byte, space.units * models::kUnitBytes,
                         base::Callback(deletion_done, &core.subsystem, space.id));
    core.subsystem.namespace_changed(space.id, attached & ~core.namespaces.bit());
    core.subsystem.events.add(core, spec::kEventChangeNamespace,
                              std::array<std::uint64_t, 2>{0, space.id});
  }
};

void deletion_done(void* object, std::uint64_t nsid) {
  static_cast<Subsystem*>(object)->namespaces.remove(static_cast<std::uint32_t>(nsid));
}

void delete_namespace(Core& core, Command& command) {
  NamespaceSet& set = core.subsystem.namespaces;
  const std::uint32_t nsid = command.sqe.nsid;
  if (nsid != spec::kNsidAll && set.find(nsid) == nullptr) {
    core.reject(command, Status::kInvalidNamespace, "NSID names no allocated namespace", "5.20");
    return;
  }
  const auto meant = [nsid](std::uint32_t id) { return nsid == id || nsid == spec::kNsidAll; };
  for (std::uint32_t id = 1; id <= set.limit(); ++id) {
    if (meant(id) && set.slot(id).formatting) {
      core.reject(command, Status::kFormatInProgress, "the namespace is being formatted", "5.20");
      return;
    }
  }
  for (std::uint32_t id = 1; id <= set.limit(); ++id) {
    Namespace* space = set.find(id);
    if (space != nullptr && meant(id)) Deletion::begin(core, *space);
  }
  core.complete(command, Status::kSuccess);
}

// --- Namespace Attachment

const char* attach_fault(Core& core, const Namespace& space, const spec::ControllerList& list,
                         bool attach, Status& status) {
  status = Status::kControllerListInvalid;
  if (list.count == 0 || list.count > list.ids.size()) return "the controller list has no entries";
  for (std::uint32_t i = 0; i < list.count; ++i) {
    if (core.subsystem.controller(list.ids[i]) == nullptr) return "no controller has this CNTLID";
    if (i != 0 && list.ids[i] <= list.ids[i - 1]) return "the controller list does not ascend";
  }
  std::uint64_t attached = space.attached;
  for (std::uint32_t i = 0; i < list.count; ++i) {
    const std::uint64_t bit = core.subsystem.controller(list.ids[i])->namespaces.bit();
    status = attach ? Status::kNamespaceAlreadyAttached : Status::kNamespaceNotAttached;
    if (((attached & bit) != 0) == attach) return "the attachment is so already";
    status = Status::kNamespaceIsPrivate;
    if (attach && attached != 0 && !space.shared) return "the namespace is private";
    attached ^= bit;
  }
  return nullptr;
}

void change_attachment(Core& core, Command& command) {
  Namespace* space = core.subsystem.namespaces.find(command.sqe.nsid);
  const bool attach = spec::bits(command.sqe.cdw10, 3, 0) == spec::kNamespaceAttach;
  const auto list = AdminData::received_as<spec::ControllerList>(command);
  Status status = Status::kInvalidNamespace;
  const char* fault = space == nullptr ? "NSID names no allocated namespace"
                                       : attach_fault(core, *space, list, attach, status);
  if (fault != nullptr) {
    core.reject(command, status, fault, "5.19");
    return;
  }
  for (std::uint32_t i = 0; i < list.count; ++i) {
    Core& other = *core.subsystem.controller(list.ids[i]);
    if (!attach) {
      detach(core, *space, other);
    } else {
      space->attached |= other.namespaces.bit();
      if (&other != &core) other.changed.add(other, space->id);
    }
  }
  core.complete(command, Status::kSuccess);
}

// --- Format NVM

// Which namespaces a Format NVM works on.
std::vector<Namespace*> format_targets(Core& core, std::uint32_t nsid) {
  std::vector<Namespace*> targets;
  NamespaceSet& set = core.subsystem.namespaces;
  for (std::uint32_t id = 1; id <= set.limit(); ++id) {
    Namespace* space = set.find(id);
    if (space == nullptr || core.namespaces.find(id) == nullptr) continue;
    if (id == nsid || nsid == spec::kNsidAll) targets.push_back(space);
  }
  return targets;
}

void refresh_format_gate(Subsystem& subsystem) {
  const bool any = subsystem.any_formatting();
  for (Core* core : subsystem.controllers) {
    if (core == nullptr) continue;
    core->gates = any ? core->gates | Core::kGateFormat : core->gates & ~Core::kGateFormat;
  }
}

void format_erased(void* object, std::uint64_t job);

void format_time_over(void* object, std::uint64_t job_number) {
  auto& core = *static_cast<Core*>(object);
  FormatJob& job = core.format_jobs[job_number];
  job.erasing = static_cast<std::uint32_t>(job.nsids.size());
  for (const std::uint32_t nsid : job.nsids) {
    const Namespace& space = core.subsystem.namespaces.slot(nsid);
    core.subsystem.erase(space.first_byte, space.units * models::kUnitBytes,
                         base::Callback(format_erased, &core, job_number));
  }
}

void format_erased(void* object, std::uint64_t job_number) {
  auto& core = *static_cast<Core*>(object);
  FormatJob& job = core.format_jobs[job_number];
  job.failed = job.failed || !core.subsystem.eraser.ok();
  if (--job.erasing != 0) return;
  for (const std::uint32_t nsid : job.nsids) {
    Namespace& space = *core.subsystem.namespaces.find(nsid);
    space.formatting = false;
    space.format = job.format;
    space.blocks = space.units * (models::kUnitBytes >> job.format.block_shift);
    core.subsystem.namespace_changed(nsid, space.attached & ~core.namespaces.bit());
    core.subsystem.events.add(core, spec::kEventFormatEnd,
                              std::array<std::uint32_t, 2>{nsid, job.failed ? 1u : 0u});
  }
  job.nsids.clear();
  refresh_format_gate(core.subsystem);
  if (job.epoch != core.epoch) return;  // a reset took the command
  core.complete(core.commands.at(job.command),
                job.failed ? Status::kInternalError : Status::kSuccess);
}

void start_format(Core& core, Command& command, const std::vector<Namespace*>& targets,
                  const BlockFormat& format) {
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core.scheduler.now());
  auto job = std::find_if(core.format_jobs.begin(), core.format_jobs.end(),
                          [](const FormatJob& each) { return each.nsids.empty(); });
  if (job == core.format_jobs.end()) job = core.format_jobs.emplace(job);
  *job = FormatJob{};
  job->format = format;
  job->command = command.index;
  job->epoch = core.epoch;
  for (Namespace* space : targets) {
    clear_namespace(core, *space, spec::SelfTestResult::kAbortedByFormat);
    space->formatting = true;
    job->nsids.push_back(space->id);
    core.subsystem.events.add(core, spec::kEventFormatStart,
                              std::array<std::uint32_t, 2>{space->id, command.sqe.cdw10});
  }
  refresh_format_gate(core.subsystem);
  core.scheduler.at(
      core.scheduler.now() + std::chrono::milliseconds(core.config.management.format_ms),
      base::Callback(format_time_over, &core,
                     static_cast<std::uint64_t>(job - core.format_jobs.begin())));
}

}  // namespace

void namespace_management(Core& core, Command& command) {
  switch (spec::bits(command.sqe.cdw10, 3, 0)) {
    case spec::kNamespaceCreate:
      core.admin_data.receive(command, spec::kIdentifyBytes, create_namespace);
      return;
    case spec::kNamespaceDelete:
      delete_namespace(core, command);
      return;
    default:
      core.reject(command, Status::kInvalidField, "SEL is neither create nor delete", "5.20");
  }
}

void namespace_attachment(Core& core, Command& command) {
  if (spec::bits(command.sqe.cdw10, 3, 0) > spec::kNamespaceDetach) {
    core.reject(command, Status::kInvalidField, "SEL is neither attach nor detach", "5.19");
    return;
  }
  core.admin_data.receive(command, sizeof(spec::ControllerList), change_attachment);
}

void format_nvm(Core& core, Command& command) {
  const spec::FormatFields fields{command.sqe.cdw10};
  const auto targets = format_targets(core, command.sqe.nsid);
  BlockFormat format;
  const auto busy = [](const Namespace* space) { return space->formatting; };
  if (targets.empty()) {
    core.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.23");
  } else if (fields.ses() > 2) {
    core.reject(command, Status::kInvalidField, "SES is reserved", "5.23");
  } else if (!choose_format(core, fields.lbaf(), fields.mset(), fields.pi(), fields.pil(),
                            format)) {
    core.reject(command, Status::kInvalidFormat, "this LBA format is not offered", "5.23");
  } else if (std::any_of(targets.begin(), targets.end(), busy)) {
    core.reject(command, Status::kFormatInProgress, "the namespace is being formatted", "5.23");
  } else {
    start_format(core, command, targets, format);
  }
}

}  // namespace nvmesim::device
