// The completion unit: builds completion entries, keeps them back while their queue is full, writes
// them with the right phase tag behind the command's data, and raises the interrupt.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "device/pipeline_stage.hpp"
#include "device/queues.hpp"

namespace nvmesim::device {

class CompletionPoster {
 public:
  explicit CompletionPoster(Core& core);

  // Starts building the entry while the command's last data is on its way, so that its cost
  // overlaps the transfer.
  void prepare(Command& command);
  // The command has ended: its entry goes out as soon as it is built and the queue has room.
  void post(Command& command);
  // The host moved the head of `queue`.
  void room_made(CompletionQueue& queue);
  // Drops the entries of `queue` that wait for room in its completion queue: the deletion of the
  // submission queue completes them implicitly (section 5.6).
  void drop_waiting(SubmissionQueue& queue);
  void reset();

  const PipelineStage& unit() const { return unit_; }
  const std::uint64_t& posted_counter() const { return posted_; }
  const std::uint64_t& full_counter() const { return full_; }
  const std::uint64_t& errors_counter() const { return errors_; }

 private:
  void built(std::uint64_t index);
  void hand_over(Command& command);
  void write(CompletionQueue& queue, Command& command);
  static std::uint64_t advance(CompletionQueue& queue);
  spec::CompletionEntry entry_of(const CompletionQueue& queue, Command& command);
  void stop_waiting(CompletionQueue& queue);

  Core& core_;
  PipelineStage unit_;
  const base::Time latency_;
  std::uint32_t waiting_queues_ = 0;
  std::uint64_t posted_ = 0;
  std::uint64_t full_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace nvmesim::device
