#include "device/coalescer.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

bool entries_wait(const QueueSet& queues, std::uint64_t vector) {
  for (std::uint32_t id = 0; id <= queues.max_id(); ++id) {
    const CompletionQueue* queue = queues.cq(id);
    if (queue != nullptr && queue->vector == vector && queue->used() != 0) return true;
  }
  return false;
}

}  // namespace

Coalescer::Coalescer(Core& core, std::uint32_t vectors)
    : core_(core),
      unit_(core.scheduler, "interrupt", core.config.pipeline.interrupt_width,
            core.config.pipeline.cycles(core.config.pipeline.interrupt_interval_cycles),
            core.config.pipeline.cycles(core.config.pipeline.interrupt_cycles)),
      vectors_(vectors) {}

void Coalescer::configure(std::uint32_t threshold, base::Time time) {
  threshold_ = threshold;
  time_ = time;
}

void Coalescer::send(std::uint16_t vector) {
  Vector& state = vectors_[vector];
  if (!state.held.empty()) {
    core_.scheduler.cancel(state.timer);
    for (const base::CommandKey key : state.held) {
      core_.stages.amend(key, base::Stage::kCoalescing, core_.scheduler.now());
    }
    state.held.clear();
  }
  if (core_.registers.withhold_interrupt(vector)) [[unlikely]]
    return;
  ++sent_;
  if (core_.points.interrupt.armed()) [[unlikely]] {
    Fate fate;
    core_.points.interrupt(vector, fate);
    if (fate.drop) return;
    if (fate.delay != base::kTimeZero) {
      core_.scheduler.after<&Coalescer::late>(fate.delay, this, vector);
      return;
    }
  }
  if (unit_.present()) [[unlikely]] {
    unit_.enter(base::Callback::of<&Coalescer::late>(this, vector));
  } else {
    core_.port.interrupt(pcie::VectorId(vector));
  }
}

void Coalescer::late(std::uint64_t vector) {
  // A pin that nothing holds any more would never be released.
  if (core_.port.interrupt_by_pin() && !entries_wait(core_.queues, vector)) return;
  core_.port.interrupt(pcie::VectorId(static_cast<std::uint16_t>(vector)));
}

void Coalescer::hold(const CompletionQueue& queue, base::CommandKey key) {
  Vector& state = vectors_[queue.vector];
  if (state.held.empty()) {
    state.timer = core_.scheduler.after<&Coalescer::expired>(time_, this, queue.vector);
  }
  state.held.push_back(key);
  ++held_;
}

void Coalescer::expired(std::uint64_t vector) {
  send(static_cast<std::uint16_t>(vector));
}

void Coalescer::reset() {
  unit_.clear();
  for (Vector& state : vectors_) {
    core_.scheduler.cancel(state.timer);
    state.held.clear();
    state.disabled = false;
  }
  configure(0, base::kTimeZero);
}

}  // namespace nvmesim::device
