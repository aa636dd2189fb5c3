// The decode stage: a pipelined unit that takes a command every `decode_interval_cycles`, keeps it
// for `decode_cycles` and the fixed latency of its kind, checks what is common to all commands and
// hands it to the handler of its opcode.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::device {

// What a command's NSID must be.
enum class NsidRule : std::uint8_t {
  kIgnored,
  kOne,       // an existing namespace
  kOneOrAll,  // that or FFFFFFFFh
};

// A row of a command table.
struct CommandRow {
  std::uint8_t opcode = 0;
  NsidRule nsid = NsidRule::kIgnored;
  std::uint16_t oncs = 0;  // bit that must be set for the command to exist; 0 = always there
  void (*handler)(Core&, Command&) = nullptr;
};

class Dispatcher {
 public:
  explicit Dispatcher(Core& core);

  // A submission entry has arrived in `command.sqe`.
  void accept(Command& command);
  const base::Timeline& unit() const { return unit_; }

 private:
  base::Time latency_of(const Command& command) const;
  void decoded(std::uint64_t index);
  bool common_checks(Command& command, const CommandRow& row);

  Core& core_;
  base::Timeline unit_{"decode"};
  const base::Time interval_;
  const base::Time latency_;
};

}  // namespace nvmesim::device
