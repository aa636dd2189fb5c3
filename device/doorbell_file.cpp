#include "device/doorbell_file.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

DoorbellFile::DoorbellFile(Core& core)
    : core_(core),
      unit_("doorbell", core.config.pipeline.doorbell_width,
            core.config.pipeline.cycles(core.config.pipeline.doorbell_interval_cycles)),
      counted_(core.config.pipeline.doorbell_interval_cycles != 0) {}

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
  const base::Time wait = counted_ ? unit_.reserve(now) - now : base::kTimeZero;
  if (counted_ && queue.doorbell_wait.size() < queue.size) [[unlikely]]
    queue.doorbell_wait.assign(queue.size, base::kTimeZero);
  for (std::uint32_t slot = queue.tail; slot != value;) {
    queue.arrived[slot] = now;
    if (counted_) queue.doorbell_wait[slot] = wait;
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
  if (queue.used() == 0 && core_.port.interrupt_by_pin()) [[unlikely]]
    release_pin(queue.vector);
  core_.poster.room_made(queue);
}

// A pin is held as long as an entry of any queue of its vector has not been taken (3.1.24).
void DoorbellFile::release_pin(std::uint16_t vector) {
  for (std::uint32_t id = 0; id <= core_.queues.max_id(); ++id) {
    const CompletionQueue* queue = core_.queues.cq(id);
    if (queue != nullptr && queue->vector == vector && queue->used() != 0) return;
  }
  core_.port.interrupt_served(pcie::VectorId(vector));
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
