#include "sim/fault/rules.hpp"

#include <array>
#include <bit>
#include <utility>

namespace nvmesim::fault {
namespace {

using Words = std::array<std::uint64_t, sizeof(spec::SubmissionEntry) / 8>;

void join(device::Fate& into, const device::Fate& fate) {
  into.drop |= fate.drop;
  into.twice |= fate.twice;
  into.delay += fate.delay;
  if (fate.status) into.status = fate.status;
}

}  // namespace

bool CommandMatch::operator()(std::uint16_t sqid, const spec::SubmissionEntry& entry) const {
  if (queues == Queues::kAdmin && sqid != 0) return false;
  if (queues == Queues::kIo && sqid == 0) return false;
  if (queue && *queue != sqid) return false;
  const auto seen = std::bit_cast<Words>(entry);
  const auto wanted = std::bit_cast<Words>(value);
  const auto bits = std::bit_cast<Words>(mask);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (((seen[i] ^ wanted[i]) & bits[i]) != 0) return false;
  }
  return true;
}

CommandMatch any_command() {
  return {};
}
CommandMatch any_io() {
  CommandMatch match;
  match.queues = CommandMatch::Queues::kIo;
  return match;
}
CommandMatch admin_command(spec::AdminOpcode opcode) {
  CommandMatch match;
  match.queues = CommandMatch::Queues::kAdmin;
  match.value.opc = static_cast<std::uint8_t>(opcode);
  match.mask.opc = 0xff;
  return match;
}
CommandMatch admin_command(spec::AdminOpcode opcode, std::uint8_t cdw10_low) {
  CommandMatch match = admin_command(opcode);
  match.value.cdw10 = cdw10_low;
  match.mask.cdw10 = 0xff;
  return match;
}
CommandMatch io_command(spec::NvmOpcode opcode) {
  CommandMatch match = any_io();
  match.value.opc = static_cast<std::uint8_t>(opcode);
  match.mask.opc = 0xff;
  return match;
}

Rules::Id Rules::add(Rule rule) {
  const Where where = rule.where;
  rules_.push_back(std::move(rule));
  if (points_ != nullptr) arm(where);
  return rules_.size() - 1;
}

Rules::Id Rules::on_command(const CommandMatch& when, const Turn& turn, const device::Fate& fate) {
  Rule rule;
  rule.where = Where::kCommand;
  rule.turn = turn;
  rule.command = when;
  rule.fate = fate;
  return add(std::move(rule));
}

Rules::Id Rules::change_command(const CommandMatch& when, const Turn& turn,
                                std::function<void(spec::SubmissionEntry&)> change) {
  Rule rule;
  rule.where = Where::kChangeCommand;
  rule.turn = turn;
  rule.command = when;
  rule.change_command = std::move(change);
  return add(std::move(rule));
}

Rules::Id Rules::on_completion(const CommandMatch& when, const Turn& turn,
                               const device::Fate& fate) {
  Rule rule;
  rule.where = Where::kCompletion;
  rule.turn = turn;
  rule.command = when;
  rule.fate = fate;
  return add(std::move(rule));
}

Rules::Id Rules::change_completion(std::optional<std::uint16_t> cqid, const Turn& turn,
                                   std::function<void(spec::CompletionEntry&)> change) {
  Rule rule;
  rule.where = Where::kChangeCompletion;
  rule.turn = turn;
  rule.index = cqid;
  rule.change_completion = std::move(change);
  return add(std::move(rule));
}

Rules::Id Rules::on_register(const RegisterMatch& when, const Turn& turn,
                             std::function<void(device::RegisterAccess&)> change) {
  Rule rule;
  rule.where = Where::kRegister;
  rule.turn = turn;
  rule.access = when;
  rule.change_access = std::move(change);
  return add(std::move(rule));
}

Rules::Id Rules::on_interrupt(std::optional<std::uint16_t> vector, const Turn& turn,
                              const device::Fate& fate, std::optional<std::uint16_t> other_vector) {
  Rule rule;
  rule.where = Where::kInterrupt;
  rule.turn = turn;
  rule.index = vector;
  rule.fate = fate;
  rule.other_vector = other_vector;
  return add(std::move(rule));
}

Rules::Id Rules::at(base::Time when, std::function<void()> action) {
  Rule rule;
  rule.where = Where::kTime;
  rule.action = std::move(action);
  const Id id = add(std::move(rule));
  scheduler_.at<&Rules::time_reached>(when, this, id);
  return id;
}

void Rules::time_reached(std::uint64_t id) {
  Rule& reached = rule(id);
  if (takes(reached)) reached.action();
}

bool Rules::takes(Rule& rule) {
  const base::Time now = scheduler_.now();
  if (now < rule.turn.from || now >= rule.turn.until) return false;
  ++rule.matched;
  if (rule.matched < rule.turn.nth || rule.matched - rule.turn.nth >= rule.turn.count) return false;
  ++rule.disturbed;
  return true;
}

template <class Matches, class Apply>
void Rules::each(Where where, Matches matches, Apply apply) {
  for (Rule& rule : rules_) {
    if (rule.where == where && matches(rule) && takes(rule)) apply(rule);
  }
}

void Rules::arm(device::Points& points) {
  points_ = &points;
  for (const Rule& rule : rules_) arm(rule.where);
}

void Rules::arm(Where where) {
  using device::Fate;
  switch (where) {
    case Where::kCommand:
      points_->command_fate.arm(
          [this](std::uint16_t sqid, const spec::SubmissionEntry& entry, Fate& fate) {
            each(
                Where::kCommand, [&](const Rule& rule) { return rule.command(sqid, entry); },
                [&](const Rule& rule) { join(fate, rule.fate); });
          });
      return;
    case Where::kChangeCommand:
      points_->command_fetched.arm([this](std::uint16_t sqid, spec::SubmissionEntry& entry) {
        each(
            Where::kChangeCommand, [&](const Rule& rule) { return rule.command(sqid, entry); },
            [&](const Rule& rule) { rule.change_command(entry); });
      });
      return;
    case Where::kCompletion:
      points_->completion_fate.arm(
          [this](std::uint16_t sqid, const spec::SubmissionEntry& entry, Fate& fate) {
            each(
                Where::kCompletion, [&](const Rule& rule) { return rule.command(sqid, entry); },
                [&](const Rule& rule) { join(fate, rule.fate); });
          });
      return;
    case Where::kChangeCompletion:
      points_->completion_posted.arm([this](std::uint16_t cqid, spec::CompletionEntry& entry) {
        each(
            Where::kChangeCompletion,
            [&](const Rule& rule) { return !rule.index || *rule.index == cqid; },
            [&](const Rule& rule) { rule.change_completion(entry); });
      });
      return;
    case Where::kRegister:
      points_->register_access.arm([this](device::RegisterAccess& access) {
        each(
            Where::kRegister,
            [&](const Rule& rule) {
              return rule.access.write == access.write && access.offset >= rule.access.offset &&
                     access.offset - rule.access.offset < rule.access.bytes;
            },
            [&](const Rule& rule) { rule.change_access(access); });
      });
      return;
    case Where::kInterrupt:
      points_->interrupt.arm([this](std::uint16_t& vector, Fate& fate) {
        each(
            Where::kInterrupt,
            [&](const Rule& rule) { return !rule.index || *rule.index == vector; },
            [&](const Rule& rule) {
              join(fate, rule.fate);
              if (rule.other_vector) vector = *rule.other_vector;
            });
      });
      return;
    case Where::kTime:
      return;
  }
}

}  // namespace nvmesim::fault
