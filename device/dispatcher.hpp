// The decode stage: a pipelined unit that takes a command every `decode_interval_cycles`, keeps it
// for `decode_cycles` and the fixed latency of its kind, checks what is common to all commands and
// hands it to the handler of its opcode.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "device/pipeline_stage.hpp"
#include "device/queues.hpp"

namespace nvmesim::device {

// What a command's NSID must be.
enum class NsidRule : std::uint8_t {
  kIgnored,
  kOne,       // an existing namespace
  kOneOrAll,  // that or FFFFFFFFh
};

// What a command does to blocks, for reservations.
enum class BlockAccess : std::uint8_t { kNone, kRead, kWrite };

// A row of a command table.
struct CommandRow {
  std::uint8_t opcode = 0;
  NsidRule nsid = NsidRule::kIgnored;
  std::uint16_t oncs = 0;  // bit that must be set for the command to exist; 0 = always there
  void (*handler)(Core&, Command&) = nullptr;
  bool (*exists)(const Core&) = nullptr;  // more than the bit says; nullptr: always
  std::uint32_t effects = 0;              // of log page 05h, beside CSUPP
  bool in_sanitize = false;               // an admin command allowed while a sanitize runs
  BlockAccess access = BlockAccess::kNone;
};

// The command exists for this controller.
bool offered(const Core& core, const CommandRow& row);

class Dispatcher {
 public:
  explicit Dispatcher(Core& core);

  // A submission entry has arrived in `command.sqe`.
  void accept(Command& command);
  // No further entry of the queue is known: a first of a fused pair that waits is alone.
  void end_of_entries(SubmissionQueue& queue) {
    if (queue.fused_first != nullptr) [[unlikely]]
      abort_lonely(*queue.fused_first, queue);
  }
  // `command` ends and is no longer half of a pair. Its second, if it was the first: the caller
  // tells what became of it by first_ended(). nullptr if it was the second.
  Command* separate(Command& command);
  void first_ended(Command& second, spec::Status status);
  // A half that waits is aborted.
  void withdraw(Command& command);
  const PipelineStage& unit() const { return unit_; }

 private:
  void decode(Command& command);
  bool pair(Command& command);
  void abort_lonely(Command& command, SubmissionQueue& queue);
  bool check_pair(Command& first);
  base::Time extra_of(const Command& command) const;
  base::Time pass_units(const Command& command);
  void decoded(std::uint64_t index);
  void handle(std::uint64_t index);
  bool common_checks(Command& command, const CommandRow& row);
  bool check_reservation(Command& command, const CommandRow& row);
  bool passes_gates(Command& command, const CommandRow& row);
  std::uint64_t bytes_of(const Command& command) const;
  base::Time core_work(const Command& command) const;

  Core& core_;
  PipelineStage unit_;
  const base::Time latency_;
  PipelineStage lookup_;
  const base::Time lookup_latency_;
  const bool looks_up_;  // the look-up is a stage of its own
};

}  // namespace nvmesim::device
