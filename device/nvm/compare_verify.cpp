// Compare and Verify (sections 6.6 and 6.13).
#include <algorithm>

#include "device/nvm/block_commands.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr std::uint64_t kVerifyBytes = 512 * 1024;  // the media works on so much at a time

void compare_blocks(Core& core, Command& command) {
  core.blocks.start(command, starting_lba(command), blocks_of(command), false, nullptr);
}
void fetch_compared(Core& core, Command& command) {
  core.blocks.fetch(command, blocks_of(command), compare_blocks);
}
void compare_locked(Core& core, Command& command) {
  core.blocks.map(command, blocks_of(command), fetch_compared);
}

void verify_next(Core& core, Command& command) {
  BlockWork& work = *command.work;
  const std::uint64_t left = blocks_of(command) - work.done_blocks;
  const std::uint64_t count = std::min(left, kVerifyBytes >> command.space->format.block_shift);
  work.image_block = work.done_blocks;
  work.done_blocks += count;
  core.blocks.start(command, starting_lba(command) + work.image_block, count, false,
                    count == left ? nullptr : verify_next);
}

}  // namespace

void compare(Core& core, Command& command) {
  core.blocks.open(command, BlockMode::kCompare, true);
  if (check_size(core, command, core.blocks.host_bytes(command, blocks_of(command))) &&
      check_range(core, command) && check_protection_fields(core, command) &&
      check_readable(core, command, starting_lba(command), blocks_of(command))) {
    enter_range(core, command, false, compare_locked);
  }
}

void verify(Core& core, Command& command) {
  core.blocks.open(command, BlockMode::kVerify, false);
  if (check_range(core, command) && check_protection_fields(core, command) &&
      check_readable(core, command, starting_lba(command), blocks_of(command))) {
    enter_range(core, command, false, verify_next);
  }
}

}  // namespace nvmesim::device
