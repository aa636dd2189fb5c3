#include "device/queues.hpp"

namespace nvmesim::device {

QueueSet::QueueSet(std::uint32_t max_io_queues)
    : sqs_(std::size_t{max_io_queues} + 1), cqs_(std::size_t{max_io_queues} + 1) {}

CompletionQueue& QueueSet::create_cq(std::uint16_t id, std::uint32_t size, std::uint64_t base,
                                     bool ien, std::uint16_t vector) {
  if (id != 0) io_queue_created_ = true;
  CompletionQueue& queue = cqs_[id];
  queue = CompletionQueue{};
  queue.exists = true;
  queue.id = id;
  queue.size = size;
  queue.base = base;
  queue.ien = ien;
  queue.vector = vector;
  return queue;
}

SubmissionQueue& QueueSet::create_sq(std::uint16_t id, std::uint32_t size, std::uint64_t base,
                                     std::uint16_t cqid, unsigned priority) {
  SubmissionQueue& queue = sqs_[id];
  auto arrived = std::move(queue.arrived);
  queue = SubmissionQueue{};
  queue.arrived = std::move(arrived);
  queue.arrived.assign(size, base::kTimeZero);
  queue.exists = true;
  queue.id = id;
  queue.size = size;
  queue.base = base;
  queue.cqid = cqid;
  queue.priority = static_cast<std::uint8_t>(priority);
  ++cqs_[cqid].users;
  return queue;
}

void QueueSet::delete_sq(SubmissionQueue& queue) {
  queue.exists = false;
  --cqs_[queue.cqid].users;
}

void QueueSet::reset() {
  io_queue_created_ = false;
  for (SubmissionQueue& queue : sqs_) queue.exists = queue.deleting = false;
  for (CompletionQueue& queue : cqs_) queue.exists = false;
}

}  // namespace nvmesim::device
