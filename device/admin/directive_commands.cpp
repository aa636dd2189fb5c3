// Directive Send and Receive (sections 5.9, 5.10 and 9): the identify type and streams.
#include <algorithm>
#include <cstring>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr unsigned kReturnParameters = 1;  // receive
constexpr unsigned kStreamsStatus = 2;
constexpr unsigned kStreamsAllocate = 3;
constexpr unsigned kEnable = 1;  // send, identify
constexpr unsigned kReleaseIdentifier = 1;
constexpr unsigned kReleaseResources = 2;

std::uint64_t bytes_wanted(const Command& command) {
  return (std::uint64_t{command.sqe.cdw10} + 1) * 4;
}

std::vector<std::byte> identify_parameters(const Core& core, std::uint32_t nsid) {
  constexpr std::size_t kEnabledAt = 32;
  constexpr std::byte kBoth{(1u << spec::kDirectiveIdentify) | (1u << spec::kDirectiveStreams)};
  std::vector<std::byte> data(4096);
  data[0] = kBoth;
  data[kEnabledAt] =
      core.directives.streams_enabled(nsid) ? kBoth : std::byte{1u << spec::kDirectiveIdentify};
  return data;
}

std::vector<std::byte> streams_status(const Core& core, std::uint32_t nsid) {
  const auto& open = core.directives.open(nsid);
  std::vector<std::byte> data(2 + 2 * open.size());
  const auto count = static_cast<std::uint16_t>(open.size());
  std::memcpy(data.data(), &count, 2);
  if (count != 0) std::memcpy(data.data() + 2, open.data(), 2 * open.size());
  return data;
}

void send_answer(Core& core, Command& command) {
  const spec::DirectiveFields fields{command.sqe.cdw11};
  std::vector<std::byte> data;
  if (fields.type() == spec::kDirectiveIdentify) {
    data = identify_parameters(core, command.sqe.nsid);
  } else if (fields.operation() == kReturnParameters) {
    const spec::StreamsParameters parameters = core.directives.parameters(command.sqe.nsid);
    data.resize(sizeof parameters);
    std::memcpy(data.data(), &parameters, sizeof parameters);
  } else {
    data = streams_status(core, command.sqe.nsid);
  }
  data.resize(std::min<std::size_t>(data.size(), bytes_wanted(command)));
  core.admin_data.send(command, data, bytes_wanted(command));
}

void allocate(Core& core, Command& command) {
  const std::uint32_t wanted = spec::bits(command.sqe.cdw12, 15, 0);
  const std::uint32_t granted = core.directives.allocate(command.sqe.nsid, wanted);
  if (granted == 0 && wanted != 0) {
    core.reject(command, Status::kStreamAllocationFailed, "no stream resources are left", "9.3");
  } else {
    core.complete(command, Status::kSuccess, granted);
  }
}

// NSID FFFFFFFFh names all namespaces of this controller: for enabling, and for what is common.
bool takes_all(const Command& command) {
  const spec::DirectiveFields fields{command.sqe.cdw11};
  static_assert(kEnable == kReturnParameters);
  const bool receive =
      command.sqe.opc == static_cast<std::uint8_t>(spec::AdminOpcode::kDirectiveReceive);
  return fields.operation() == kReturnParameters &&
         (receive || fields.type() == spec::kDirectiveIdentify);
}

// False if the command was rejected.
bool check(Core& core, Command& command, const char* section) {
  const spec::DirectiveFields fields{command.sqe.cdw11};
  const bool streams = fields.type() == spec::kDirectiveStreams;
  const bool all = command.sqe.nsid == spec::kNsidAll && takes_all(command);
  if (!all && core.namespaces.find(command.sqe.nsid) == nullptr) {
    core.reject(command, Status::kInvalidNamespace, "NSID names no namespace", section);
  } else if (!streams && fields.type() != spec::kDirectiveIdentify) {
    core.reject(command, Status::kInvalidField, "this directive type is not supported", section);
  } else if (streams && !core.directives.streams_enabled(command.sqe.nsid)) {
    core.reject(command, Status::kInvalidField, "streams are not enabled here", section);
  } else {
    return true;
  }
  return false;
}

}  // namespace

void directive_receive(Core& core, Command& command) {
  if (!check(core, command, "5.9")) return;
  const spec::DirectiveFields fields{command.sqe.cdw11};
  const bool streams = fields.type() == spec::kDirectiveStreams;
  if (streams && fields.operation() == kStreamsAllocate) {
    allocate(core, command);
  } else if (fields.operation() != kReturnParameters &&
             !(streams && fields.operation() == kStreamsStatus)) {
    core.reject(command, Status::kInvalidField, "this operation is not supported", "5.9");
  } else if (bytes_wanted(command) > core.config.max_transfer_bytes()) {
    core.reject(command, Status::kInvalidField, "more than MDTS allows", "5.9");
  } else {
    core.prps.map(command, bytes_wanted(command), send_answer);
  }
}

void directive_send(Core& core, Command& command) {
  const spec::DirectiveFields fields{command.sqe.cdw11};
  const std::uint32_t nsid = command.sqe.nsid;
  if (!check(core, command, "5.10")) return;
  if (fields.type() == spec::kDirectiveIdentify && fields.operation() == kEnable) {
    const bool enable = spec::bits(command.sqe.cdw12, 0, 0) != 0;
    if (spec::bits(command.sqe.cdw12, 15, 8) != spec::kDirectiveStreams) {
      core.reject(command, Status::kInvalidField, "this type cannot be enabled or disabled", "9.2");
      return;
    }
    core.directives.enable_streams(nsid, enable);
  } else if (fields.type() == spec::kDirectiveStreams && fields.operation() == kReleaseIdentifier) {
    core.directives.release(nsid, static_cast<std::uint16_t>(fields.specific()));
  } else if (fields.type() == spec::kDirectiveStreams && fields.operation() == kReleaseResources) {
    core.directives.release_resources(nsid);
  } else {
    core.reject(command, Status::kInvalidField, "this operation is not supported", "5.10");
    return;
  }
  core.complete(command, Status::kSuccess);
}

}  // namespace nvmesim::device
