// Fault rules at the points of a controller: when a command matches, a completion is due, a
// register is accessed, an interrupt is sent or a time is reached, do something wrong, from the
// n-th time on and so many times. Rules are looked at in the order in which they were made; each
// that applies adds its effect.
//
// Contract. arm() arms only the points that rules are there for; without rules nothing is armed and
// nothing costs anything. Rules may be made and taken away while the simulation runs. A rule's own
// functions must be pure: what passes in, nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "device/points.hpp"
#include "device/spec/commands.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::fault {

namespace spec = device::spec;

inline constexpr std::uint64_t kAlways = ~std::uint64_t{0};

// Which of the occurrences that match: `count` of them from the nth on (from 1), in [from, until).
struct Turn {
  std::uint64_t nth = 1;
  std::uint64_t count = 1;
  base::Time from{0};
  base::Time until = base::kTimeMax;
};
inline constexpr Turn kEveryTime{1, kAlways, base::Time(0), base::kTimeMax};

// A command, by its queue and by those bits of its 64 bytes that `mask` has set.
struct CommandMatch {
  enum class Queues : std::uint8_t { kAll, kAdmin, kIo };
  Queues queues = Queues::kAll;
  std::optional<std::uint16_t> queue;
  spec::SubmissionEntry value{};
  spec::SubmissionEntry mask{};

  bool operator()(std::uint16_t sqid, const spec::SubmissionEntry& entry) const;
};
CommandMatch any_command();
CommandMatch any_io();
CommandMatch admin_command(spec::AdminOpcode opcode);
CommandMatch io_command(spec::NvmOpcode opcode);
// Get or Set Features of one feature, Get Log Page of one page, Identify of one structure: those
// with this lowest byte of dword 10.
CommandMatch admin_command(spec::AdminOpcode opcode, std::uint8_t cdw10_low);

struct RegisterMatch {
  std::uint32_t offset = 0;
  bool write = false;
  std::uint32_t bytes = 4;  // of registers from offset on; doorbells: the length of their area
};

class Rules {
 public:
  using Id = std::size_t;

  explicit Rules(base::Scheduler& scheduler) : scheduler_(scheduler) {}
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  // --- when ... do ...
  // The command hangs (drop), starts later, or ends with a status without being carried out.
  Id on_command(const CommandMatch& when, const Turn& turn, const device::Fate& fate);
  // Other bits of it are changed before it is decoded.
  Id change_command(const CommandMatch& when, const Turn& turn,
                    std::function<void(spec::SubmissionEntry&)> change);
  // The completion of a command is lost, late, or comes twice.
  Id on_completion(const CommandMatch& when, const Turn& turn, const device::Fate& fate);
  // The completion entry is changed as it is posted; the phase tag is there already.
  Id change_completion(std::optional<std::uint16_t> cqid, const Turn& turn,
                       std::function<void(spec::CompletionEntry&)> change);
  // A register is read or written: value and effect may be changed (RegisterAccess::drop).
  Id on_register(const RegisterMatch& when, const Turn& turn,
                 std::function<void(device::RegisterAccess&)> change);
  // An interrupt is lost or late, or goes to another vector.
  Id on_interrupt(std::optional<std::uint16_t> vector, const Turn& turn, const device::Fate& fate,
                  std::optional<std::uint16_t> other_vector = {});
  // At a time.
  Id at(base::Time when, std::function<void()> action);

  void remove(Id id) { rule(id).turn.count = 0; }
  // Of a rule: occurrences that matched, and those that it disturbed.
  std::uint64_t matched(Id id) { return rule(id).matched; }
  std::uint64_t disturbed(Id id) { return rule(id).disturbed; }
  bool empty() const { return rules_.empty(); }

  // Attaches to a controller; rules made later are attached as they come.
  void arm(device::Points& points);

 private:
  enum class Where : std::uint8_t {
    kCommand,
    kChangeCommand,
    kCompletion,
    kChangeCompletion,
    kRegister,
    kInterrupt,
    kTime
  };
  struct Rule {
    Where where = Where::kCommand;
    Turn turn;
    CommandMatch command;
    RegisterMatch access;
    std::optional<std::uint16_t> index;  // queue or vector
    std::optional<std::uint16_t> other_vector;
    device::Fate fate;
    std::function<void(spec::SubmissionEntry&)> change_command;
    std::function<void(spec::CompletionEntry&)> change_completion;
    std::function<void(device::RegisterAccess&)> change_access;
    std::function<void()> action;
    std::uint64_t matched = 0;
    std::uint64_t disturbed = 0;
  };

  Id add(Rule rule);
  void arm(Where where);
  Rule& rule(Id id) { return rules_.at(id); }
  // Counts an occurrence that matches; true if it is the rule's turn.
  bool takes(Rule& rule);
  template <class Matches, class Apply>
  void each(Where where, Matches matches, Apply apply);
  void time_reached(std::uint64_t id);

  base::Scheduler& scheduler_;
  device::Points* points_ = nullptr;
  std::deque<Rule> rules_;
};

}  // namespace nvmesim::fault
