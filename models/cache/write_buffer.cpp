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

// MediaPart::media_data of a write part.
constexpr std::uint64_t kWaiting = 1;
constexpr std::uint64_t kFirstSlot = 2;

std::uint32_t slots_for(const WriteBufferConfig& config, const Geometry& geometry) {
  const std::uint64_t slots = config.bytes / kUnitBytes;
  if (slots < 2 * geometry.program_units) {
    throw base::UserError(
        fmt::format("write_buffer.bytes: {} is less than two programs of the NAND ({} bytes each)",
                    config.bytes, std::uint64_t{geometry.program_units} * kUnitBytes));
  }
  return static_cast<std::uint32_t>(slots);
}

}  // namespace

WriteBuffer::WriteBuffer(const WriteBufferConfig& config, const Geometry& geometry,
                         base::Scheduler& scheduler, Ftl& ftl, DataStore& store, ReadPath& reads,
                         Delivery& delivery, base::StatisticsRegistry& statistics,
                         const std::string& name)
    : scheduler_(scheduler),
      ftl_(ftl),
      store_(store),
      reads_(reads),
      delivery_(delivery),
      protected_(config.power_loss_protection),
      fixed_(base::nanoseconds(config.fixed_ns)),
      per_unit_(base::nanoseconds(config.per_unit_ns)),
      commit_(base::nanoseconds(config.commit_ns)),
      hit_(base::nanoseconds(config.hit_ns)),
      idle_time_(base::nanoseconds(std::uint64_t{config.idle_flush_us} * 1000)),
      program_units_(geometry.program_units),
      entry_(name + ".write_buffer.entry"),
      slots_(slots_for(config, geometry)),
      index_(static_cast<std::uint32_t>(slots_.size())) {
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

WriteBuffer::Ticket* WriteBuffer::take_ticket(MediaCommand* command) {
  Ticket* ticket = tickets_.take();
  *ticket = Ticket{};
  ticket->command = command;
  ticket->waits = 1;
  if (command != nullptr) {
    ticket->force_unit_access = command->force_unit_access;
    command->media_data = reinterpret_cast<std::uint64_t>(ticket);
  }
  return ticket;
}

void WriteBuffer::start_write(MediaCommand& command) {
  NVMESIM_ASSERT(!command.parts.empty(), "a write without parts");
  Ticket* ticket = take_ticket(&command);
  ticket->arrivals = static_cast<std::uint32_t>(command.parts.size());
  ticket->waits += ticket->arrivals;
  const base::Time now = scheduler_.now();
  ticket->not_before = now + commit_;
  for (MediaPart& part : command.parts) {
    part.command = &command;
    part.stages.open(now);
    part.media_data = kWaiting;
    if (grants_.size() >= free_.size()) ++waits_for_room_;
    grants_.push({&part, ticket, part.unit, part.offset, part.bytes});
  }
  schedule_pump();
}

void WriteBuffer::start_zeroes(MediaCommand& command, base::Time when) {
  Ticket* ticket = take_ticket(&command);
  ticket->not_before = when;
  const std::uint64_t end = command.first_byte + command.bytes;
  for (std::uint64_t byte = command.first_byte; byte < end;) {
    const std::uint64_t unit = byte / kUnitBytes;
    const std::uint64_t stop = std::min(end, (unit + 1) * kUnitBytes);
    const auto bytes = static_cast<std::uint32_t>(stop - byte);
    if (bytes < kUnitBytes) {
      ++ticket->arrivals;
      ++ticket->waits;
      grants_.push(
          {nullptr, ticket, UnitId{unit}, static_cast<std::uint32_t>(byte % kUnitBytes), bytes});
    }
    // At most the first and the last unit are covered in part.
    byte = bytes < kUnitBytes ? stop : std::max(stop, end / kUnitBytes * kUnitBytes);
  }
  if (ticket->arrivals > 0) {
    schedule_pump();
  } else {
    scheduler_.at<&WriteBuffer::buffered>(when, this, reinterpret_cast<std::uint64_t>(ticket));
  }
}

void WriteBuffer::start_deallocate(MediaCommand& command, base::Time when) {
  Ticket* ticket = take_ticket(&command);
  scheduler_.at<&WriteBuffer::buffered>(when, this, reinterpret_cast<std::uint64_t>(ticket));
}

void WriteBuffer::start_flush(MediaCommand& command) {
  wait_for_medium(*take_ticket(&command));
}

void WriteBuffer::quiesce(base::Callback done) {
  Ticket* ticket = take_ticket(nullptr);
  ticket->callback = done;
  wait_for_medium(*ticket);
}

// Ends the ticket, by an entry, when all that is here now is durable.
void WriteBuffer::wait_for_medium(Ticket& ticket) {
  if (protected_ || not_durable_ == 0) {
    finish_by_entry(ticket);
    return;
  }
  ticket.waits += not_durable_;
  ticket.barrier = sequence_;
  flushes_.push_back(&ticket);
  drain();
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
  const Grant grant{&part, ticket, part.unit, part.offset, part.bytes};
  accept(number, grant, std::move(part.data));
}

void WriteBuffer::accept(std::uint32_t number, const Grant& grant, base::BufferRef data) {
  const base::Time now = scheduler_.now();
  base::Time in = entry_.reserve(now, per_unit_) + per_unit_ + fixed_;
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
  if (!dirty_.empty() && !scheduler_.pending(idle_timer_)) {
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(now + idle_time_, this);
  }
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
  Slot& slot = slots_[number];
  slot.unit = grant.unit;
  slot.sequence = ++sequence_;
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
  if (!dirty_.empty() && !scheduler_.pending(idle_timer_)) {
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(scheduler_.now() + idle_time_, this);
  }
}

void WriteBuffer::make_dirty(std::uint32_t number) {
  slots_[number].state = State::kDirty;
  dirty_.push(number);
  if (slots_[number].sequence <= drain_up_to_) to_drain_ = dirty_.size();
}

// Everything that is here now goes to the NAND without waiting for company.
void WriteBuffer::drain() {
  drain_up_to_ = sequence_;
  to_drain_ = dirty_.size();
  dispatch();
}

void WriteBuffer::idle(std::uint64_t) {
  if (dirty_.empty()) return;
  const base::Time due = last_arrival_ + idle_time_;
  if (due > scheduler_.now()) {
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(due, this);
    return;
  }
  to_drain_ = dirty_.size();
  dispatch();
}

void WriteBuffer::dispatch() {
  while (!dirty_.empty() && (dirty_.size() >= program_units_ || to_drain_ > 0)) {
    if (!ftl_.host_may_write()) return;
    Stripe* stripe = gather();
    if (stripe->units.empty()) {  // all were deallocated
      stripes_.give(stripe);
      continue;
    }
    stripe->stripe_owner = this;
    ftl_.program(*stripe, Stream::kHost);
  }
}

Stripe* WriteBuffer::gather() {
  Stripe* stripe = stripes_.take();
  stripe->units.clear();
  while (stripe->units.size() < program_units_ && !dirty_.empty()) {
    const std::uint32_t number = dirty_.pop();
    if (to_drain_ > 0) --to_drain_;
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
  while (!dirty_.empty()) lose(dirty_.pop());
  to_drain_ = 0;
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
  if (!dirty_.empty()) {
    last_arrival_ = scheduler_.now();
    idle_timer_ = scheduler_.at<&WriteBuffer::idle>(last_arrival_ + idle_time_, this);
    dispatch();
  }
  schedule_pump();
}

void WriteBuffer::save_slot(const Slot& slot, StateWriter& out) const {
  out.number(slot.unit.value());
  out.number(slot.data != nullptr);
  if (slot.data) out.bytes({slot.data->data(), kUnitBytes});
}

// Oldest first. What was being merged has all its bytes already.
void WriteBuffer::save(StateWriter& out) const {
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i < dirty_.size(); ++i) kept.push_back(dirty_.at(i));
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
    slot.fresh = !ftl_.is_mapped(unit);
    if (slot.fresh) ++fresh_;
    index_.set(unit.value(), number);
    ++not_durable_;
    make_dirty(number);
  }
}

// May run inside start() of another command, so that nobody is called back from here.
void WriteBuffer::durable(Slot& slot) {
  --not_durable_;
  for (Waiter* waiter = slot.waiters; waiter != nullptr;) {
    Waiter* next = waiter->next;
    Ticket& ticket = *waiter->ticket;
    waiters_.give(waiter);
    if (ticket.waits == 1) {
      finish_by_entry(ticket);
    } else {
      --ticket.waits;
    }
    waiter = next;
  }
  slot.waiters = nullptr;
  for (std::size_t i = 0; i < flushes_.size();) {
    Ticket& flush = *flushes_[i];
    if (slot.sequence <= flush.barrier && --flush.waits == 1) {
      flushes_.erase(flushes_.begin() + static_cast<std::ptrdiff_t>(i));
      finish_by_entry(flush);
    } else {
      ++i;
    }
  }
}

void WriteBuffer::finish_by_entry(Ticket& ticket) {
  scheduler_.at<&WriteBuffer::buffered>(scheduler_.now(), this,
                                        reinterpret_cast<std::uint64_t>(&ticket));
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

void WriteBuffer::buffered(std::uint64_t ticket) {
  one_less(*reinterpret_cast<Ticket*>(ticket));
}

void WriteBuffer::one_less(Ticket& ticket) {
  if (--ticket.waits == 0) complete(ticket);
}

void WriteBuffer::complete(Ticket& ticket) {
  MediaCommand* command = ticket.command;
  const base::Callback callback = ticket.callback;
  const bool waited = ticket.force_unit_access && !protected_;
  tickets_.give(&ticket);
  if (callback) callback();
  if (command == nullptr) return;
  const base::Time now = scheduler_.now();
  command->media_data = 0;
  if (command->op == MediaOp::kFlush) {
    command->stages.stamp(base::Stage::kBuffer, now);
  } else if (command->op != MediaOp::kWrite) {
    command->stages.stamp(base::Stage::kMapping, now);
  } else if (waited) {
    const auto last = std::max_element(
        command->parts.begin(), command->parts.end(),
        [](const MediaPart& a, const MediaPart& b) { return a.stages.last() < b.stages.last(); });
    last->stages.stamp(base::Stage::kBuffer, now);
  }
  command->client->media_done(*command, MediaStatus::kOk);
}

// What has arrived stays; the rest is taken back. The ticket goes when nothing refers to it.
void WriteBuffer::cancel(MediaCommand& command) {
  auto* ticket = reinterpret_cast<Ticket*>(command.media_data);
  if (ticket == nullptr) return;
  command.media_data = 0;
  ticket->command = nullptr;
  if (ticket->arrivals == 0) return;  // buffered() is scheduled
  for (std::size_t i = 0; i < grants_.size(); ++i) {
    if (grants_[i].ticket == ticket) grants_[i].ticket = nullptr;
  }
  for (MediaPart& part : command.parts) {
    if (part.media_data >= kFirstSlot) {
      part.data.reset();
      release(static_cast<std::uint32_t>(part.media_data - kFirstSlot));
    }
    part.media_data = 0;
  }
  ticket->waits -= ticket->arrivals;
  ticket->arrivals = 0;
  schedule_pump();
  one_less(*ticket);
}

}  // namespace nvmesim::models
