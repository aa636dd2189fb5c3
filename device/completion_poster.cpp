#include "device/completion_poster.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

// Trying the same command again cannot help (section 4.6.1, DNR).
bool is_final(Status status) {
  switch (status) {
    case Status::kSuccess:
    case Status::kDataTransferError:
    case Status::kInternalError:
    case Status::kAbortRequested:
    case Status::kAbortedSqDeletion:
    case Status::kAbortLimitExceeded:
    case Status::kAsyncEventLimitExceeded:
    case Status::kSanitizeInProgress:
    case Status::kFormatInProgress:
    case Status::kNamespaceNotReady:
    case Status::kAdminMediaNotReady:
    case Status::kSelfTestInProgress:
    case Status::kAnaInaccessible:
    case Status::kAnaTransition:
      return false;
    default:
      return sct_of(status) != spec::kSctMedia;
  }
}

}  // namespace

CompletionPoster::CompletionPoster(Core& core)
    : core_(core),
      unit_("completion", core.config.pipeline.completion_width,
            core.config.pipeline.cycles(core.config.pipeline.completion_interval_cycles)),
      latency_(core.config.pipeline.cycles(core.config.pipeline.completion_cycles)) {}

void CompletionPoster::prepare(Command& command) {
  command.prepared = true;
  command.completion_at = unit_.reserve(core_.scheduler.now()) + latency_;
}

void CompletionPoster::post(Command& command) {
  command.state = CommandState::kCompleting;
  if (!command.prepared) prepare(command);
  if (core_.points.completion_fate.armed()) [[unlikely]] {
    Fate fate;
    core_.points.completion_fate(command.sqid, command.sqe, fate);
    if (fate.drop) return core_.release(command);
    if (fate.delay != base::kTimeZero)
      command.completion_at = std::max(command.completion_at, core_.scheduler.now()) + fate.delay;
    command.twice = fate.twice;
  }
  if (command.completion_at <= core_.scheduler.now()) {
    hand_over(command);
  } else {
    command.timer =
        core_.scheduler.at<&CompletionPoster::built>(command.completion_at, this, command.index);
  }
}

void CompletionPoster::built(std::uint64_t index) {
  hand_over(core_.commands.at(index));
}

void CompletionPoster::hand_over(Command& command) {
  CompletionQueue& queue = *core_.queues.cq(command.cqid);
  if (queue.first_waiting == nullptr && !queue.full()) {
    write(queue, command);
    return;
  }
  ++full_;
  if (core_.queues.sq(command.sqid)->deleting) {
    core_.release(command);
    return;
  }
  command.next = nullptr;
  if (queue.first_waiting != nullptr) {
    queue.last_waiting->next = &command;
    queue.last_waiting = &command;
    return;
  }
  queue.first_waiting = queue.last_waiting = &command;
  // The head doorbell that makes room may be here already, held back by the endpoint.
  if (++waiting_queues_ == 1) core_.port.deliver_promptly(true);
  if (core_.shadows.active() && queue.id != 0) core_.shadows.look(queue);
}

void CompletionPoster::stop_waiting(CompletionQueue& queue) {
  queue.last_waiting = nullptr;
  if (--waiting_queues_ == 0) core_.port.deliver_promptly(false);
}

void CompletionPoster::room_made(CompletionQueue& queue) {
  if (queue.first_waiting == nullptr) return;
  while (queue.first_waiting != nullptr && !queue.full()) {
    Command* command = queue.first_waiting;
    queue.first_waiting = command->next;
    write(queue, *command);
  }
  if (queue.first_waiting == nullptr) stop_waiting(queue);
}

void CompletionPoster::drop_waiting(SubmissionQueue& queue) {
  CompletionQueue& completions = *core_.queues.cq(queue.cqid);
  if (completions.first_waiting == nullptr) return;
  Command* kept = nullptr;
  Command** link = &completions.first_waiting;
  while (*link != nullptr) {
    Command* command = *link;
    if (command->sqid == queue.id) {
      *link = command->next;
      core_.release(*command);
    } else {
      kept = command;
      link = &command->next;
    }
  }
  completions.last_waiting = kept;
  if (completions.first_waiting == nullptr) stop_waiting(completions);
}

spec::CompletionEntry CompletionPoster::entry_of(const CompletionQueue& queue, Command& command) {
  const bool failed = command.status != Status::kSuccess;
  bool logged = false;
  if (failed) [[unlikely]] {
    ++errors_;
    logged =
        command.status != Status::kAbortRequested && command.status != Status::kAbortedSqDeletion;
    if (logged) core_.errors.add_command(command);
    if (command.status == Status::kUnrecoveredReadError || command.status == Status::kWriteFault) {
      core_.events.raise_notice(spec::AsyncNoticeInfo::kTelemetryLogChanged);
    }
  }
  spec::CompletionEntry entry{};
  entry.dw0 = command.dw0;
  entry.sqhd = static_cast<std::uint16_t>(core_.queues.sq(command.sqid)->head);
  entry.sqid = command.sqid;
  entry.cid = command.sqe.cid;
  entry.status = spec::status_word(command.status, queue.phase, is_final(command.status), logged);
  return entry;
}

// The address of the next entry; the tail moves behind it.
std::uint64_t CompletionPoster::advance(CompletionQueue& queue) {
  const std::uint64_t address =
      queue.base + std::uint64_t{queue.tail} * sizeof(spec::CompletionEntry);
  if (++queue.tail == queue.size) {
    queue.tail = 0;
    queue.phase = !queue.phase;
  }
  return address;
}

void CompletionPoster::write(CompletionQueue& queue, Command& command) {
  spec::CompletionEntry entry = entry_of(queue, command);
  if (core_.points.completion_posted.armed()) core_.points.completion_posted(queue.id, entry);
  const std::uint64_t address = advance(queue);
  const pcie::VectorId vector(queue.vector);
  const bool interrupts = queue.ien && core_.coalescer.sends_now(queue);
  pcie::FunctionPort::WriteOptions options;
  options.relaxed_ordering = false;
  options.deferrable = interrupts && core_.port.interrupt_enabled(vector) &&
                       !core_.points.interrupt.armed() && !core_.coalescer.unit().present() &&
                       !core_.registers.masks(queue.vector);
  core_.port.dma_write(address, std::as_bytes(std::span(&entry, 1)), {}, options, {});
  ++posted_;
  if (command.twice && !queue.full()) [[unlikely]] {
    options.deferrable = false;
    entry.status = static_cast<std::uint16_t>((entry.status & ~1u) | unsigned{queue.phase});
    core_.port.dma_write(advance(queue), std::as_bytes(std::span(&entry, 1)), {}, options, {});
    ++posted_;
  }
  const base::Time now = core_.scheduler.now();
  const base::CommandKey key =
      spec::command_key(core_.port.id().value(), command.sqid, command.sqe.cid);
  command.record.stamp(base::Stage::kCompletion, now);
  core_.stages.completed(key, command.record);
  if (interrupts) {
    core_.coalescer.send(queue.vector);
  } else if (queue.ien) {
    core_.coalescer.hold(queue, key);
  }
  core_.release(command);
}

void CompletionPoster::reset() {
  if (waiting_queues_ != 0) core_.port.deliver_promptly(false);
  waiting_queues_ = 0;
}

}  // namespace nvmesim::device
