// Follows every command of the other host from the outside: its doorbell, its entry as the drive
// fetches it, its completion entry, the interrupt, and the doorbell with which the driver has dealt
// with it. Joined with the drive's own stages that makes one record whose stages add up: what lies
// before the doorbell and behind the interrupt is the guest's.
//
// It learns queues and vectors from what the driver writes (ASQ, ACQ, AQA, the commands that create
// and delete queues, the MSI-X table). It changes nothing, and costs no time and no entry.
//
// With shadow doorbells most doorbells are memory: a record then begins where the drive noticed the
// command, and ends with the interrupt, or with the completion entry where there is none.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "device/spec/commands.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/bridge/guest_memory.hpp"

namespace nvmesim::bridge {

class CommandWatch {
 public:
  // Of the drive, as it cannot be seen on the wire.
  struct Drive {
    unsigned dstrd = 0;
    std::uint32_t msix_table = 0;  // offset in BAR0
    std::uint32_t msix_vectors = 0;
    std::function<std::uint64_t(std::uint32_t nsid)> block_bytes;  // 0: no such namespace
  };
  // An I/O command that the driver has dealt with.
  struct Command {
    std::uint64_t number = 0;  // in the order in which they were fetched, from 0
    std::uint8_t opcode = 0;
    bool deallocates = false;  // Dataset Management: with the attribute of a discard
    bool failed = false;
    std::uint64_t first_byte = 0;  // in its namespace
    std::uint64_t bytes = 0;       // of the range or ranges that it names
    base::StageRecord stages;      // from its submission in the guest on
  };
  using Sink = std::function<void(const Command&)>;
  struct Counts {
    std::uint64_t fetched = 0;    // I/O commands
    std::uint64_t completed = 0;  // of them, those with a completion entry
    std::uint64_t failed = 0;
    std::uint64_t cancelled = 0;  // open when their queue was deleted or the controller reset
    std::uint64_t admin = 0;      // admin commands
  };

  CommandWatch(const base::Scheduler& scheduler, base::StageJoin& stages, Drive drive, Sink sink);

  // Before the kernel runs: its memory, and the function's id as the drive stamps it.
  void connect(const GuestMemory& memory, std::uint16_t function);

  // The kernel writes to BAR0.
  void register_written(std::uint64_t offset, std::span<const std::byte> data);
  // The drive has read from, or written to, the kernel's memory.
  void memory_read(std::uint64_t address, std::span<const std::byte> data);
  void memory_written(std::uint64_t address, std::span<const std::byte> data);
  // An interrupt message with this data has come to the kernel.
  void interrupt(std::uint32_t data);
  // The guest's work towards its next doorbell begins now: it slept, or what it did is not to
  // count.
  void work_begins() { busy_since_ = scheduler_.now(); }

  const Counts& counts() const { return counts_; }
  // Time in which an I/O command was open: fetched, and the driver not yet through with it.
  base::Time open_time() const;

 private:
  struct Doorbell {
    std::uint32_t tail;
    base::Time at;
    base::Time busy_since;  // the guest worked towards it
  };
  struct Submission {
    std::uint64_t base = 0;
    std::uint32_t entries = 0;
    std::uint16_t completion = 0;  // its queue
    std::uint32_t next = 0;        // to be fetched
    std::deque<Doorbell> doorbells;
  };
  struct Open {
    Command command;
    base::CommandKey key;
    std::optional<Doorbell> doorbell;
    std::optional<base::Time> seen;  // completed: by an interrupt
  };
  struct Completion {
    std::uint64_t base = 0;
    std::uint32_t entries = 0;
    bool interrupts = false;
    std::uint16_t vector = 0;
    std::uint32_t head = 0;
    // For the driver, oldest first; nothing for an entry that belongs to no command.
    std::deque<std::optional<Open>> waiting;
  };

  void doorbell_written(std::uint64_t offset, std::uint32_t value);
  void fetched(std::uint16_t queue, Submission& from, const device::spec::SubmissionEntry& entry);
  void admin_command(const device::spec::SubmissionEntry& entry);
  void describe(Command& command, const device::spec::SubmissionEntry& entry) const;
  std::uint64_t range_bytes(const device::spec::SubmissionEntry& entry,
                            std::uint64_t block_bytes) const;
  void completed(Completion& queue, const device::spec::CompletionEntry& entry);
  void dealt_with(Open& open);
  void set_up_admin_queues();
  void cancel(const Open& open);
  template <class Condition>
  void cancel_if(Condition condition);
  void forget_waiting(const Completion& queue);
  void forget_everything();
  std::uint64_t register_value(std::uint64_t offset, std::size_t bytes) const;
  void count_open(int more);
  bool shadowed(std::uint16_t queue) const;

  const base::Scheduler& scheduler_;
  base::StageJoin& stages_;
  const Drive drive_;
  const Sink sink_;
  const GuestMemory* memory_ = nullptr;
  std::uint16_t function_ = 0;

  std::array<std::byte, 64> registers_{};  // as the driver wrote them
  std::vector<std::uint32_t> vector_data_;
  std::map<std::uint16_t, Submission> submissions_;  // few, by id
  std::map<std::uint16_t, Completion> completions_;
  std::map<std::uint64_t, Open> open_;  // by packed key
  bool shadow_doorbells_ = false;  // of I/O queues: those of the admin queues are registers still
  base::Time busy_since_{0};
  std::uint64_t io_open_ = 0;
  base::Time io_open_since_{0};
  base::Time io_open_time_{0};
  Counts counts_;
};

}  // namespace nvmesim::bridge
