#include "device/dispatcher.hpp"

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::Status;

Dispatcher::Dispatcher(Core& core)
    : core_(core),
      unit_("decode", core.config.pipeline.decode_width,
            core.config.pipeline.cycles(core.config.pipeline.decode_interval_cycles)),
      latency_(core.config.pipeline.cycles(core.config.pipeline.decode_cycles)),
      lookup_("lookup", core.config.pipeline.lookup_width,
              core.config.pipeline.cycles(core.config.pipeline.lookup_interval_cycles)),
      lookup_latency_(core.config.pipeline.cycles(core.config.pipeline.lookup_cycles)),
      looks_up_(core.config.pipeline.lookup_cycles != 0 ||
                core.config.pipeline.lookup_interval_cycles != 0) {}

// Decode takes a constant time, so that what is behind it can be reserved ahead.
base::Time Dispatcher::pass_units(const Command& command) {
  base::Time when = unit_.reserve(core_.scheduler.now()) + latency_;
  if (looks_up_ && !command.admin()) [[unlikely]]
    when = lookup_.reserve(when) + lookup_latency_;
  return when + extra_of(command);
}

base::Time Dispatcher::extra_of(const Command& command) const {
  const PipelineConfig& pipeline = core_.config.pipeline;
  if (command.admin()) return std::chrono::nanoseconds(pipeline.admin_latency_ns);
  std::uint32_t extra = 0;
  switch (static_cast<spec::NvmOpcode>(command.sqe.opc)) {
    case spec::NvmOpcode::kRead: {
      const std::uint64_t blocks = std::uint64_t{spec::RwControl{command.sqe.cdw12}.nlb()} + 1;
      const Namespace* space = core_.namespaces.find(command.sqe.nsid);
      const bool large =
          space != nullptr && blocks << space->format.block_shift > models::kUnitBytes;
      extra = large ? pipeline.large_read_latency_ns : pipeline.read_latency_ns;
      break;
    }
    case spec::NvmOpcode::kWrite:
      extra = pipeline.write_latency_ns;
      break;
    default:
      break;
  }
  return std::chrono::nanoseconds(extra);
}

void Dispatcher::accept(Command& command) {
  if (core_.points.command_fetched.armed()) {
    core_.points.command_fetched(command.sqid, command.sqe);
  }
  if (!command.admin()) core_.health.io_begins(core_.scheduler.now());
  if (core_.config.fuses != 0 && !command.admin() && pair(command)) [[unlikely]]
    return;
  decode(command);
}

void Dispatcher::decode(Command& command) {
  command.state = CommandState::kDecoding;
  const base::Time now = core_.scheduler.now();
  base::Time when = pass_units(command);
  if (!command.admin()) {
    if (core_.thermal.modelled()) [[unlikely]]
      core_.thermal.power_changed();
    if (core_.power.concerns_io()) [[unlikely]]
      when += core_.power.admit(bytes_of(command)) - now;
  }
  if (core_.points.command_fate.armed()) [[unlikely]] {
    Fate fate;
    core_.points.command_fate(command.sqid, command.sqe, fate);
    if (fate.drop) return;  // it stays here until somebody aborts it
    if (fate.status) return core_.complete(command, *fate.status);
    when += fate.delay;
  }
  command.timer = core_.scheduler.at<&Dispatcher::decoded>(when, this, command.index);
}

// Data of a Read or Write, as far as it can be told before its checks.
std::uint64_t Dispatcher::bytes_of(const Command& command) const {
  const auto opcode = static_cast<spec::NvmOpcode>(command.sqe.opc);
  const Namespace* space = core_.namespaces.find(command.sqe.nsid);
  const bool data = opcode == spec::NvmOpcode::kRead || opcode == spec::NvmOpcode::kWrite;
  if (space == nullptr || !data) return 0;
  return (std::uint64_t{spec::RwControl{command.sqe.cdw12}.nlb()} + 1) << space->format.block_shift;
}

base::Time Dispatcher::core_work(const Command& command) const {
  const PipelineConfig& pipeline = core_.config.pipeline;
  if (command.admin()) return pipeline.cycles(pipeline.admin_core_cycles);
  switch (static_cast<spec::NvmOpcode>(command.sqe.opc)) {
    case spec::NvmOpcode::kRead:
      return pipeline.cycles(pipeline.read_core_cycles);
    case spec::NvmOpcode::kWrite:
      return pipeline.cycles(pipeline.write_core_cycles);
    default:
      return pipeline.cycles(pipeline.other_core_cycles);
  }
}

void Dispatcher::decoded(std::uint64_t index) {
  if (!core_.cores.present()) {
    handle(index);
    return;
  }
  Command& command = core_.commands.at(index);
  const base::Time done = core_.cores.work(core_.scheduler.now(), core_work(command));
  command.timer = core_.scheduler.at<&Dispatcher::handle>(done, this, index);
}

bool offered(const Core& core, const CommandRow& row) {
  return (row.oncs & ~core.config.oncs) == 0 && (row.exists == nullptr || row.exists(core));
}

void Dispatcher::handle(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  const CommandRow* row =
      command.admin() ? find_admin_command(command.sqe.opc) : find_nvm_command(command.sqe.opc);
  if (row == nullptr || !offered(core_, *row)) {
    core_.reject(command, Status::kInvalidOpcode, "this opcode is not supported", "4.6.1");
    return;
  }
  if (!common_checks(command, *row)) return;
  if (core_.gates != 0 && !passes_gates(command, *row)) [[unlikely]]
    return;
  row->handler(core_, command);
}

// Sanitize, Format NVM, ANA and a media that is not ready keep commands away.
bool Dispatcher::passes_gates(Command& command, const CommandRow& row) {
  const unsigned gates = core_.gates;
  if ((gates & Core::kGateSanitize) != 0 && !(command.admin() && row.in_sanitize)) {
    core_.reject(command, Status::kSanitizeInProgress, "not allowed while a sanitize runs", "8.15");
    return false;
  }
  const bool sanitizes =
      command.admin() &&
      (row.in_sanitize || row.opcode == static_cast<std::uint8_t>(spec::AdminOpcode::kSanitize));
  if ((gates & Core::kGateSanitizeFailed) != 0 && !sanitizes) {
    core_.reject(command, Status::kSanitizeFailed, "the last sanitize failed", "8.15");
    return false;
  }
  if ((gates & Core::kGateMedia) != 0 && (!command.admin() || row.effects != 0)) {
    core_.reject(command,
                 command.admin() ? Status::kAdminMediaNotReady : Status::kNamespaceNotReady,
                 "the media is not ready yet", "3.5.4 of 2.0");
    return false;
  }
  if (command.admin() || command.space == nullptr) return true;
  if (command.space->formatting) {
    core_.reject(command, Status::kFormatInProgress, "the namespace is being formatted", "5.23");
    return false;
  }
  if ((gates & Core::kGateReservation) != 0 && !check_reservation(command, row)) return false;
  const Status access =
      (gates & Core::kGateAna) != 0 ? core_.ana.access(command.space->ana_group) : Status::kSuccess;
  if (access == Status::kSuccess) return true;
  core_.reject(command, access, "the namespace's ANA group is not accessible here", "8.20");
  return false;
}

bool Dispatcher::check_reservation(Command& command, const CommandRow& row) {
  const Reservation* reservation = core_.subsystem.reservations.find(command.space->id);
  if (reservation == nullptr || row.access == BlockAccess::kNone) return true;
  const HostId host = core_.reservation_log.host();
  const bool allowed =
      row.access == BlockAccess::kRead ? reservation->may_read(host) : reservation->may_write(host);
  if (allowed) return true;
  core_.reject(command, Status::kReservationConflict, "another host reserved the namespace", "8.8");
  return false;
}

bool Dispatcher::common_checks(Command& command, const CommandRow& row) {
  const spec::SubmissionEntry& sqe = command.sqe;
  if (sqe.fuse() != 0) [[unlikely]] {
    if (command.admin() || core_.config.fuses == 0 || sqe.fuse() == 3) {
      core_.reject(command, Status::kInvalidField, "fused operations are not supported", "4.2");
      return false;
    }
    if (command.partner != nullptr && !check_pair(command)) return false;
  }
  if (sqe.psdt() != 0) [[unlikely]] {
    if (command.admin() || core_.config.sgls == 0 || sqe.psdt() == 3) {
      core_.reject(command, Status::kInvalidField, "SGLs are not supported", "4.2");
      return false;
    }
  }
  if (row.nsid == NsidRule::kIgnored) return true;
  command.space = core_.namespaces.find(sqe.nsid);
  if (command.space != nullptr) return true;
  if (row.nsid == NsidRule::kOneOrAll && sqe.nsid == spec::kNsidAll) return true;
  core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "6.1");
  return false;
}

// Fused operations (section 6.2). The halves lie behind each other in one queue,
// and entries come here in the order of the queue. True if the command does not go on by itself.
bool Dispatcher::pair(Command& command) {
  SubmissionQueue& queue = *core_.queues.sq(command.sqid);
  Command* first = queue.fused_first;
  const unsigned fuse = command.sqe.fuse();
  if (first != nullptr && fuse == spec::kFuseSecond) {
    queue.fused_first = nullptr;
    first->partner = &command;
    command.partner = first;
    command.state = CommandState::kFused;
    decode(*first);
    return true;
  }
  if (first != nullptr) abort_lonely(*first, queue);
  if (fuse == spec::kFuseFirst) {
    command.state = CommandState::kFused;
    queue.fused_first = &command;
    return true;
  }
  if (fuse != spec::kFuseSecond) return false;
  core_.reject(command, Status::kAbortedMissingFused, "the first of the pair is missing", "6.2");
  return true;
}

void Dispatcher::abort_lonely(Command& command, SubmissionQueue& queue) {
  queue.fused_first = nullptr;
  core_.reject(command, Status::kAbortedMissingFused, "the second of the pair is missing", "6.2");
}

// Compare and Write of the same blocks. Both fail if they are not.
bool Dispatcher::check_pair(Command& first) {
  Command& second = *first.partner;
  const bool known = first.sqe.opc == static_cast<std::uint8_t>(spec::NvmOpcode::kCompare) &&
                     second.sqe.opc == static_cast<std::uint8_t>(spec::NvmOpcode::kWrite);
  const std::uint32_t blocks = spec::RwControl{first.sqe.cdw12}.nlb();
  const bool same = first.sqe.nsid == second.sqe.nsid && first.sqe.cdw10 == second.sqe.cdw10 &&
                    first.sqe.cdw11 == second.sqe.cdw11 &&
                    blocks == spec::RwControl{second.sqe.cdw12}.nlb();
  if (known && same && blocks <= core_.config.limits.acwu) return true;
  const Status status = known && same ? Status::kAtomicWriteUnitExceeded : Status::kInvalidField;
  separate(first);
  core_.reject(first, status, "not a Compare and Write of the same blocks within ACWU", "6.2");
  core_.reject(second, status, "not a Compare and Write of the same blocks within ACWU", "6.2");
  return false;
}

Command* Dispatcher::separate(Command& command) {
  Command& other = *command.partner;
  command.partner = other.partner = nullptr;
  if (command.sqe.fuse() != spec::kFuseFirst) return nullptr;
  if (command.status == Status::kSuccess) core_.locks.hand_over(command, other);
  return &other;
}

void Dispatcher::first_ended(Command& second, Status status) {
  if (status == Status::kSuccess) {
    decode(second);
  } else {
    core_.reject(second, Status::kAbortedFailedFused, "the first of the pair failed", "6.2");
  }
}

void Dispatcher::withdraw(Command& command) {
  SubmissionQueue& queue = *core_.queues.sq(command.sqid);
  if (queue.fused_first == &command) queue.fused_first = nullptr;
}

}  // namespace nvmesim::device
