#include "device/admin/admin_commands.hpp"

#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

namespace {

using spec::AdminOpcode;

void set_features(Core& core, Command& command) {
  core.features.set(command);
}
void get_features(Core& core, Command& command) {
  core.features.get(command);
}

const ManagementConfig& management(const Core& core) {
  return core.config.management;
}
bool has_namespaces(const Core& core) {
  return management(core).namespaces;
}
bool has_format(const Core& core) {
  return management(core).format;
}
bool has_firmware(const Core& core) {
  return core.config.firmware.update;
}
bool has_self_test(const Core& core) {
  return core.config.self_test.offered;
}
bool has_sanitize(const Core& core) {
  return core.config.sanitize.sanicap != 0;
}
bool has_keep_alive(const Core& core) {
  return management(core).keep_alive_granularity_100ms != 0;
}
bool has_security(const Core& core) {
  return management(core).security;
}
bool has_doorbell_buffers(const Core& core) {
  return core.config.doorbell_buffer_config;
}
bool has_directives(const Core& core) {
  return management(core).streams != 0;
}

constexpr CommandRow row(AdminOpcode opcode, void (*handler)(Core&, Command&),
                         bool in_sanitize = false, std::uint32_t effects = 0,
                         bool (*exists)(const Core&) = nullptr) {
  return {static_cast<std::uint8_t>(opcode),
          NsidRule::kIgnored,
          0,
          handler,
          exists,
          effects,
          in_sanitize};
}

constexpr bool kInSanitize = true;  // figure 287
constexpr std::uint32_t kInventory = spec::kEffectInventory | spec::kEffectCapability;
constexpr std::uint32_t kErases = spec::kEffectBlocks | spec::kEffectAlone;

constexpr CommandRow kRows[] = {
    row(AdminOpcode::kDeleteIoSq, delete_io_sq, kInSanitize),
    row(AdminOpcode::kCreateIoSq, create_io_sq, kInSanitize),
    row(AdminOpcode::kGetLogPage, get_log_page, kInSanitize),
    row(AdminOpcode::kDeleteIoCq, delete_io_cq, kInSanitize),
    row(AdminOpcode::kCreateIoCq, create_io_cq, kInSanitize),
    row(AdminOpcode::kIdentify, identify, kInSanitize),
    row(AdminOpcode::kAbort, abort_command, kInSanitize),
    row(AdminOpcode::kSetFeatures, set_features, kInSanitize),
    row(AdminOpcode::kGetFeatures, get_features, kInSanitize),
    row(AdminOpcode::kAsyncEventRequest, async_event_request, kInSanitize),
    row(AdminOpcode::kNamespaceManagement, namespace_management, false, kInventory, has_namespaces),
    row(AdminOpcode::kFirmwareCommit, firmware_commit, false, spec::kEffectController,
        has_firmware),
    row(AdminOpcode::kFirmwareImageDownload, firmware_download, false, 0, has_firmware),
    row(AdminOpcode::kDeviceSelfTest, device_self_test, false, 0, has_self_test),
    row(AdminOpcode::kNamespaceAttachment, namespace_attachment, false, kInventory, has_namespaces),
    row(AdminOpcode::kKeepAlive, keep_alive, kInSanitize, 0, has_keep_alive),
    row(AdminOpcode::kDirectiveSend, directive_send, false, 0, has_directives),
    row(AdminOpcode::kDirectiveReceive, directive_receive, false, 0, has_directives),
    row(AdminOpcode::kFormatNvm, format_nvm, false, kErases | spec::kEffectCapability, has_format),
    row(AdminOpcode::kSecuritySend, security_send, false, 0, has_security),
    row(AdminOpcode::kSecurityReceive, security_receive, false, 0, has_security),
    row(AdminOpcode::kSanitize, sanitize, false, kErases, has_sanitize),
    row(AdminOpcode::kDoorbellBufferConfig, doorbell_buffer_config, false, 0, has_doorbell_buffers),
};

}  // namespace

const CommandRow* find_admin_command(std::uint8_t opcode) {
  for (const CommandRow& candidate : kRows) {
    if (candidate.opcode == opcode) return &candidate;
  }
  return nullptr;
}

std::uint16_t oacs_of(const Core& core) {
  unsigned oacs = 0;
  if (has_security(core)) oacs |= spec::kOacsSecurity;
  if (has_format(core)) oacs |= spec::kOacsFormat;
  if (has_firmware(core)) oacs |= spec::kOacsFirmware;
  if (has_namespaces(core)) oacs |= spec::kOacsNamespaces;
  if (has_self_test(core)) oacs |= spec::kOacsSelfTest;
  if (has_directives(core)) oacs |= spec::kOacsDirectives;
  if (has_doorbell_buffers(core)) oacs |= spec::kOacsDoorbellBufferConfig;
  return static_cast<std::uint16_t>(oacs);
}

}  // namespace nvmesim::device
