// Read, Write and Flush (sections 6.9, 6.15 and 6.8).
#include "device/nvm/block_commands.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using models::MediaOp;
using spec::Status;

namespace {

std::uint64_t data_bytes(const Command& command) {
  return blocks_of(command) << command.space->format.block_shift;
}

void start_read(Core& core, Command& command) {
  core.mover.start_transfer(command, MediaOp::kRead, first_byte(command, starting_lba(command)),
                            data_bytes(command), spec::RwControl{command.sqe.cdw12}.fua());
}
void start_write(Core& core, Command& command) {
  core.mover.start_transfer(command, MediaOp::kWrite, first_byte(command, starting_lba(command)),
                            data_bytes(command), durable(core, command));
}

void start_block_read(Core& core, Command& command) {
  core.blocks.start(command, starting_lba(command), blocks_of(command),
                    spec::RwControl{command.sqe.cdw12}.fua(), nullptr);
}
void store_blocks(Core& core, Command& command) {
  const Status status = core.blocks.check_image(command, blocks_of(command));
  if (status != Status::kSuccess) {
    core.reject(command, status, rule_of_data_error(status), "8.3.1");
    return;
  }
  core.blocks.start(command, starting_lba(command), blocks_of(command), durable(core, command),
                    nullptr);
}
void start_block_write(Core& core, Command& command) {
  core.blocks.fetch(command, blocks_of(command), store_blocks);
}

void read_locked(Core& core, Command& command) {
  core.prps.map(command, data_bytes(command), start_read);
}
void write_locked(Core& core, Command& command) {
  core.prps.map(command, data_bytes(command), start_write);
}
void block_read_locked(Core& core, Command& command) {
  core.blocks.map(command, blocks_of(command), start_block_read);
}
void block_write_locked(Core& core, Command& command) {
  core.blocks.map(command, blocks_of(command), start_block_write);
}

}  // namespace

void read(Core& core, Command& command) {
  if (core.blocks.needed(*command.space)) [[unlikely]] {
    core.blocks.open(command, BlockMode::kRead, true);
    if (check_size(core, command, core.blocks.host_bytes(command, blocks_of(command))) &&
        check_range(core, command) && check_protection_fields(core, command) &&
        check_readable(core, command, starting_lba(command), blocks_of(command))) {
      enter_range(core, command, false, block_read_locked);
    }
    return;
  }
  if (check_size(core, command, data_bytes(command)) && check_range(core, command) &&
      check_readable(core, command, starting_lba(command), blocks_of(command))) {
    enter_range(core, command, false, read_locked);
  }
}

namespace {

// The stream that a Write names, if it names one (section 9.3).
bool check_directive(Core& core, Command& command) {
  if (core.config.management.streams == 0) return true;
  const Status status = core.directives.write(command);
  if (status == Status::kSuccess) return true;
  core.reject(command, status, "DTYPE names a directive that is not enabled", "9");
  return false;
}

}  // namespace

void write(Core& core, Command& command) {
  if (!command.space->format.plain()) [[unlikely]] {
    core.blocks.open(command, BlockMode::kWrite, true);
    if (check_size(core, command, core.blocks.host_bytes(command, blocks_of(command))) &&
        check_range(core, command) && check_protection_fields(core, command) &&
        check_directive(core, command)) {
      enter_range(core, command, true, block_write_locked);
    }
    return;
  }
  if (check_size(core, command, data_bytes(command)) && check_range(core, command) &&
      check_directive(core, command)) {
    enter_range(core, command, true, write_locked);
  }
}

void flush(Core& core, Command& command) {
  if (!core.media.volatile_cache()) {
    core.complete(command, Status::kSuccess);  // nothing is volatile
    return;
  }
  core.mover.start_operation(command, MediaOp::kFlush, 0, 0, false, nullptr);
}

}  // namespace nvmesim::device
