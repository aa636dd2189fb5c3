// The admin commands: one table with a row per opcode, one file per family. A new command is a
// handler, its row in admin_commands.cpp and its test.
#pragma once

#include <cstdint>

#include "device/dispatcher.hpp"

namespace nvmesim::device {

// nullptr if there is no such command.
const CommandRow* find_admin_command(std::uint8_t opcode);

// OACS of Identify Controller: what the table has, less what the configuration leaves out.
std::uint16_t oacs_of(const Core& core);

// queue_commands.cpp
void create_io_cq(Core& core, Command& command);
void create_io_sq(Core& core, Command& command);
void delete_io_cq(Core& core, Command& command);
void delete_io_sq(Core& core, Command& command);
// identify.cpp
void identify(Core& core, Command& command);
// log_pages.cpp
void get_log_page(Core& core, Command& command);
// namespace_commands.cpp
void namespace_management(Core& core, Command& command);
void namespace_attachment(Core& core, Command& command);
void format_nvm(Core& core, Command& command);
// firmware_commands.cpp
void firmware_download(Core& core, Command& command);
void firmware_commit(Core& core, Command& command);
// maintenance_commands.cpp
void device_self_test(Core& core, Command& command);
void sanitize(Core& core, Command& command);
void keep_alive(Core& core, Command& command);
// security_commands.cpp
void security_send(Core& core, Command& command);
void security_receive(Core& core, Command& command);
// directive_commands.cpp
void directive_send(Core& core, Command& command);
void directive_receive(Core& core, Command& command);
// doorbell_buffer.cpp
void doorbell_buffer_config(Core& core, Command& command);
// abort.cpp
void abort_command(Core& core, Command& command);
void async_event_request(Core& core, Command& command);

}  // namespace nvmesim::device
