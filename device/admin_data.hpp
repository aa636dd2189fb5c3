// Data of admin commands of any length, between host pages and buffers of the command: what a log
// page or a feature sends, and what an image or a list brings.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/command.hpp"

namespace nvmesim::device {

class AdminData {
 public:
  explicit AdminData(Core& core) : core_(core) {}

  // Sends `data` and zeroes behind it up to `total` bytes, then completes with command.dw0. The
  // pages are mapped.
  void send(Command& command, std::span<const std::byte> data, std::uint64_t total);
  // Maps the pages, reads `bytes` (not 0) from the host, then calls `then`.
  void receive(Command& command, std::uint32_t bytes, Command::Step then);
  // What came.
  static std::vector<std::byte> received(const Command& command);
  template <class Structure>
  static Structure received_as(const Command& command) {
    Structure data;
    const std::vector<std::byte> bytes = received(command);
    std::memcpy(&data, bytes.data(), sizeof data);
    return data;
  }

 private:
  static void begin_receive(Core& core, Command& command);
  void arrived(std::uint64_t index);
  void sent(std::uint64_t index);

  Core& core_;
};

}  // namespace nvmesim::device
