// WriteBuffer: how commands begin, wait for the medium, end and are cancelled.
#include <algorithm>

#include "models/cache/write_buffer.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

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
    ftl_.prefetch(part.unit);
    if (grants_.size() >= free_.size()) ++waits_for_room_;
    grants_.push({&part, ticket, part.unit, part.offset, part.bytes, 0});
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
          {nullptr, ticket, UnitId{unit}, static_cast<std::uint32_t>(byte % kUnitBytes), bytes, 0});
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
