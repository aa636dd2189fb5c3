// Submission and completion queues as the controller keeps them (section 4.1): where they lie in
// host memory and how far each side got. QueueSet owns them; index 0 is the admin pair.
#pragma once

#include <cstdint>
#include <vector>

#include "device/command.hpp"
#include "device/spec/commands.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

struct SubmissionQueue {
  bool exists = false;
  bool deleting = false;  // no further fetch; goes away when its last command ended
  std::uint16_t id = 0;
  std::uint16_t cqid = 0;
  std::uint8_t priority = 0;  // QPRIO: 0 urgent, 1 high, 2 medium, 3 low
  std::uint32_t size = 0;
  std::uint64_t base = 0;
  std::uint32_t head = 0;        // consumed: what completion entries report
  std::uint32_t fetch_head = 0;  // next entry to fetch
  std::uint32_t tail = 0;
  std::uint32_t fetches_open = 0;
  std::uint32_t commands_open = 0;
  Command* fused_first = nullptr;   // arrived without its partner so far
  Command* deletion = nullptr;      // the Delete command that waits
  std::vector<base::Time> arrived;  // per slot: when a doorbell first covered it
  // And how long that doorbell waited for a decoder; empty while decoders are not counted.
  std::vector<base::Time> doorbell_wait;

  std::uint32_t distance(std::uint32_t from, std::uint32_t to) const {
    return to >= from ? to - from : to + size - from;
  }
  std::uint32_t waiting() const { return distance(fetch_head, tail); }
  // When a decoder took the doorbell of a slot.
  base::Time seen(std::uint32_t slot) const {
    return doorbell_wait.empty() ? arrived[slot] : arrived[slot] + doorbell_wait[slot];
  }
};

struct CompletionQueue {
  bool exists = false;
  bool ien = false;
  bool phase = true;  // of the next entry
  std::uint16_t id = 0;
  std::uint16_t vector = 0;
  std::uint32_t size = 0;
  std::uint64_t base = 0;
  std::uint32_t head = 0;
  std::uint32_t tail = 0;
  std::uint32_t users = 0;  // submission queues
  Command* first_waiting = nullptr;
  Command* last_waiting = nullptr;

  std::uint32_t used() const { return tail >= head ? tail - head : tail + size - head; }
  bool full() const { return used() + 1 == size; }
};

class QueueSet {
 public:
  explicit QueueSet(std::uint32_t max_io_queues);

  // nullptr for a queue that does not exist.
  SubmissionQueue* sq(std::uint32_t id) {
    return id < sqs_.size() && sqs_[id].exists ? &sqs_[id] : nullptr;
  }
  CompletionQueue* cq(std::uint32_t id) {
    return id < cqs_.size() && cqs_[id].exists ? &cqs_[id] : nullptr;
  }
  const SubmissionQueue* sq(std::uint32_t id) const { return const_cast<QueueSet*>(this)->sq(id); }
  const CompletionQueue* cq(std::uint32_t id) const { return const_cast<QueueSet*>(this)->cq(id); }
  // Largest id that can exist.
  std::uint32_t max_id() const { return static_cast<std::uint32_t>(sqs_.size()) - 1; }

  CompletionQueue& create_cq(std::uint16_t id, std::uint32_t size, std::uint64_t base, bool ien,
                             std::uint16_t vector);
  SubmissionQueue& create_sq(std::uint16_t id, std::uint32_t size, std::uint64_t base,
                             std::uint16_t cqid, unsigned priority = 0);
  void delete_sq(SubmissionQueue& queue);
  void delete_cq(CompletionQueue& queue) { queue.exists = false; }
  // True from the first I/O queue's creation until the next reset.
  bool io_queue_created() const { return io_queue_created_; }
  void reset();

 private:
  std::vector<SubmissionQueue> sqs_;
  std::vector<CompletionQueue> cqs_;
  bool io_queue_created_ = false;
};

}  // namespace nvmesim::device
