// Commands of user space, and what they may have done to namespaces and controller.
#include <cstring>

#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

// Commands Supported and Effects (NVMe 1.4, 5.14.1.5).
constexpr std::uint32_t kSupported = 1u << 0;
constexpr std::uint32_t kContentChange = 1u << 1;               // LBCC
constexpr std::uint32_t kNamespaceCapabilityChange = 1u << 2;   // NCC
constexpr std::uint32_t kNamespaceInventoryChange = 1u << 3;    // NIC
constexpr std::uint32_t kControllerCapabilityChange = 1u << 4;  // CCC
constexpr std::uint32_t kExecution = 7u << 16;                  // CSE
constexpr std::size_t kIoEffects = 1024;
constexpr std::uint32_t kPsdt = 0xc0;

std::uint32_t known_effects(std::uint8_t opcode) {
  switch (static_cast<AdminOpcode>(opcode)) {
    case AdminOpcode::kFormatNvm:
      return kContentChange | kNamespaceCapabilityChange | kExecution;
    case AdminOpcode::kSanitize:
      return kContentChange | kExecution;
    default:
      return 0;
  }
}

}  // namespace

std::uint32_t NvmeCtrl::command_effects(const Passthrough& command) const {
  std::uint32_t effects = 0;
  const std::size_t at = (command.io ? kIoEffects : 0) + std::size_t{command.command.opc} * 4;
  if (effects_known_) std::memcpy(&effects, effects_.data() + at, sizeof effects);
  if (command.io) return effects;
  return effects | known_effects(command.command.opc);
}

// Effects that have to be seen to afterwards.
std::uint32_t NvmeCtrl::passthru_start(const Passthrough& command) {
  const std::uint32_t effects = command_effects(command) & ~kSupported;
  if (command.io) {
    if ((effects & ~kContentChange) != 0)
      log_warning(fmt::format("IO command:{:02x} has unhandled effects:{:08x}", command.command.opc,
                              effects));
    return 0;
  }
  if ((effects & kExecution) != 0) {
    scan_lock_.lock();
    start_freeze();
    wait_freeze();
  }
  return effects;
}

void NvmeCtrl::passthru_end(std::uint32_t effects, const Passthrough& command, int status) {
  if ((effects & kExecution) != 0) {
    unfreeze();
    remove_invalid_namespaces();
    scan_lock_.unlock();
  }
  if ((effects & kControllerCapabilityChange) != 0) init_ctrl_finish();
  if ((effects & (kNamespaceInventoryChange | kNamespaceCapabilityChange)) != 0) {
    queue_scan();
    flush_scan();
  }
  if (status != 0) return;
  const SubmissionEntry& entry = command.command;
  const bool keep_alive = entry.opc == static_cast<std::uint8_t>(AdminOpcode::kSetFeatures) &&
                          (entry.cdw10 & 0xff) == static_cast<unsigned>(FeatureId::kKeepAliveTimer);
  if (!keep_alive) return;
  kato_ = (entry.cdw11 + 999) / 1000;
  ka_work_.cancel_sync();
  start_keep_alive();
}

int NvmeCtrl::passthru(Passthrough& command, std::uint64_t* result) {
  command.command.flags = static_cast<std::uint8_t>(command.command.flags & ~kPsdt);
  RequestQueue* queue = admin_q;
  if (command.io) {
    NvmeNs* ns = find_ns(command.command.nsid);
    if (ns == nullptr) return -EINVAL;
    queue = &ns->disk.queue();
  }
  if (queue == nullptr) return -ENODEV;
  const std::uint32_t effects = passthru_start(command);
  const int status =
      submit(command.command, command.data, result, *queue, true, false,
             std::chrono::milliseconds(static_cast<std::int64_t>(command.timeout_ms)));
  if (effects != 0) passthru_end(effects, command, status);
  return status;
}

void NvmeCtrl::remove_invalid_namespaces() {
  for (std::size_t i = 0; i < namespaces_.size();) {
    if (namespaces_[i]->dead)
      remove_ns(*namespaces_[i]);
    else
      ++i;
  }
}

}  // namespace nvmesim::host
