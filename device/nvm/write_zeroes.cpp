// Write Zeroes and Write Uncorrectable (sections 6.16 and 6.14).
#include <algorithm>

#include "device/nvm/block_commands.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using models::MediaOp;
using spec::Status;

namespace {

constexpr std::uint64_t kZeroesBytes = 512 * 1024;  // written at a time

void forget_bad_blocks(Core& core, Command& command) {
  if (!core.bad_blocks.empty()) {
    core.bad_blocks.clear(command.media.first_byte, command.media.bytes);
  }
  core.complete(command, Status::kSuccess);
}

void unmap(Core& core, Command& command) {
  core.mover.start_operation(command, MediaOp::kWriteZeroes,
                             first_byte(command, starting_lba(command)),
                             blocks_of(command) << command.space->format.block_shift,
                             durable(core, command), forget_bad_blocks);
}

void write_next(Core& core, Command& command) {
  BlockWork& work = *command.work;
  const std::uint64_t left = blocks_of(command) - work.done_blocks;
  const std::uint64_t count = std::min(left, kZeroesBytes >> command.space->format.block_shift);
  work.image_block = work.done_blocks;
  work.done_blocks += count;
  core.blocks.start(command, starting_lba(command) + work.image_block, count,
                    durable(core, command), count == left ? nullptr : write_next);
}

// Unmapping is right where a deallocated block cannot be told from one of zeroes, or where the host
// asks for it and then reads zeroes.
bool may_unmap(const Core& core, const Command& command) {
  if (!command.space->format.plain() || core.config.deallocated_ones) return false;
  return !core.config.dulbe || spec::RwControl{command.sqe.cdw12}.deac();
}

}  // namespace

void write_zeroes(Core& core, Command& command) {
  if (!check_range(core, command)) return;
  if (may_unmap(core, command)) {
    enter_range(core, command, true, unmap);
    return;
  }
  core.blocks.open(command, BlockMode::kZeroes, false);
  if (check_protection_fields(core, command)) enter_range(core, command, true, write_next);
}

void write_uncorrectable(Core& core, Command& command) {
  if (!check_range(core, command)) return;
  core.bad_blocks.mark(first_byte(command, starting_lba(command)),
                       blocks_of(command) << command.space->format.block_shift);
  core.complete(command, Status::kSuccess);
}

}  // namespace nvmesim::device
