// Atomic writes (section 6.4): while a write of at most AWUN blocks is under way, commands on the
// same blocks wait for its end, and it waits for theirs. The pair of a fused Compare and Write
// holds its blocks from the start of the first to the end of the second (section 6.2). Off, and
// without cost, when the drive promises no more than single blocks and fuses nothing: a block never
// leaves its unit.
#pragma once

#include <cstdint>
#include <vector>

#include "device/command.hpp"

namespace nvmesim::device {

class RangeLocks {
 public:
  explicit RangeLocks(Core& core);

  bool on() const { return on_; }
  // Runs `step` when no conflicting command is before it. The command holds its blocks until
  // release().
  void enter(Command& command, std::uint64_t lba, std::uint64_t blocks, bool writes,
             Command::Step step);
  // The second of a fused pair takes over what the first holds.
  void hand_over(Command& from, Command& to);
  // The command has ended, or was aborted while it waited; those that waited for it go on.
  void release(Command& command);
  void reset();

  const std::uint64_t& waits_counter() const { return waits_; }

 private:
  struct Holder {
    Command* command = nullptr;
    std::uint32_t nsid = 0;
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    bool writes = false;
    bool atomic = false;
    bool waiting = false;
    Command::Step step = nullptr;
  };
  bool atomic(const Command& command, std::uint64_t lba, std::uint64_t blocks, bool writes) const;
  bool blocked(std::size_t index) const;
  void admit();

  Core& core_;
  const bool on_;
  bool admitting_ = false;
  std::vector<Holder> holders_;  // in the order of their coming
  std::uint64_t waits_ = 0;
};

}  // namespace nvmesim::device
