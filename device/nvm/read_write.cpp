// Read, Write, Write Zeroes and Flush (sections 6.9, 6.15, 6.16, 6.8).
#include "device/core.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using models::MediaOp;
using spec::Status;

namespace {

struct Range {
  std::uint64_t first_byte = 0;
  std::uint64_t bytes = 0;
};

std::uint64_t starting_lba(const Command& command) {
  return command.sqe.cdw10 | (std::uint64_t{command.sqe.cdw11} << 32);
}

std::uint64_t blocks_of(const Command& command) {
  return std::uint64_t{spec::RwControl{command.sqe.cdw12}.nlb()} + 1;
}

Range range_of(const Command& command) {
  const unsigned shift = command.space->format.block_shift;
  return {command.space->first_byte + (starting_lba(command) << shift), blocks_of(command)
                                                                            << shift};
}

// What Read, Write and Write Zeroes have in common; false if the command was rejected.
bool check_range(Core& core, Command& command) {
  if (in_range(*command.space, starting_lba(command), blocks_of(command))) return true;
  core.reject(command, Status::kLbaOutOfRange, "blocks beyond the end of the namespace", "6.1.6");
  return false;
}

bool check_transfer(Core& core, Command& command) {
  const std::uint64_t bytes = blocks_of(command) << command.space->format.block_shift;
  if (bytes > core.config.max_transfer_bytes()) {
    core.reject(command, Status::kInvalidField, "the transfer is larger than MDTS allows", "5.15");
    return false;
  }
  return check_range(core, command);
}

void start_read(Core& core, Command& command) {
  const Range range = range_of(command);
  core.mover.start_transfer(command, MediaOp::kRead, range.first_byte, range.bytes,
                            spec::RwControl{command.sqe.cdw12}.fua());
}

void start_write(Core& core, Command& command) {
  const Range range = range_of(command);
  // With the write cache switched off every write is durable before it completes (5.21.1.6).
  const bool durable =
      spec::RwControl{command.sqe.cdw12}.fua() || !core.features.write_cache_enabled();
  core.mover.start_transfer(command, MediaOp::kWrite, range.first_byte, range.bytes, durable);
}

}  // namespace

void read(Core& core, Command& command) {
  if (!check_transfer(core, command)) return;
  core.prps.map(command, range_of(command).bytes, start_read);
}

void write(Core& core, Command& command) {
  if (!check_transfer(core, command)) return;
  core.prps.map(command, range_of(command).bytes, start_write);
}

void write_zeroes(Core& core, Command& command) {
  if (!check_range(core, command)) return;
  const Range range = range_of(command);
  core.mover.start_operation(command, MediaOp::kWriteZeroes, range.first_byte, range.bytes,
                             nullptr);
}

void flush(Core& core, Command& command) {
  if (!core.media.volatile_cache()) {
    core.complete(command, Status::kSuccess);  // nothing is volatile
    return;
  }
  core.mover.start_operation(command, MediaOp::kFlush, 0, 0, nullptr);
}

}  // namespace nvmesim::device
