// The write buffer: grants room to writes, ends them when their data is in it, and brings the data
// to the NAND in the background, a stripe at a time. Reads see what is in it; a write to a unit
// that waits in it replaces the data there. A part of a unit is merged with the unit's present
// content, which is read from the NAND first if it lies there.
//
// With power-loss protection what is buffered is durable: Flush and FUA cost nothing. Without it
// they wait for the programs.
//
// What waits to go out is kept by lane (stripe.hpp), so that a program holds data of one stream,
// and within the lane by the part that the FTL names (Ftl::part_of), a queue each.
//
// A slot is free -> granted -> (merging ->) dirty -> flushing -> free. The index names the newest
// slot of a unit; an older one may still be flushing behind it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/cache/unit_index.hpp"
#include "models/cache/write_buffer_config.hpp"
#include "models/delivery.hpp"
#include "models/ftl/ftl.hpp"
#include "models/object_pool.hpp"
#include "models/read_path.hpp"
#include "models/ring.hpp"
#include "models/store/data_store.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::models {

class WriteBuffer : private StripeOwner {
 public:
  WriteBuffer(const WriteBufferConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
              Ftl& ftl, DataStore& store, ReadPath& reads, Delivery& delivery, Dram& dram,
              base::StatisticsRegistry& statistics, const std::string& name);

  // The newest data of the unit, if it is here.
  bool find(UnitId unit, base::BufferRef& data) const;
  bool holds(UnitId unit) const { return index_.find(unit.value()) != UnitIndex::kNone; }
  base::Time hit_time() const { return hit_; }
  bool is_volatile() const { return !protected_; }

  void start_write(MediaCommand& command);
  void arrived(MediaPart& part);
  void start_flush(MediaCommand& command);
  // Ends the command not before `when`; bytes [first, end) of it that cover units in part are
  // written with zeroes. Whole units are the caller's.
  void start_zeroes(MediaCommand& command, base::Time when);
  void start_deallocate(MediaCommand& command, base::Time when);
  void cancel(MediaCommand& command);
  // Forgets all data of units [first, first + count).
  void discard(std::uint64_t first, std::uint64_t count);
  void quiesce(base::Callback done);
  // Between the FTL's: every command was cancelled before. What a volatile buffer holds is lost.
  void power_cut();
  void power_on();
  // What a protected buffer holds, between power_cut() and power_on().
  void save(StateWriter& out) const;
  void load(std::uint64_t units, StateReader& in);

  // Units that are only here: the mapping does not know them yet.
  std::uint64_t fresh_units() const { return fresh_; }
  std::uint32_t free_slots() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }

 private:
  // MediaPart::media_data of a write part.
  static constexpr std::uint64_t kWaiting = 1;
  static constexpr std::uint64_t kFirstSlot = 2;

  enum class State : std::uint8_t { kFree, kGranted, kMerging, kDirty, kFlushing };
  // A command on its way. `waits` counts what must still happen: parts to arrive (or, for FUA, to
  // become durable), and one for the latency of the buffer.
  struct Ticket {
    MediaCommand* command = nullptr;  // none: cancelled
    base::Callback callback;
    std::uint64_t waits = 0;
    std::uint32_t arrivals = 0;
    std::uint64_t barrier = 0;  // flush: slots up to this sequence
    base::Time not_before{0};
    bool force_unit_access = false;
  };
  struct Waiter {
    Ticket* ticket = nullptr;
    Waiter* next = nullptr;
  };
  struct Slot {
    UnitId unit;
    base::BufferRef data;
    std::uint64_t sequence = 0;
    Waiter* waiters = nullptr;
    State state = State::kFree;
    bool dropped = false;  // deallocated while dirty or merging
    bool stale = false;    // flushing: deallocated, or newer data has reached the medium before
    std::uint32_t older = UnitIndex::kNone;  // a slot of the unit that was flushing at the time,
    std::uint64_t older_sequence = 0;        // if it is still the same
    std::uint32_t queue = 0;
    bool fresh = false;
  };
  struct Grant {
    MediaPart* part = nullptr;  // none: zeroes for the ticket
    Ticket* ticket = nullptr;   // none: cancelled
    UnitId unit;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
    std::uint32_t lane = 0;
  };
  struct Queue {
    Ring<std::uint32_t> dirty;
    std::size_t to_drain = 0;  // so many of them go out even if they do not fill a stripe
    bool listed = false;       // among the ready ones
  };

  void stripe_programmed(Stripe& stripe) override;
  void stripe_dropped(Stripe& stripe) override;
  void lose(std::uint32_t number);
  void outdate_older(const Slot& slot);
  void save_slot(const Slot& slot, StateWriter& out) const;
  Ticket* take_ticket(MediaCommand* command);
  void schedule_pump();
  void pump();
  void accept(std::uint32_t number, const Grant& grant, base::BufferRef data);
  std::uint32_t store_in_slot(std::uint32_t number, const Grant& grant, base::BufferRef data);
  void merged(std::uint64_t number);
  void make_dirty(std::uint32_t number);
  void dispatch();
  bool dispatch_one(std::uint32_t number);
  Stripe* gather(Queue& queue);
  bool any_dirty() const;
  bool ready(const Queue& queue) const {
    return queue.dirty.size() >= program_units_ || (queue.to_drain != 0 && !queue.dirty.empty());
  }
  void list_if_ready(std::uint32_t number);
  std::uint32_t queue_for(std::uint32_t lane, UnitId unit);
  void drain_queues();
  void watch_idleness();
  void drain();
  void idle(std::uint64_t);
  void durable(Slot& slot);
  void wait_for_medium(Ticket& ticket);
  void finish_by_entry(Ticket& ticket);
  void drop(std::uint32_t number);
  void release(std::uint32_t number);
  void one_less(Ticket& ticket);
  void buffered(std::uint64_t ticket);
  void complete(Ticket& ticket);

  base::Scheduler& scheduler_;
  Ftl& ftl_;
  DataStore& store_;
  ReadPath& reads_;
  Delivery& delivery_;
  Dram& dram_;
  bool protected_;
  base::Time fixed_;
  base::Time per_unit_;
  base::Time commit_;
  base::Time hit_;
  base::Time idle_time_;
  std::uint32_t program_units_;

  base::Timeline entry_;  // data goes into the buffer unit by unit
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  UnitIndex index_;
  Ring<Grant> grants_;
  std::uint32_t parts_;                  // queues of a lane
  std::vector<std::uint64_t> arrivals_;  // units that came, by lane
  std::vector<Queue> queues_;            // by lane, then part
  Ring<std::uint32_t> ready_;            // queues from which a program can be made, in turn
  std::uint64_t drain_up_to_ = 0;  // slots of up to this sequence go out when they become dirty
  std::vector<Ticket*> flushes_;
  ObjectPool<Ticket> tickets_;
  ObjectPool<Waiter> waiters_;
  ObjectPool<Stripe> stripes_;
  bool pump_pending_ = false;
  base::Scheduler::Handle idle_timer_;
  base::Time last_arrival_{0};
  std::uint64_t sequence_ = 0;
  std::uint64_t not_durable_ = 0;  // slots with data that is not on the medium
  std::uint64_t fresh_ = 0;

  std::uint64_t units_in_ = 0;
  std::uint64_t coalesced_ = 0;
  std::uint64_t merges_ = 0;
  std::uint64_t waits_for_room_ = 0;
};

}  // namespace nvmesim::models
