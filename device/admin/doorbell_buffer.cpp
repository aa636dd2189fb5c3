// Doorbell Buffer Config (section 5.7).
#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

void doorbell_buffer_config(Core& core, Command& command) {
  if (!core.config.doorbell_buffer_config) {
    core.reject(command, Status::kInvalidOpcode, "OACS bit 8 is 0", "5.7");
    return;
  }
  const std::uint64_t mask = core.registers.page_bytes() - 1;
  if (command.sqe.prp1 == 0 || command.sqe.prp2 == 0 ||
      ((command.sqe.prp1 | command.sqe.prp2) & mask) != 0) {
    core.reject(command, Status::kInvalidField, "a buffer does not start at a page", "5.7");
    return;
  }
  core.shadows.configure(command.sqe.prp1, command.sqe.prp2);
  core.complete(command, Status::kSuccess);
}

}  // namespace nvmesim::device
