#include "device/dispatcher.hpp"

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::Status;

Dispatcher::Dispatcher(Core& core)
    : core_(core),
      interval_(core.config.pipeline.cycles(core.config.pipeline.decode_interval_cycles)),
      latency_(core.config.pipeline.cycles(core.config.pipeline.decode_cycles)) {}

base::Time Dispatcher::latency_of(const Command& command) const {
  const PipelineConfig& pipeline = core_.config.pipeline;
  if (command.admin()) return latency_ + std::chrono::nanoseconds(pipeline.admin_latency_ns);
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
  return latency_ + std::chrono::nanoseconds(extra);
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
  const base::Time start = unit_.reserve(core_.scheduler.now(), interval_);
  command.timer =
      core_.scheduler.at<&Dispatcher::decoded>(start + latency_of(command), this, command.index);
}

void Dispatcher::decoded(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  const CommandRow* row =
      command.admin() ? find_admin_command(command.sqe.opc) : find_nvm_command(command.sqe.opc);
  if (row == nullptr || (row->oncs & ~core_.config.oncs) != 0) {
    core_.reject(command, Status::kInvalidOpcode, "this opcode is not supported", "4.6.1");
    return;
  }
  if (common_checks(command, *row)) row->handler(core_, command);
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
