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
      const bool large = blocks << core_.namespaces.block_shift() > models::kUnitBytes;
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
  command.state = CommandState::kDecoding;
  if (!command.admin()) core_.health.io_begins(core_.scheduler.now());
  const base::Time start = unit_.reserve(core_.scheduler.now(), interval_);
  base::Time end = start + latency_of(command);
  if (core_.points.command_fate.armed()) [[unlikely]] {
    Fate fate;
    core_.points.command_fate(command.sqid, command.sqe, fate);
    if (fate.drop) return;  // it stays here until somebody aborts it
    if (fate.status) return core_.complete(command, *fate.status);
    end += fate.delay;
  }
  command.timer = core_.scheduler.at<&Dispatcher::decoded>(end, this, command.index);
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
  if (sqe.fuse() != 0) {
    core_.reject(command, Status::kInvalidField, "fused operations are not supported", "4.2");
    return false;
  }
  if (sqe.psdt() != 0) {
    core_.reject(command, Status::kInvalidField, "SGLs are not supported", "4.2");
    return false;
  }
  if (row.nsid == NsidRule::kIgnored) return true;
  command.space = core_.namespaces.find(sqe.nsid);
  if (command.space != nullptr) return true;
  if (row.nsid == NsidRule::kOneOrAll && sqe.nsid == spec::kNsidAll) return true;
  core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "6.1");
  return false;
}

}  // namespace nvmesim::device
