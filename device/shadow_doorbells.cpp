#include "device/shadow_doorbells.hpp"

#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

ShadowDoorbells::ShadowDoorbells(Core& core) : core_(core), shift_(2 + core.config.dstrd) {
  if (core.config.doorbell_buffer_config) looks_.resize(2 * (core.config.max_io_queues + 1));
}

void ShadowDoorbells::configure(std::uint64_t shadow, std::uint64_t event_index) {
  shadow_ = shadow;
  event_index_ = event_index;
  active_ = true;
}

void ShadowDoorbells::look(SubmissionQueue& queue) {
  start(2 * std::uint32_t{queue.id}, queue.tail);
}

void ShadowDoorbells::look(CompletionQueue& queue) {
  start(2 * std::uint32_t{queue.id} + 1, queue.head);
}

// The write of the index is posted ahead of the read and cannot be passed by it.
void ShadowDoorbells::start(std::uint32_t index, std::uint32_t value) {
  Look& look = looks_[index];
  if (look.open) {
    look.again = true;
    return;
  }
  look.open = true;
  look.again = false;
  if (!look.buffer) look.buffer = core_.buffers.take();
  pcie::FunctionPort::WriteOptions options;
  options.relaxed_ordering = false;
  const std::uint64_t offset = std::uint64_t{index} << shift_;
  core_.port.dma_write(event_index_ + offset, std::as_bytes(std::span(&value, 1)), {}, options, {});
  ++reads_;
  const bool tail = index % 2 == 0;
  if (tail) ++core_.queues.sq(index / 2)->fetches_open;
  core_.port.dma_read(shadow_ + offset, {look.buffer->data(), sizeof value}, look.buffer,
                      tail ? base::Callback::of<&ShadowDoorbells::tail_read>(this, index)
                           : base::Callback::of<&ShadowDoorbells::head_read>(this, index));
}

std::uint32_t ShadowDoorbells::value_of(std::uint32_t index) const {
  std::uint32_t value = 0;
  std::memcpy(&value, looks_[index].buffer->data(), sizeof value);
  return value & 0xFFFF;
}

void ShadowDoorbells::tail_read(std::uint64_t index) {
  Look& look = looks_[index];
  SubmissionQueue& queue = *core_.queues.sq(static_cast<std::uint32_t>(index / 2));
  look.open = false;
  --queue.fetches_open;
  if (queue.deleting) {
    core_.finish_deletion(queue);
    return;
  }
  if (core_.port.dma_status() != pcie::DmaStatus::kOk) {
    core_.report("a shadow doorbell could not be read from host memory", "7.13");
    return;
  }
  const std::uint32_t value = value_of(static_cast<std::uint32_t>(index));
  if (value != queue.tail) {
    core_.doorbells.tail(queue, value);
    if (queue.tail == value) return;  // fetching it ends with another look
  }
  if (look.again) {
    this->look(queue);
  } else {
    core_.fetcher.look_again();
  }
}

void ShadowDoorbells::head_read(std::uint64_t index) {
  Look& look = looks_[index];
  look.open = false;
  CompletionQueue* queue = core_.queues.cq(static_cast<std::uint32_t>(index / 2));
  if (queue == nullptr || queue->first_waiting == nullptr) return;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk) {
    core_.report("a shadow doorbell could not be read from host memory", "7.13");
    return;
  }
  const std::uint32_t value = value_of(static_cast<std::uint32_t>(index));
  const bool moved = value != queue->head;
  if (moved) core_.doorbells.head(*queue, value);
  // Entries still wait and the index does not lie at the new head.
  if (queue->first_waiting != nullptr && (moved || look.again)) this->look(*queue);
}

void ShadowDoorbells::reset() {
  active_ = false;
  for (Look& look : looks_) {
    look.buffer.reset();  // a dropped read may still write into it
    look.open = look.again = false;
  }
}

}  // namespace nvmesim::device
