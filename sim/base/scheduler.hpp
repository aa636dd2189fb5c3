// The one event queue of a simulation. Every timed call-back of our modules is an entry here, run
// from a single SC_METHOD in the total order (time, phase, sequence of scheduling).
//
// Contract. Inside one activation entries run ahead of SystemC's clock, up to the next pending
// SystemC activity or the quantum, whichever is earlier; results are the same for any quantum.
// At one instant all SystemC activity (foreign modules, threads) comes before our entries.
// now() is the time of the running entry, or of SystemC's clock outside of one. When nothing is
// left, the clock catches up with the last entry.
// Threads sleep through entries too, so their place in the order is fixed as well.
//
// Run with simulate(), not with sc_start(duration): SystemC tells nobody where that ends, so
// entries would run ahead of it. Inside an entry never notify an sc_event of a waiting process
// directly: its process would run at SystemC's clock, in the past of the entry; use wake(). An
// entry that calls a foreign module says so with calls_foreign(); the sockets of sockets.hpp do.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <exception>
#include <type_traits>
#include <vector>

#include "sim/base/callback.hpp"
#include "sim/base/systemc.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::base {

// An sc_time is its value in units of the resolution, which is 1 ps. sc_time::from_value() is a
// call into the library, as long as most of what is done with the result.
inline sc_core::sc_time to_sc_time(Time time) {
  using Value = sc_core::sc_time::value_type;
  static_assert(std::is_standard_layout_v<sc_core::sc_time> &&
                sizeof(sc_core::sc_time) == sizeof(Value));
  sc_core::sc_time result;
  reinterpret_cast<Value&>(result) = static_cast<Value>(time.count());
  return result;
}
inline Time from_sc_time(const sc_core::sc_time& time) {
  return Time{static_cast<std::int64_t>(time.value())};
}

// kLate: after all normal entries of the instant, whoever scheduled them. Arbiters decide there.
enum class Phase : std::uint8_t { kNormal, kLate };

class Scheduler : public sc_core::sc_module {
 public:
  class Entry;

  // Names one scheduled entry; copies name the same one. It never dangles: after the entry has
  // run or was cancelled the handle is simply not pending any more.
  class Handle {
   public:
    Handle() = default;

   private:
    friend class Scheduler;
    Handle(Entry* entry, std::uint64_t sequence) : entry_(entry), sequence_(sequence) {}
    Entry* entry_ = nullptr;
    std::uint64_t sequence_ = 0;
  };

  // quantum: how far entries may run ahead of SystemC's clock; 0 = never.
  explicit Scheduler(sc_core::sc_module_name name, Time quantum = 1s);
  ~Scheduler() override;

  Time now() const {
    if (running_) [[likely]]
      return now_;
    return clock();
  }
  // How far now() is ahead of SystemC's clock: the delay argument of a call into another module.
  sc_core::sc_time ahead() const { return to_sc_time(running_ ? now_ - clock_ : kTimeZero); }
  // True inside an entry: an inbound call from one of our own modules, not from a foreign process.
  bool in_entry() const { return running_; }

  // In place of sc_start(): runs everything before `until` (what is at `until` runs in the next
  // call), to the end if there is none; returns early after stop(). What an entry throws comes out
  // as it was thrown, and the simulation is over. Afterwards now() == until, unless it ended early.
  void simulate(Time until = kTimeMax);

  // Schedules a call-back. `when` earlier than now() is a bug and ends the run.
  Handle at(Time when, const Callback& callback, Phase phase = Phase::kNormal);
  template <auto Method, class Object>
  Handle at(Time when, Object* object, std::uint64_t argument = 0, Phase phase = Phase::kNormal) {
    return at(when, Callback::of<Method>(object, argument), phase);
  }
  template <auto Method, class Object>
  Handle after(Time delay, Object* object, std::uint64_t argument = 0) {
    return at(now() + delay, Callback::of<Method>(object, argument));
  }

  // The same for a call that comes from a foreign process. SystemC does not say which process of
  // one instant runs first, and it depends on the quantum; so entries made by all of them together
  // take their places by rank, then by the order of the calls. Inside an entry it is at().
  void at_ranked(Time when, const Callback& callback, std::uint64_t rank);
  // Ranks ascend in the order of asking.
  std::uint64_t new_rank() { return ++last_rank_; }

  bool pending(const Handle& handle) const;
  // When a pending entry will run; a bug if it is not pending.
  Time when(const Handle& handle) const;
  // Removes a pending entry; false if it was not pending.
  bool cancel(Handle& handle);
  // Gives a pending entry a new time, and a new place behind those already at that time.
  void move(Handle& handle, Time when);

  // When the next entry runs or SystemC has something to do, whichever is earlier; kTimeMax if
  // nothing is pending. Only inside an entry. Who lets another simulator run freely asks for it.
  Time next_pending();

  // For SC_THREADs only: sleep until `when`; the thread goes on with SystemC's clock at `when`,
  // behind the entries of that instant that were scheduled earlier.
  void sleep_until(Time when);
  void sleep(Time delay) { sleep_until(now() + delay); }
  // Notifies `event` at now() (its waiting threads run with SystemC's clock there).
  void wake(sc_core::sc_event& event);

  // The running entry calls a module that may schedule work of its own with SystemC.
  void calls_foreign() { ask_ = true; }

  // Ends the simulation after the running entry or thread slice: no entry runs after it. SystemC's
  // own activity up to and at that instant still does.
  void stop();
  bool stopped() const { return stopped_; }
  // Calls `watch` outside the order of events every `every` entries; it may call stop() only.
  void set_watch(Callback watch, std::uint64_t every);

  std::uint64_t entries_run() const { return entries_run_; }
  std::size_t pending_count() const { return heap_size_ + listed_ + arrivals_.size(); }
  Time quantum() const { return quantum_; }

 private:
  // Where an entry waits, by its distance. Only the entries of the current bucket are sorted, in a
  // heap; the others lie in lists that are looked at when their time has come: one per bucket
  // (2^19 ps, about 0.52 us) of the current slot, one per slot (2^31 ps) of the current lap (2^39
  // ps, 0.55 s), and one for all that is later. So an entry costs the same however many are
  // pending, and a deadline that is cancelled in time costs next to nothing.
  static constexpr int kBucketShift = 19;
  static constexpr int kSlotShift = 31;
  static constexpr int kLapShift = 39;
  static constexpr std::size_t kBuckets = std::size_t{1} << (kSlotShift - kBucketShift);
  static constexpr std::size_t kSlots = std::size_t{1} << (kLapShift - kSlotShift);

  struct Key {
    std::int64_t time;
    std::uint64_t order;  // phase in bit 63, sequence below
    bool before(const Key& other) const {
      return time != other.time ? time < other.time : order < other.order;
    }
  };
  struct Slot {
    Key key;
    Entry* entry;
  };

  [[gnu::cold]] Time clock() const;
  void run();
  void run_entries();
  void place_arrivals();
  bool may_run(std::int64_t when, bool needs_clock) const;
  [[gnu::noinline]] bool ask_systemc();
  void finish();
  [[gnu::cold]] void rearm(Time when);
  [[gnu::cold]] void prepare_outside(Time when);
  [[gnu::cold]] void grow();
  [[gnu::cold]] void grow_heap();
  Entry* take(Time when, const Callback& callback, Phase phase);
  void release(Entry* entry);
  void place(Entry* entry);
  [[gnu::noinline]] void place_in_heap(Entry* entry);
  [[gnu::noinline]] void place_far(Entry* entry);
  void heap_push(Entry* entry);
  void heap_pop();
  void heap_remove(Entry* entry);
  void sift_up(std::size_t hole, Entry* moving);
  void sift_down(std::size_t hole, Entry* moving);
  void list_link(Entry*& head, Entry* entry);
  void list_unlink(Entry* entry);
  void unplace(Entry* entry);
  void place_list(Entry*& head);
  bool refill();
  [[gnu::noinline]] void refill_from_slots();
  [[gnu::cold]] Handle schedule(Time when, const Callback& callback, Phase phase,
                                bool needs_clock = false);

  // What at_ranked() has not placed yet.
  struct Arrival {
    Time clock;  // when the call came
    std::uint64_t rank;
    std::uint64_t call;  // the how manieth it was
    Time when;
    Callback callback;
  };

  const Time quantum_;
  sc_core::sc_event wake_event_;
  std::vector<Slot> heap_;  // the first heap_size_ of them
  std::size_t heap_size_ = 0;
  std::size_t heap_capacity_ = 0;
  std::int64_t current_ = 0;  // bucket number (time >> kBucketShift); up to it all is in the heap
  std::array<Entry*, kBuckets> buckets_{};
  // One bit for each bucket; a set bit may mean an empty list. The last word stays 0.
  std::array<std::uint64_t, kBuckets / 64 + 1> bucket_used_{};
  std::array<Entry*, kSlots> slots_{};
  Entry* later_ = nullptr;
  std::size_t listed_ = 0;  // entries in all the lists
  std::deque<Entry> storage_;
  Entry* free_ = nullptr;
  std::uint64_t next_sequence_ = 0;
  std::vector<Arrival> arrivals_;
  std::uint64_t last_rank_ = 0;
  Time now_{0};                   // of the running entry, or the last one
  Time horizon_ = kTimeMax;       // entries at or after it wait for SystemC's clock
  Time clock_{0};                 // SystemC's clock, while an activation runs
  std::int64_t limit_ = 0;        // entries may run ahead up to it in this activation,
  std::int64_t quiet_until_ = 0;  // and up to here as far as SystemC's own activity is known
  bool ask_ = false;              // there may be more of that
  const sc_core::sc_simcontext* context_ = nullptr;
  bool running_ = false;
  bool stopped_ = false;
  bool simulating_ = false;  // inside simulate()
  std::exception_ptr error_;
  std::int64_t armed_for_ = -1;
  std::uint64_t entries_run_ = 0;
  std::uint64_t next_watch_ = ~std::uint64_t{0};
  std::uint64_t watch_every_ = 0;
  Callback watch_;
};

class Scheduler::Entry {
 private:
  friend class Scheduler;
  Key key{};
  Callback callback;
  std::uint64_t sequence = 0;  // of the handle; 0 while free
  Entry* next = nullptr;       // in a list, or among the free
  Entry** link = nullptr;      // what points to this one in a list
  std::size_t position = 0;    // in the heap; kListed while in a list
  bool needs_clock = false;
};

inline bool Scheduler::pending(const Handle& handle) const {
  return handle.entry_ != nullptr && handle.entry_->sequence == handle.sequence_;
}

}  // namespace nvmesim::base
