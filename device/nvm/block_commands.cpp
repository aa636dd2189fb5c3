#include "device/nvm/block_commands.hpp"

#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::Status;

bool check_range(Core& core, Command& command) {
  if (in_range(*command.space, starting_lba(command), blocks_of(command))) return true;
  core.reject(command, Status::kLbaOutOfRange, "blocks beyond the end of the namespace", "6.1.6");
  return false;
}

bool check_size(Core& core, Command& command, std::uint64_t bytes) {
  if (bytes <= core.config.max_transfer_bytes()) return true;
  core.reject(command, Status::kInvalidField, "the transfer is larger than MDTS allows", "5.15");
  return false;
}

bool check_protection_fields(Core& core, Command& command) {
  const Status status =
      check_fields(command.space->format, protection_fields(command.sqe), starting_lba(command));
  if (status == Status::kSuccess) return true;
  core.reject(command, status, "the reference tag does not fit the protection type or the LBA",
              "8.3.1");
  return false;
}

bool check_readable(Core& core, Command& command, std::uint64_t lba, std::uint64_t blocks) {
  if (core.bad_blocks.empty()) [[likely]]
    return true;
  const unsigned shift = command.space->format.block_shift;
  if (!core.bad_blocks.touches(first_byte(command, lba), blocks << shift)) return true;
  core.health.count_media_error();
  core.reject(command, Status::kUnrecoveredReadError, "Write Uncorrectable marked a block", "6.14");
  return false;
}

}  // namespace nvmesim::device
