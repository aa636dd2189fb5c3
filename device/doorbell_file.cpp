#include "device/doorbell_file.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

void DoorbellFile::write(std::uint32_t offset, std::uint32_t value) {
  if (!core_.registers.ready()) {
    core_.report("doorbell written while the controller is not ready", "3.1.24");
    return;
  }
  const unsigned shift = 2 + core_.config.dstrd;
  const std::uint32_t index = (offset - spec::kDoorbellBase) >> shift;
  if ((index << shift) + spec::kDoorbellBase != offset) {
    bad_register("doorbell written between two strides");
    return;
  }
  value &= 0xFFFF;
  if (index % 2 == 0) {
    SubmissionQueue* queue = core_.queues.sq(index / 2);
    if (queue == nullptr || queue->deleting) {
      bad_register("tail doorbell of a submission queue that does not exist");
    } else if (core_.shadows.active() && queue->id != 0) [[unlikely]] {
      core_.shadows.look(*queue);
    } else {
      tail(*queue, value);
    }
  } else {
    CompletionQueue* queue = core_.queues.cq(index / 2);
    if (queue == nullptr) {
      bad_register("head doorbell of a completion queue that does not exist");
    } else if (core_.shadows.active() && queue->id != 0) [[unlikely]] {
      if (queue->first_waiting != nullptr) core_.shadows.look(*queue);
    } else {
      head(*queue, value);
    }
  }
}

void DoorbellFile::tail(SubmissionQueue& queue, std::uint32_t value) {
  if (value >= queue.size) {
    bad_value(queue.id, "tail doorbell value beyond the queue");
    return;
  }
  const std::uint32_t added = queue.distance(queue.tail, value);
  if (queue.distance(queue.head, queue.tail) + added >= queue.size) {
    bad_value(queue.id, "tail doorbell value that overfills the queue");
    return;
  }
  ++tails_;
  if (added == 0) {
    core_.report("tail doorbell written with the value that it has", "3.1.24");
    return;
  }
  const base::Time now = core_.scheduler.now();
  for (std::uint32_t slot = queue.tail; slot != value;) {
    queue.arrived[slot] = now;
    if (++slot == queue.size) slot = 0;
  }
  queue.tail = value;
  core_.fetcher.doorbell(queue);
}

void DoorbellFile::head(CompletionQueue& queue, std::uint32_t value) {
  if (value >= queue.size) {
    bad_value(queue.id, "head doorbell value beyond the queue");
    return;
  }
  const std::uint32_t taken =
      value >= queue.head ? value - queue.head : value + queue.size - queue.head;
  if (taken > queue.used()) {
    bad_value(queue.id, "head doorbell value that takes entries never posted");
    return;
  }
  ++heads_;
  queue.head = value;
  core_.poster.room_made(queue);
}

void DoorbellFile::bad_register(const char* why) {
  ++invalid_;
  core_.report(why, "3.1.24");
  core_.errors.add_event(0);
  core_.events.raise_error(spec::AsyncErrorInfo::kInvalidDoorbellRegister);
}

void DoorbellFile::bad_value(std::uint16_t qid, const char* why) {
  ++invalid_;
  core_.report(why, "3.1.24");
  core_.errors.add_event(qid);
  core_.events.raise_error(spec::AsyncErrorInfo::kInvalidDoorbellValue);
}

}  // namespace nvmesim::device
