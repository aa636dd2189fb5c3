// The NVM command set (section 6): one table with a row per opcode, one file per family. A new
// command is a handler, its row in nvm_commands.cpp and its test.
#pragma once

#include <cstdint>

#include "device/dispatcher.hpp"

namespace nvmesim::device {

// nullptr if there is no such command.
const CommandRow* find_nvm_command(std::uint8_t opcode);

// read_write.cpp
void read(Core& core, Command& command);
void write(Core& core, Command& command);
void flush(Core& core, Command& command);
// write_zeroes.cpp
void write_zeroes(Core& core, Command& command);
void write_uncorrectable(Core& core, Command& command);
// compare_verify.cpp
void compare(Core& core, Command& command);
void verify(Core& core, Command& command);
// copy.cpp
void copy(Core& core, Command& command);
// reservation_commands.cpp
void reservation_register(Core& core, Command& command);
void reservation_report(Core& core, Command& command);
void reservation_acquire(Core& core, Command& command);
void reservation_release(Core& core, Command& command);
// dataset_management.cpp
void dataset_management(Core& core, Command& command);

// True if `blocks` blocks from `first` lie in the namespace.
bool in_range(const Namespace& space, std::uint64_t first, std::uint64_t blocks);

}  // namespace nvmesim::device
