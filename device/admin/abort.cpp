// Abort (section 5.1), which really ends the command in flight, and Asynchronous Event Request.
#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr std::uint32_t kNotAborted = 1;  // dword 0 bit 0

Command* find_victim(Core& core, const Command& abort, std::uint16_t sqid, std::uint16_t cid) {
  for (Command& candidate : core.commands.all()) {
    if (candidate.state != CommandState::kFree && &candidate != &abort && candidate.sqid == sqid &&
        candidate.sqe.cid == cid) {
      return &candidate;
    }
  }
  return nullptr;
}

}  // namespace

void abort_command(Core& core, Command& command) {
  const auto sqid = static_cast<std::uint16_t>(spec::bits(command.sqe.cdw10, 15, 0));
  const auto cid = static_cast<std::uint16_t>(spec::bits(command.sqe.cdw10, 31, 16));
  if (core.aborts_open > core.config.acl) {
    core.reject(command, Status::kAbortLimitExceeded, "more Abort commands than ACL allows", "5.1");
    return;
  }
  if (core.queues.sq(sqid) == nullptr) {
    core.reject(command, Status::kInvalidField, "SQID names no submission queue", "5.1");
    return;
  }
  command.position = 1;  // counted until it is released
  ++core.aborts_open;
  Command* victim = find_victim(core, command, sqid, cid);
  const Termination result =
      victim == nullptr ? Termination::kTooLate : core.terminate(*victim, Status::kAbortRequested);
  switch (result) {
    case Termination::kEnded:
      core.complete(command, Status::kSuccess);
      break;
    case Termination::kEnding:
      victim->waiter = &command;
      command.state = CommandState::kParked;
      break;
    case Termination::kTooLate:
      core.complete(command, Status::kSuccess, kNotAborted);
      break;
  }
}

void async_event_request(Core& core, Command& command) {
  core.events.request(command);
}

}  // namespace nvmesim::device
