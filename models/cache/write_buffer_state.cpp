// WriteBuffer: power that goes and comes back, and what is saved of it.
#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "models/cache/write_buffer.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

// Power went while it was on its way. A protected buffer still has the data and brings it out
// again.
void WriteBuffer::stripe_dropped(Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) {
    Slot& slot = slots_[unit.source];
    if (protected_ && index_.find(unit.unit.value()) == unit.source) {
      slot.fresh = !ftl_.is_mapped(slot.unit);
      if (slot.fresh) ++fresh_;
      make_dirty(unit.source);
      continue;
    }
    if (index_.find(unit.unit.value()) == unit.source) index_.erase(unit.unit.value());
    durable(slot);
    release(unit.source);
  }
  stripes_.give(&stripe);
}

void WriteBuffer::power_cut() {
  scheduler_.cancel(idle_timer_);
  if (protected_) return;
  for (Queue& queue : queues_) {
    while (!queue.dirty.empty()) lose(queue.dirty.pop());
    queue.to_drain = 0;
    queue.listed = false;
  }
  while (!ready_.empty()) ready_.pop();
  for (std::uint32_t number = 0; number < slots_.size(); ++number) {
    if (slots_[number].state == State::kMerging) lose(number);
  }
}

void WriteBuffer::lose(std::uint32_t number) {
  Slot& slot = slots_[number];
  if (!slot.dropped) {
    if (index_.find(slot.unit.value()) == number) index_.erase(slot.unit.value());
    if (slot.fresh) --fresh_;
    slot.fresh = false;
    durable(slot);
  }
  release(number);
}

void WriteBuffer::power_on() {
  for (std::uint32_t number = 0; number < slots_.size(); ++number) {
    if (slots_[number].state != State::kMerging) continue;
    if (slots_[number].dropped || !ftl_.is_mapped(slots_[number].unit)) {
      merged(number);
    } else {
      reads_.fetch(slots_[number].unit, base::Callback::of<&WriteBuffer::merged>(this, number));
    }
  }
  if (any_dirty()) {
    last_arrival_ = scheduler_.now();
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(last_arrival_ + idle_time_, this);
    dispatch();
  }
  schedule_pump();
}

void WriteBuffer::save_slot(const Slot& slot, StateWriter& out) const {
  out.number(slot.unit.value());
  out.number(slot.queue / parts_);
  out.number(slot.data != nullptr);
  if (slot.data) out.bytes({slot.data->data(), kUnitBytes});
}

// Oldest first in each queue. What was being merged has all its bytes already.
void WriteBuffer::save(StateWriter& out) const {
  std::vector<std::uint32_t> kept;
  for (const Queue& queue : queues_) {
    for (std::size_t i = 0; i < queue.dirty.size(); ++i) kept.push_back(queue.dirty.at(i));
  }
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].state == State::kMerging) kept.push_back(i);
  }
  std::erase_if(kept, [this](std::uint32_t number) { return slots_[number].dropped; });
  out.number(kept.size());
  for (const std::uint32_t number : kept) save_slot(slots_[number], out);
}

void WriteBuffer::load(std::uint64_t units, StateReader& in) {
  const std::uint64_t count = in.number("the number of buffered units", slots_.size());
  for (std::uint64_t i = 0; i < count; ++i) {
    const UnitId unit{in.number("a buffered unit", units - 1)};
    if (index_.find(unit.value()) != UnitIndex::kNone) in.fail("a unit is buffered twice");
    const auto lane = static_cast<std::uint32_t>(in.number("a stream", ftl_.lanes() - 1));
    base::BufferRef data;
    if (in.number("a flag", 1) != 0) {
      data = store_.take_buffer();
      std::array<std::byte, kUnitBytes> over;
      in.bytes(data ? std::span(data->data(), kUnitBytes) : std::span<std::byte>(over));
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    Slot& slot = slots_[number];
    slot.unit = unit;
    slot.data = std::move(data);
    slot.sequence = ++sequence_;
    slot.queue = queue_for(lane, unit);
    slot.fresh = !ftl_.is_mapped(unit);
    if (slot.fresh) ++fresh_;
    index_.set(unit.value(), number);
    ++not_durable_;
    make_dirty(number);
  }
}

}  // namespace nvmesim::models
