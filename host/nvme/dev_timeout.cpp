// What happens when a command's time has run out: look for a lost interrupt, send an Abort, reset
// the controller, by its state. Runs in a worker thread and may wait.
#include <cstring>

#include "host/kernel/pci_registers.hpp"
#include "host/nvme/dev.hpp"

namespace nvmesim::host {

using namespace device::spec;

void NvmeDev::warn_timeout(const Request& request, std::string_view what) {
  ctrl_.log_warning(fmt::format("I/O {} QID {} timeout, {}", request.tag, request.queue_id, what));
}

bool NvmeDev::should_reset(std::uint32_t csts) const {
  if (ctrl_.state() == CtrlState::kResetting || ctrl_.state() == CtrlState::kConnecting)
    return false;
  return Csts{csts}.cfs() || (subsystem_reset_ && Csts{csts}.nssro());
}

TimeoutResult NvmeDev::timeout(Request& request) {
  ++timeouts_;
  Iod& iod = iod_of(request);
  NvmeQueue& queue = *iod.queue;
  const std::uint32_t csts = reg_read32(kRegCsts);
  // While PCI recovers the function, it is left alone.
  if (channel_ != PciChannelState::kNormal) return TimeoutResult::kResetTimer;
  if (should_reset(csts)) {
    const std::uint32_t pci = machine_.read32(function_.id, pci::kCommand) >> 16;
    ctrl_.log_warning(
        fmt::format("controller is down; will reset: CSTS=0x{:x}, PCI_STATUS=0x{:x}", csts, pci));
    dev_disable(false);
    ctrl_.reset_ctrl();
    return TimeoutResult::kDone;
  }
  poll_irqdisable(queue);
  if (request.state != RequestState::kInFlight) {
    warn_timeout(request, "completion polled");
    return TimeoutResult::kDone;
  }
  switch (ctrl_.state()) {
    case CtrlState::kConnecting:
      ctrl_.change_ctrl_state(CtrlState::kDeleting);
      [[fallthrough]];
    case CtrlState::kDeleting:
      warn_timeout(request, "disable controller");
      iod.cancelled = true;
      dev_disable(true);
      return TimeoutResult::kDone;
    case CtrlState::kResetting:
      return TimeoutResult::kResetTimer;
    default:
      break;
  }
  if (queue.qid() == 0 || iod.aborted) {
    warn_timeout(request, "reset controller");
    iod.cancelled = true;
    dev_disable(false);
    ctrl_.reset_ctrl();
    return TimeoutResult::kDone;
  }
  return abort_request(request);
}

TimeoutResult NvmeDev::abort_request(Request& request) {
  if (--ctrl_.abort_limit < 0) {
    ++ctrl_.abort_limit;
    return TimeoutResult::kResetTimer;
  }
  iod_of(request).aborted = true;
  warn_timeout(request, "aborting");
  Request* abort = admin_q_->alloc_request(RequestOp::kDriverIn, {.nowait = true});
  if (abort == nullptr) {
    ++ctrl_.abort_limit;
    return TimeoutResult::kResetTimer;
  }
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kAbort);
  command.cdw10 = request.queue_id | std::uint32_t{request.command_id} << 16;
  std::memcpy(abort->command.data(), &command, sizeof command);
  abort->failfast_driver = true;
  abort->end_io =
      base::Callback::of<&NvmeDev::abort_ended>(this, reinterpret_cast<std::uint64_t>(abort));
  ++aborts_;
  admin_q_->execute_rq_nowait(*abort);
  return TimeoutResult::kResetTimer;
}

void NvmeDev::abort_ended(std::uint64_t argument) {
  auto& abort = *reinterpret_cast<Request*>(argument);
  ctrl_.log_warning(fmt::format("Abort status: 0x{:x}", abort.status));
  ++ctrl_.abort_limit;
  admin_q_->free_request(abort);
}

}  // namespace nvmesim::host
