#include "device/admin/admin_commands.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

using spec::AdminOpcode;

constexpr CommandRow row(AdminOpcode opcode, void (*handler)(Core&, Command&)) {
  return {static_cast<std::uint8_t>(opcode), NsidRule::kIgnored, 0, handler};
}

void set_features(Core& core, Command& command) {
  core.features.set(command);
}
void get_features(Core& core, Command& command) {
  core.features.get(command);
}

constexpr CommandRow kRows[] = {
    row(AdminOpcode::kDeleteIoSq, delete_io_sq),
    row(AdminOpcode::kCreateIoSq, create_io_sq),
    row(AdminOpcode::kGetLogPage, get_log_page),
    row(AdminOpcode::kDeleteIoCq, delete_io_cq),
    row(AdminOpcode::kCreateIoCq, create_io_cq),
    row(AdminOpcode::kIdentify, identify),
    row(AdminOpcode::kAbort, abort_command),
    row(AdminOpcode::kSetFeatures, set_features),
    row(AdminOpcode::kGetFeatures, get_features),
    row(AdminOpcode::kAsyncEventRequest, async_event_request),
    row(AdminOpcode::kDoorbellBufferConfig, doorbell_buffer_config),
};

}  // namespace

const CommandRow* find_admin_command(std::uint8_t opcode) {
  for (const CommandRow& candidate : kRows) {
    if (candidate.opcode == opcode) return &candidate;
  }
  return nullptr;
}

}  // namespace nvmesim::device
