// What the commands on ranges of logical blocks have in common.
#pragma once

#include <cstdint>

#include "device/core.hpp"

namespace nvmesim::device {

inline std::uint64_t starting_lba(const Command& command) {
  return command.sqe.cdw10 | (std::uint64_t{command.sqe.cdw11} << 32);
}
inline std::uint64_t blocks_of(const Command& command) {
  return std::uint64_t{spec::RwControl{command.sqe.cdw12}.nlb()} + 1;
}
// With the write cache switched off every write is durable before it completes (5.21.1.6).
inline bool durable(const Core& core, const Command& command) {
  return spec::RwControl{command.sqe.cdw12}.fua() || !core.features.write_cache_enabled();
}
inline std::uint64_t first_byte(const Command& command, std::uint64_t lba) {
  return command.space->first_byte + (lba << command.space->format.block_shift);
}

// Each of these is false if the command was rejected.
bool check_range(Core& core, Command& command);
// `bytes`: what goes over the data pointer.
bool check_size(Core& core, Command& command, std::uint64_t bytes);
// The fields of end-to-end protection.
bool check_protection_fields(Core& core, Command& command);
// No block of the command's range was made unreadable.
bool check_readable(Core& core, Command& command, std::uint64_t lba, std::uint64_t blocks);

// Goes on with `step` when the command may work on its blocks (atomic writes).
inline void enter_range(Core& core, Command& command, bool writes, Command::Step step) {
  if (!core.locks.on()) [[likely]] {
    step(core, command);
  } else {
    core.locks.enter(command, starting_lba(command), blocks_of(command), writes, step);
  }
}

}  // namespace nvmesim::device
