// The admin commands: one table with a row per opcode, one file per family. A new command is a
// handler, its row in admin_commands.cpp and its test.
#pragma once

#include <cstdint>

#include "device/dispatcher.hpp"

namespace nvmesim::device {

// nullptr if there is no such command.
const CommandRow* find_admin_command(std::uint8_t opcode);

// queue_commands.cpp
void create_io_cq(Core& core, Command& command);
void create_io_sq(Core& core, Command& command);
void delete_io_cq(Core& core, Command& command);
void delete_io_sq(Core& core, Command& command);
// identify.cpp
void identify(Core& core, Command& command);
// log_pages.cpp
void get_log_page(Core& core, Command& command);
// doorbell_buffer.cpp
void doorbell_buffer_config(Core& core, Command& command);
// abort.cpp
void abort_command(Core& core, Command& command);
void async_event_request(Core& core, Command& command);

}  // namespace nvmesim::device
