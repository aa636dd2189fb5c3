// Firmware Image Download, Firmware Commit and the activation without a reset (sections 5.12, 5.11
// and 8.1).
#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

void store_piece(Core& core, Command& command) {
  const std::vector<std::byte> piece = AdminData::received(command);
  const Status status =
      core.subsystem.firmware.download(std::uint64_t{command.sqe.cdw11} * 4, piece);
  if (status != Status::kSuccess) {
    core.reject(command, status, "offset or length do not fit FWUG, the image or other pieces",
                "5.12");
  } else {
    core.complete(command, Status::kSuccess);
  }
}

// The new firmware runs: commands go on.
void activation_over(void* object, std::uint64_t epoch) {
  auto& core = *static_cast<Core*>(object);
  core.subsystem.firmware.activated();
  for (Core* each : core.subsystem.controllers) {
    if (each != nullptr) each->registers.resume();
  }
  (void)epoch;
}

// Every controller of the subsystem pauses (CSTS.PP) until the new firmware runs.
void begin_activation(Core& core) {
  for (Core* each : core.subsystem.controllers) {
    if (each == nullptr) continue;
    each->events.raise_notice(spec::AsyncNoticeInfo::kFirmwareActivationStarting);
    each->registers.pause();
  }
  core.scheduler.at(
      core.scheduler.now() + std::chrono::milliseconds(core.config.firmware.activation_ms),
      base::Callback(activation_over, &core, core.epoch));
}

// Actions 6 and 7, on boot partition BPID (dword 10 bit 31).
void commit_boot_partition(Core& core, Command& command) {
  const unsigned partition = command.sqe.cdw10 >> 31;
  if (spec::CommitFields{command.sqe.cdw10}.action() == spec::kCommitBootActivate) {
    core.boot.activate(partition);
    core.complete(command, Status::kSuccess);
    return;
  }
  const std::vector<std::byte> image = core.subsystem.firmware.take_download();
  if (image.empty() || image.size() > core.boot.bytes()) {
    core.reject(command, Status::kInvalidFirmwareImage, "the image is not whole or too long",
                "8.13");
    return;
  }
  core.boot.replace(partition, image);
  core.complete(command, Status::kSuccess);
}

}  // namespace

void firmware_download(Core& core, Command& command) {
  const std::uint64_t bytes = (std::uint64_t{command.sqe.cdw10} + 1) * 4;
  if (bytes > core.config.max_transfer_bytes()) {
    core.reject(command, Status::kInvalidField, "more than MDTS allows", "5.12");
    return;
  }
  core.admin_data.receive(command, static_cast<std::uint32_t>(bytes), store_piece);
}

void firmware_commit(Core& core, Command& command) {
  const spec::CommitFields fields{command.sqe.cdw10};
  if (core.boot.present() && fields.action() >= spec::kCommitBootReplace) {
    commit_boot_partition(core, command);
    return;
  }
  bool now = false;
  const Status status = core.subsystem.firmware.commit(fields.slot(), fields.action(), now);
  const bool committed = status == Status::kSuccess ||
                         status == Status::kFirmwareNeedsSubsystemReset ||
                         status == Status::kFirmwareNeedsConventionalReset;
  core.subsystem.events.add(
      core, spec::kEventFirmwareCommit,
      std::array<std::uint32_t, 2>{command.sqe.cdw10, static_cast<std::uint32_t>(status)});
  if (!committed) {
    core.reject(command, status, "the slot, the action or the image is not allowed", "5.11");
    return;
  }
  core.complete(command, status);
  if (now) begin_activation(core);
}

}  // namespace nvmesim::device
