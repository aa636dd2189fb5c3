#include "sim/base/scheduler.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/base/sanitizer.hpp"

namespace nvmesim::base {
namespace {

constexpr std::size_t kListed = ~std::size_t{0};
constexpr std::size_t kArity = 4;
constexpr std::uint64_t kLateBit = std::uint64_t{1} << 63;

void notify(void* event, std::uint64_t) {
  static_cast<sc_core::sc_event*>(event)->notify(sc_core::SC_ZERO_TIME);
}

}  // namespace

// Both sifts move a hole until `moving` fits into it.
inline void Scheduler::sift_up(std::size_t hole, Entry* moving) {
  Slot* heap = heap_.data();
  const Key key = moving->key;
  while (hole > 0) {
    const std::size_t parent = (hole - 1) / kArity;
    if (!key.before(heap[parent].key)) break;
    heap[hole] = heap[parent];
    heap[hole].entry->position = hole;
    hole = parent;
  }
  heap[hole] = {key, moving};
  moving->position = hole;
}

inline void Scheduler::sift_down(std::size_t hole, Entry* moving) {
  Slot* heap = heap_.data();
  const std::size_t size = heap_size_;
  const Key key = moving->key;
  for (std::size_t first; (first = hole * kArity + 1) < size;) {
    std::size_t least = first;
    const std::size_t end = std::min(first + kArity, size);
    for (std::size_t child = first + 1; child < end; ++child) {
      if (heap[child].key.before(heap[least].key)) least = child;
    }
    if (!heap[least].key.before(key)) break;
    heap[hole] = heap[least];
    heap[hole].entry->position = hole;
    hole = least;
  }
  heap[hole] = {key, moving};
  moving->position = hole;
}

inline void Scheduler::heap_push(Entry* entry) {
  if (heap_size_ == heap_capacity_) [[unlikely]]
    grow_heap();
  sift_up(heap_size_++, entry);
}

inline void Scheduler::heap_pop() {
  if (--heap_size_ != 0) sift_down(0, heap_[heap_size_].entry);
}

inline void Scheduler::list_link(Entry*& head, Entry* entry) {
  entry->position = kListed;
  entry->link = &head;
  entry->next = head;
  if (head != nullptr) head->link = &entry->next;
  head = entry;
  ++listed_;
}

inline void Scheduler::place(Entry* entry) {
  const std::int64_t bucket = entry->key.time >> kBucketShift;
  if (bucket <= current_) return place_in_heap(entry);
  if (static_cast<std::uint64_t>(bucket ^ current_) >= kBuckets) [[unlikely]]
    return place_far(entry);
  const auto index = static_cast<std::size_t>(bucket) % kBuckets;
  bucket_used_[index / 64] |= std::uint64_t{1} << (index % 64);
  list_link(buckets_[index], entry);
}

void Scheduler::place_in_heap(Entry* entry) {
  heap_push(entry);
}

// Beyond the current slot.
void Scheduler::place_far(Entry* entry) {
  const std::int64_t bucket = entry->key.time >> kBucketShift;
  if (static_cast<std::uint64_t>(bucket ^ current_) < kBuckets * kSlots) {
    list_link(slots_[static_cast<std::size_t>(bucket) / kBuckets % kSlots], entry);
  } else {
    list_link(later_, entry);
  }
}

inline void Scheduler::release(Entry* entry) {
  entry->sequence = 0;
  entry->next = free_;
  free_ = entry;
}

void Scheduler::heap_remove(Entry* entry) {
  const std::size_t hole = entry->position;
  if (hole == --heap_size_) return;
  Entry* last = heap_[heap_size_].entry;
  if (hole > 0 && last->key.before(heap_[(hole - 1) / kArity].key)) {
    sift_up(hole, last);
  } else {
    sift_down(hole, last);
  }
}

Scheduler::Scheduler(sc_core::sc_module_name name, Time quantum)
    : sc_core::sc_module(name), quantum_(quantum) {
  NVMESIM_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS),
                 "the time resolution must be 1 ps");
  NVMESIM_ASSERT(to_sc_time(Time{12'345}) == sc_core::sc_time(12'345, sc_core::SC_PS),
                 "an sc_time holds something else than its value");
  NVMESIM_HAS_PROCESS(Scheduler);
  SC_METHOD(run);
  sensitive << wake_event_;
  dont_initialize();
  grow_heap();
}

Scheduler::~Scheduler() = default;

Time Scheduler::clock() const {
  return from_sc_time(sc_core::sc_time_stamp());
}

Scheduler::Handle Scheduler::at(Time when, const Callback& callback, Phase phase) {
  if (!running_ || free_ == nullptr) [[unlikely]]
    return schedule(when, callback, phase);
  Entry* entry = take(when, callback, phase);
  const Handle handle{entry, entry->sequence};
  place(entry);
  return handle;
}

// The first free entry, filled.
inline Scheduler::Entry* Scheduler::take(Time when, const Callback& callback, Phase phase) {
  NVMESIM_ASSERT(when >= now_, "an entry was scheduled in the past");
  Entry* entry = free_;
  free_ = entry->next;
  const std::uint64_t sequence = ++next_sequence_;
  entry->key = {when.count(), sequence | (phase == Phase::kLate ? kLateBit : 0)};
  entry->callback = callback;
  entry->sequence = sequence;
  entry->needs_clock = false;
  return entry;
}

// As at(), in whatever situation.
Scheduler::Handle Scheduler::schedule(Time when, const Callback& callback, Phase phase,
                                      bool needs_clock) {
  if (!running_) prepare_outside(when);
  if (free_ == nullptr) grow();
  Entry* entry = take(when, callback, phase);
  entry->needs_clock = needs_clock;
  place(entry);
  return {entry, entry->sequence};
}

// Outside of an entry now_ may be later than the clock only if a process runs that no pending
// activity announced: the duration of an sc_start() ended, or an entry notified it directly.
void Scheduler::prepare_outside(Time when) {
  NVMESIM_ASSERT(when >= clock(), "an entry was scheduled in the past");
  if (when >= now_) rearm(when);
}

void Scheduler::at_ranked(Time when, const Callback& callback, std::uint64_t rank) {
  if (running_) {
    at(when, callback);
    return;
  }
  NVMESIM_ASSERT(when >= now_, "an entry was scheduled in the past");
  prepare_outside(when);
  arrivals_.push_back({clock(), rank, arrivals_.size(), when, callback});
}

// All foreign processes of the instant have run, and no entry has run since the first of them.
void Scheduler::place_arrivals() {
  std::sort(arrivals_.begin(), arrivals_.end(), [](const Arrival& a, const Arrival& b) {
    return std::tie(a.clock, a.rank, a.call) < std::tie(b.clock, b.rank, b.call);
  });
  running_ = true;  // now_ may be behind the clock, but these are in its future
  for (const Arrival& arrival : arrivals_) {
    at(arrival.when, arrival.callback);
  }
  running_ = false;
  arrivals_.clear();
}

Time Scheduler::when(const Handle& handle) const {
  NVMESIM_ASSERT(pending(handle), "asked for the time of an entry that is not pending");
  return Time{handle.entry_->key.time};
}

bool Scheduler::cancel(Handle& handle) {
  if (!pending(handle)) return false;
  Entry* entry = handle.entry_;
  unplace(entry);
  release(entry);
  handle = {};
  return true;
}

void Scheduler::move(Handle& handle, Time when) {
  NVMESIM_ASSERT(pending(handle), "moved an entry that is not pending");
  if (!running_) prepare_outside(when);
  NVMESIM_ASSERT(when >= now_, "an entry was moved into the past");
  Entry* entry = handle.entry_;
  unplace(entry);
  entry->key = {when.count(), ++next_sequence_ | (entry->key.order & kLateBit)};
  place(entry);
}

void Scheduler::sleep_until(Time when) {
  NVMESIM_ASSERT(!running_, "an entry tried to sleep; only threads may");
  sc_core::sc_event woken;
  const Handle entry = schedule(std::max(when, now()), {notify, &woken, 0}, Phase::kNormal, true);
  // A thread that is killed in its sleep takes its event with it.
  struct Guard {
    ~Guard() { scheduler->cancel(handle); }
    Scheduler* scheduler;
    Handle handle;
  } guard{this, entry};
  sc_core::wait(woken);
}

void Scheduler::wake(sc_core::sc_event& event) {
  schedule(now(), {notify, &event, 0}, Phase::kNormal, true);
}

void Scheduler::stop() {
  if (stopped_) return;
  stopped_ = true;
  if (!running_) rearm(clock());
}

void Scheduler::set_watch(Callback watch, std::uint64_t every) {
  NVMESIM_ASSERT(every > 0, "a watch needs a number of entries");
  watch_ = watch;
  watch_every_ = every;
  next_watch_ = entries_run_ + every;
}

// Whether an entry at `when` may run now, if SystemC has nothing to do at this instant.
inline bool Scheduler::may_run(std::int64_t when, bool needs_clock) const {
  return when == clock_.count() || (!needs_clock && when <= quiet_until_);
}

// Looks how far entries may run before SystemC's own activity; true if there is some right now.
bool Scheduler::ask_systemc() {
  ask_ = false;
  quiet_until_ = limit_;
  if (sc_core::sc_pending_activity_at_future_time(context_)) {
    const Time next = clock_ + from_sc_time(sc_core::sc_time_to_pending_activity(context_));
    quiet_until_ = std::min(limit_, next.count() - 1);
  }
  return sc_core::sc_pending_activity_at_current_time(context_);
}

Time Scheduler::next_pending() {
  NVMESIM_ASSERT(running_, "asked for the next event outside of an entry");
  if (sc_core::sc_pending_activity_at_current_time(context_)) return now_;
  Time next = kTimeMax;
  if (heap_size_ != 0 || refill()) next = Time{heap_[0].key.time};
  if (sc_core::sc_pending_activity_at_future_time(context_)) {
    next = std::min(next, clock_ + from_sc_time(sc_core::sc_time_to_pending_activity(context_)));
  }
  return next;
}

void Scheduler::rearm(Time when) {
  if (armed_for_ >= 0 && armed_for_ <= when.count()) return;
  armed_for_ = when.count();
  wake_event_.notify(to_sc_time(when - clock()));
}

void Scheduler::simulate(Time until) {
  NVMESIM_ASSERT(!simulating_ && until >= now(), "simulate() was called out of place");
  struct Guard {
    ~Guard() {
      scheduler->simulating_ = false;
      scheduler->horizon_ = kTimeMax;
    }
    Scheduler* scheduler;
  } guard{this};
  simulating_ = true;
  horizon_ = until;
  if (until != kTimeMax) {
    if (until > now()) sc_core::sc_start(to_sc_time(until - now()));
  } else if (!sc_core::sc_is_running() || sc_core::sc_pending_activity()) {
    sc_core::sc_start();
  }
  on_own_stack();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Scheduler::run() {
  on_own_stack();
  armed_for_ = -1;
  clock_ = clock();
  limit_ = std::min(kTimeMax - clock_ > quantum_ ? clock_ + quantum_ : kTimeMax,
                    horizon_ == kTimeMax ? horizon_ : horizon_ - Time{1})
               .count();
  context_ = sc_core::sc_get_curr_simcontext();
  if (context_->sim_status() != sc_core::SC_SIM_OK) return;
  try {
    run_entries();
  } catch (...) {
    running_ = false;
    if (!simulating_) throw;  // SystemC makes its own report of it
    stopped_ = true;
    error_ = std::current_exception();
    sc_core::sc_stop();
  }
}

void Scheduler::run_entries() {
  if (!arrivals_.empty() && !stopped_) {
    if (sc_core::sc_pending_activity_at_current_time(context_)) return rearm(clock_);
    place_arrivals();
  }
  ask_ = true;
  while (!stopped_) {
    const bool active = ask_ && ask_systemc();
    if (heap_size_ == 0) {
      // What is active may schedule nearer entries than are known now; refill() would go past
      // their lists.
      if (active && listed_ != 0) [[unlikely]]
        return rearm(clock_);
      if (!refill()) break;
    }
    Entry* entry = heap_[0].entry;
    const std::int64_t when = heap_[0].key.time;
    if (active || !may_run(when, entry->needs_clock)) return rearm(Time{when});
    heap_pop();
    ask_ = entry->needs_clock;  // such a one notifies an event
    const Callback callback = entry->callback;
    release(entry);
    now_ = Time{when};
    running_ = true;
    callback();
    running_ = false;
    if (++entries_run_ == next_watch_) {
      next_watch_ += watch_every_;
      watch_();
    }
  }
  finish();
}

// Nothing is left, or stop() was called: SystemC's clock catches up, so that the end has the same
// time whatever the quantum.
void Scheduler::finish() {
  const Time end = std::max(now_, clock());
  if (stopped_) {
    const bool active = sc_core::sc_pending_activity_at_current_time(context_);
    if (!active && end == clock_) return sc_core::sc_stop();
    rearm(end);
  } else if (end != clock()) {
    rearm(end);
  }
}

void Scheduler::grow() {
  free_ = &storage_.emplace_back();
}

void Scheduler::grow_heap() {
  heap_capacity_ = std::max<std::size_t>(1024, 2 * heap_capacity_);
  heap_.resize(heap_capacity_);
}

void Scheduler::unplace(Entry* entry) {
  if (entry->position == kListed) {
    list_unlink(entry);
  } else {
    heap_remove(entry);
  }
}

void Scheduler::list_unlink(Entry* entry) {
  *entry->link = entry->next;
  if (entry->next != nullptr) entry->next->link = entry->link;
  --listed_;
}

// Places every entry of a list anew, nearer.
void Scheduler::place_list(Entry*& head) {
  Entry* entry = std::exchange(head, nullptr);
  while (entry != nullptr) {
    Entry* next = entry->next;
    --listed_;
    place(entry);
    entry = next;
  }
}

// Brings the earliest entries that are pending into the empty heap; false if there are none.
bool Scheduler::refill() {
  while (listed_ != 0) {
    // The next used bucket behind the current one. The bits up to that one are 0.
    auto word = (static_cast<std::size_t>(current_) % kBuckets + 1) / 64;
    while (bucket_used_[word] == 0 && word < kBuckets / 64) ++word;
    const std::uint64_t bits = bucket_used_[word];
    if (bits == 0) {
      refill_from_slots();
      if (heap_size_ != 0) return true;
      continue;
    }
    bucket_used_[word] = bits & (bits - 1);
    const auto index = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    current_ =
        (current_ & ~static_cast<std::int64_t>(kBuckets - 1)) | static_cast<std::int64_t>(index);
    Entry* entry = std::exchange(buckets_[index], nullptr);
    if (entry == nullptr) continue;  // all of them were cancelled
    for (; entry != nullptr; entry = entry->next) {
      --listed_;
      heap_push(entry);
    }
    return true;
  }
  return false;
}

// Goes on to the next used slot, or at the end of a lap to the first slot of what is later, and
// distributes its entries to the buckets; those of its first bucket come into the heap.
void Scheduler::refill_from_slots() {
  std::size_t slot = static_cast<std::size_t>(current_) / kBuckets + 1;
  while (slot % kSlots != 0 && slots_[slot % kSlots] == nullptr) ++slot;
  Entry** list = &slots_[slot % kSlots];
  if (slot % kSlots == 0) {
    list = &later_;
    NVMESIM_ASSERT(later_ != nullptr, "the Scheduler lost count of its entries");
    std::int64_t first = later_->key.time;
    for (Entry* entry = later_; entry != nullptr; entry = entry->next) {
      first = std::min(first, entry->key.time);
    }
    slot = static_cast<std::size_t>(first >> kSlotShift);
  }
  current_ = static_cast<std::int64_t>(slot * kBuckets);
  place_list(*list);
}

}  // namespace nvmesim::base
