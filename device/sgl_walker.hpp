// Reads what a command's data and metadata pointers lead to in host memory, where that is more than
// a PRP list: SGL segments, and the descriptor that MPTR points to with PSDT 10b (sections 4.2 and
// 4.4). Goes on with the command's next step when all is known; a wrong descriptor ends the command
// before any data moves.
#pragma once

#include <cstdint>

#include "device/command.hpp"

namespace nvmesim::device {

class SglWalker {
 public:
  explicit SglWalker(Core& core) : core_(core) {}

  // The data pointer of a command with PSDT 01b or 10b, then `next`.
  void map(Command& command, std::uint64_t bytes, Command::Step next);
  // The metadata pointer, for `bytes` (not 0) of metadata in a buffer of its own, then `next`.
  void map_metadata(Command& command, std::uint64_t bytes, Command::Step next);

  const std::uint64_t& segment_reads_counter() const { return segment_reads_; }

 private:
  SglMap::Rules rules_of(const Command& command, bool metadata) const;
  SglMap& map_of(Command& command);
  void go_on(Command& command, spec::Status status);
  void fetch(Command& command, const PrpMap::Fetch& wanted, base::Callback done);
  void arrived(std::uint64_t index);
  void metadata_descriptor_arrived(std::uint64_t index);
  bool piece_ok(Command& command);

  Core& core_;
  std::uint64_t segment_reads_ = 0;
};

}  // namespace nvmesim::device
