#include "models/cache/write_buffer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "sim/base/assert.hpp"

namespace nvmesim::models {
namespace {

// No set of queues may fill it with less than a program each.
std::uint32_t slots_for(const WriteBufferConfig& config, const Geometry& geometry,
                        std::uint32_t queues) {
  const std::uint64_t slots = config.bytes / kUnitBytes;
  const std::uint64_t programs = std::uint64_t{1} + queues;
  if (slots < programs * geometry.program_units) {
    throw base::UserError(
        fmt::format("write_buffer.bytes: {} is less than {} programs of the NAND ({} bytes each)",
                    config.bytes, programs, std::uint64_t{geometry.program_units} * kUnitBytes));
  }
  return static_cast<std::uint32_t>(slots);
}

}  // namespace

WriteBuffer::WriteBuffer(const WriteBufferConfig& config, const Geometry& geometry,
                         base::Scheduler& scheduler, Ftl& ftl, DataStore& store, ReadPath& reads,
                         Delivery& delivery, Dram& dram, base::StatisticsRegistry& statistics,
                         const std::string& name)
    : scheduler_(scheduler),
      ftl_(ftl),
      store_(store),
      reads_(reads),
      delivery_(delivery),
      dram_(dram),
      protected_(config.power_loss_protection),
      fixed_(base::nanoseconds(config.fixed_ns)),
      per_unit_(base::nanoseconds(config.per_unit_ns)),
      commit_(base::nanoseconds(config.commit_ns)),
      hit_(base::nanoseconds(config.hit_ns)),
      idle_time_(base::nanoseconds(std::uint64_t{config.idle_flush_us} * 1000)),
      program_units_(geometry.program_units),
      entry_(name + ".write_buffer.entry"),
      slots_(slots_for(config, geometry, ftl.lanes() * ftl.parts())),
      index_(static_cast<std::uint32_t>(slots_.size())),
      parts_(ftl.parts()),
      arrivals_(ftl.lanes()),
      queues_(std::size_t{ftl.lanes()} * ftl.parts()) {
  for (auto i = static_cast<std::uint32_t>(slots_.size()); i-- > 0;) free_.push_back(i);
  ftl_.set_space_listener(base::Callback::of<&WriteBuffer::dispatch>(this));
  statistics.add(name + ".write_buffer.units_in", "1", "4 KiB units (or parts) written to it",
                 units_in_);
  statistics.add(name + ".write_buffer.coalesced", "1",
                 "of these, such that replaced data still waiting in it", coalesced_);
  statistics.add(name + ".write_buffer.merges", "1",
                 "parts of units whose rest had to be read from the NAND", merges_);
  statistics.add(name + ".write_buffer.waits_for_room", "1",
                 "units that found no free slot when they came", waits_for_room_);
  statistics.add_utilisation(entry_.name(), "write_buffer", [this] { return entry_.busy(); });
}

bool WriteBuffer::find(UnitId unit, base::BufferRef& data) const {
  const std::uint32_t number = index_.find(unit.value());
  if (number == UnitIndex::kNone) return false;
  data = slots_[number].data;
  return true;
}

void WriteBuffer::schedule_pump() {
  if (pump_pending_ || grants_.empty()) return;
  pump_pending_ = true;
  scheduler_.at<&WriteBuffer::pump>(scheduler_.now(), this);
}

// Gives free slots to those who wait for them, in order.
void WriteBuffer::pump() {
  pump_pending_ = false;
  while (!grants_.empty()) {
    if (grants_.front().ticket == nullptr) {
      grants_.pop();
      continue;
    }
    if (free_.empty()) return;
    const Grant grant = grants_.pop();
    const std::uint32_t number = free_.back();
    free_.pop_back();
    slots_[number].state = State::kGranted;
    if (grant.part == nullptr) {
      accept(number, grant, {});
      continue;
    }
    grant.part->data = store_.take_buffer();
    grant.part->media_data = number + kFirstSlot;
    grant.part->stages.stamp(base::Stage::kBuffer, scheduler_.now());
    delivery_.ready(*grant.part);
  }
}

void WriteBuffer::arrived(MediaPart& part) {
  NVMESIM_ASSERT(part.media_data >= kFirstSlot, "data arrived for a part that has no room");
  const auto number = static_cast<std::uint32_t>(part.media_data - kFirstSlot);
  part.media_data = 0;
  auto* ticket = reinterpret_cast<Ticket*>(part.command->media_data);
  const Grant grant{&part,       ticket,     part.unit,
                    part.offset, part.bytes, ftl_.lane_of(part.command->stream)};
  accept(number, grant, std::move(part.data));
}

void WriteBuffer::accept(std::uint32_t number, const Grant& grant, base::BufferRef data) {
  const base::Time now = scheduler_.now();
  base::Time in = entry_.reserve(now, per_unit_) + per_unit_;
  if (dram_.limited()) in = std::max(in, dram_.pass(kUnitBytes));
  in += fixed_;
  if (grant.ticket->arrivals == 1) in = std::max(in, grant.ticket->not_before);
  ++units_in_;
  last_arrival_ = now;
  if (grant.part != nullptr) grant.part->stages.stamp(base::Stage::kBuffer, in);

  const std::uint32_t target = store_in_slot(number, grant, std::move(data));
  Ticket& ticket = *grant.ticket;
  if (ticket.force_unit_access && !protected_) {
    Waiter* waiter = waiters_.take();
    *waiter = {&ticket, slots_[target].waiters};
    slots_[target].waiters = waiter;
    drain();
  } else {
    --ticket.waits;  // not the last: the one of buffered() is still there
  }
  if (--ticket.arrivals == 0) {
    scheduler_.at<&WriteBuffer::buffered>(in, this, reinterpret_cast<std::uint64_t>(&ticket));
  }
  dispatch();
  watch_idleness();
}

// Returns the slot that now holds the data: another one if the unit was already waiting there.
std::uint32_t WriteBuffer::store_in_slot(std::uint32_t number, const Grant& grant,
                                         base::BufferRef data) {
  const std::uint64_t unit = grant.unit.value();
  const bool partial = grant.bytes < kUnitBytes;
  const std::uint32_t present = index_.find(unit);
  const bool here = present != UnitIndex::kNone;
  if (here && slots_[present].state != State::kFlushing) {
    Slot& waiting = slots_[present];
    waiting.data =
        partial ? store_.merged(waiting.data, data, grant.offset, grant.bytes) : std::move(data);
    ++coalesced_;
    release(number);
    schedule_pump();
    return present;
  }
  reads_.forget(unit, 1);
  Slot& slot = slots_[number];
  slot.unit = grant.unit;
  slot.sequence = ++sequence_;
  slot.queue = queue_for(grant.lane, grant.unit);
  slot.older = present;
  if (here) slot.older_sequence = slots_[present].sequence;
  if (partial) {
    const base::BufferRef old = here ? slots_[present].data : store_.read(grant.unit);
    slot.data = store_.merged(old, data, grant.offset, grant.bytes);
  } else {
    slot.data = std::move(data);
  }
  const bool mapped = ftl_.is_mapped(grant.unit);
  slot.fresh = !mapped;
  if (slot.fresh) ++fresh_;
  index_.set(unit, number);
  ++not_durable_;
  if (partial && mapped && !here) {
    ++merges_;
    slot.state = State::kMerging;
    reads_.fetch(grant.unit, base::Callback::of<&WriteBuffer::merged>(this, number));
  } else {
    make_dirty(number);
  }
  return number;
}

void WriteBuffer::merged(std::uint64_t number) {
  const auto slot = static_cast<std::uint32_t>(number);
  if (slots_[slot].dropped) {
    release(slot);
    schedule_pump();
    return;
  }
  make_dirty(slot);
  dispatch();
  watch_idleness();
}

std::uint32_t WriteBuffer::queue_for(std::uint32_t lane, UnitId unit) {
  if (parts_ == 1) return lane;
  return lane * parts_ + ftl_.part_of(unit, arrivals_[lane]++);
}

void WriteBuffer::make_dirty(std::uint32_t number) {
  slots_[number].state = State::kDirty;
  Queue& queue = queues_[slots_[number].queue];
  queue.dirty.push(number);
  if (slots_[number].sequence <= drain_up_to_) queue.to_drain = queue.dirty.size();
  list_if_ready(slots_[number].queue);
}

void WriteBuffer::list_if_ready(std::uint32_t number) {
  Queue& queue = queues_[number];
  if (queue.listed || !ready(queue)) return;
  queue.listed = true;
  ready_.push(number);
}

bool WriteBuffer::any_dirty() const {
  for (const Queue& queue : queues_) {
    if (!queue.dirty.empty()) return true;
  }
  return false;
}

void WriteBuffer::watch_idleness() {
  if (scheduler_.pending(idle_timer_) || !any_dirty()) return;
  idle_timer_ = scheduler_.at<&WriteBuffer::idle>(scheduler_.now() + idle_time_, this);
}

void WriteBuffer::drain_queues() {
  for (std::uint32_t number = 0; number < queues_.size(); ++number) {
    queues_[number].to_drain = queues_[number].dirty.size();
    list_if_ready(number);
  }
  dispatch();
}

// Everything that is here now goes to the NAND without waiting for company.
void WriteBuffer::drain() {
  drain_up_to_ = sequence_;
  drain_queues();
}

void WriteBuffer::idle(std::uint64_t) {
  if (!any_dirty()) return;
  const base::Time due = last_arrival_ + idle_time_;
  if (due > scheduler_.now()) {
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(due, this);
    return;
  }
  drain_queues();
}

// Queues take turns, a program each.
void WriteBuffer::dispatch() {
  for (std::size_t refused = 0; refused < ready_.size();) {
    const std::uint32_t number = ready_.pop();
    refused = dispatch_one(number) ? 0 : refused + 1;
    queues_[number].listed = false;
    list_if_ready(number);
  }
}

// False if the FTL has no room for it now.
bool WriteBuffer::dispatch_one(std::uint32_t number) {
  Queue& queue = queues_[number];
  const std::uint32_t lane = number / parts_;
  if (!ftl_.host_may_write(lane)) return false;
  Stripe* stripe = gather(queue);
  if (stripe->units.empty()) {  // all were deallocated
    stripes_.give(stripe);
    return true;
  }
  stripe->stripe_owner = this;
  ftl_.program(*stripe, Stream::kHost, lane, number % parts_);
  return true;
}

Stripe* WriteBuffer::gather(Queue& queue) {
  Stripe* stripe = stripes_.take();
  stripe->units.clear();
  while (stripe->units.size() < program_units_ && !queue.dirty.empty()) {
    const std::uint32_t number = queue.dirty.pop();
    if (queue.to_drain > 0) --queue.to_drain;
    Slot& slot = slots_[number];
    if (slot.dropped) {
      release(number);
      schedule_pump();
      continue;
    }
    slot.state = State::kFlushing;
    if (slot.fresh) --fresh_;
    slot.fresh = false;
    stripe->units.push_back({slot.unit, number});
  }
  return stripe;
}

void WriteBuffer::stripe_programmed(Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) {
    Slot& slot = slots_[unit.source];
    if (!slot.stale) store_.write(unit.unit, slot.data);
    if (index_.find(unit.unit.value()) == unit.source) index_.erase(unit.unit.value());
    outdate_older(slot);
    durable(slot);
    release(unit.source);
  }
  stripes_.give(&stripe);
  pump();
}

// Programs of two versions of a unit may end in the wrong order.
void WriteBuffer::outdate_older(const Slot& slot) {
  for (const Slot* newer = &slot; newer->older != UnitIndex::kNone;) {
    Slot& older = slots_[newer->older];
    if (older.state != State::kFlushing || older.sequence != newer->older_sequence) return;
    older.stale = true;
    newer = &older;
  }
}

void WriteBuffer::drop(std::uint32_t number) {
  Slot& slot = slots_[number];
  index_.erase(slot.unit.value());
  if (slot.fresh) --fresh_;
  slot.fresh = false;
  outdate_older(slot);
  if (slot.state == State::kFlushing) {  // its program goes on, for nobody
    slot.stale = true;
    return;
  }
  slot.dropped = true;
  durable(slot);
}

void WriteBuffer::discard(std::uint64_t first, std::uint64_t count) {
  if (count < slots_.size()) {
    for (std::uint64_t unit = first; unit < first + count; ++unit) {
      const std::uint32_t number = index_.find(unit);
      if (number != UnitIndex::kNone) drop(number);
    }
    return;
  }
  for (std::uint32_t number = 0; number < slots_.size(); ++number) {
    const std::uint64_t unit = slots_[number].unit.value();
    if (unit - first < count && index_.find(unit) == number) drop(number);
  }
}

void WriteBuffer::release(std::uint32_t number) {
  Slot& slot = slots_[number];
  slot.data.reset();
  slot.state = State::kFree;
  slot.dropped = false;
  slot.stale = false;
  slot.older = UnitIndex::kNone;
  free_.push_back(number);
}

}  // namespace nvmesim::models
