// Finds the host memory of commands' data: reads PRP lists and goes on with the command's next step
// when all pages are known; commands with SGLs go to SglWalker. A wrong PRP ends the command before
// any data moves.
#pragma once

#include <cstdint>

#include "device/command.hpp"

namespace nvmesim::device {

class PrpWalker {
 public:
  explicit PrpWalker(Core& core) : core_(core) {}

  // Finds the host memory of `bytes` (not 0), then calls `next`; at once if no list is needed.
  void map(Command& command, std::uint64_t bytes, Command::Step next);
  const std::uint64_t& list_reads_counter() const { return list_reads_; }

 private:
  void go_on(Command& command, spec::Status status);
  void arrived(std::uint64_t index);

  Core& core_;
  std::uint64_t list_reads_ = 0;
};

}  // namespace nvmesim::device
