// sc_spawn is declared only where this is defined before the first SystemC header.
#ifndef SC_INCLUDE_DYNAMIC_PROCESSES
#define SC_INCLUDE_DYNAMIC_PROCESSES
#endif

#include "host/kernel/threads.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/base/sanitizer.hpp"

#ifdef NVMESIM_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif

namespace nvmesim::host {
namespace {

constexpr int kStackBytes = 256 * 1024;

// A thread that still waits when the simulation ends is not unwound: its frames stay, with what
// they own. Who looks for leaks has to know of them, for SystemC keeps stacks outside of the heap.
// Made in the first frame of a thread.
class KnownStack {
#ifdef NVMESIM_ADDRESS_SANITIZER
 public:
  KnownStack() {
    __lsan_register_root_region(begin_, kBytes);
  }
  ~KnownStack() {
    __lsan_unregister_root_region(begin_, kBytes);
  }
  KnownStack(const KnownStack&) = delete;
  KnownStack& operator=(const KnownStack&) = delete;

 private:
  static constexpr int kBytes = kStackBytes - 16 * 1024;  // some are in use already
  const char* const begin_ = static_cast<const char*>(__builtin_frame_address(0)) - kBytes;
#endif
};

const void* current_process() {
  return sc_core::sc_get_current_process_handle().get_process_object();
}

}  // namespace

void Threads::spawn(const std::string& name, std::function<void()> body) {
  Sleeper* sleeper = nullptr;
  if (free_.empty()) {
    sleeper = &sleepers_.emplace_back();
  } else {
    sleeper = free_.back();
    free_.pop_back();
  }
  sc_core::sc_spawn_options options;
  options.dont_initialize();
  options.set_sensitivity(&sleeper->event_);
  options.set_stack_size(kStackBytes);
  ++running_;
  sc_core::sc_spawn(
      [this, sleeper, work = std::move(body)] {
        [[maybe_unused]] const KnownStack known;
        const void* process = current_process();
        by_process_[process] = sleeper;
        work();
        by_process_.erase(process);
        free_.push_back(sleeper);
        --running_;
      },
      sc_core::sc_gen_unique_name(name.c_str()), &options);
  // The first wake-up is an entry as all later ones are: the start has its place in the order.
  scheduler_.wake(sleeper->event_);
}

bool Threads::in_thread() {
  return sc_core::sc_get_current_process_handle().proc_kind() == sc_core::SC_THREAD_PROC_;
}

void Threads::assert_may_sleep() const {
  NVMESIM_ASSERT(!scheduler_.in_entry() && in_thread(), "waiting outside of a thread");
}

Threads::Sleeper& Threads::self() {
  assert_may_sleep();
  Sleeper*& sleeper = by_process_[current_process()];
  if (sleeper == nullptr) sleeper = &sleepers_.emplace_back();
  return *sleeper;
}

bool Threads::sleep(base::Time deadline) {
  Sleeper& sleeper = self();
  sleeper.waiting_ = true;
  sleeper.timed_out_ = false;
  if (deadline != base::kTimeMax) {
    sleeper.timer_ = scheduler_.at<&Threads::timed_out>(std::max(deadline, scheduler_.now()), this,
                                                        reinterpret_cast<std::uint64_t>(&sleeper));
  }
  while (sleeper.waiting_) sc_core::wait(sleeper.event_);
  return !sleeper.timed_out_;
}

void Threads::wake(Sleeper& sleeper) {
  if (!sleeper.waiting_) return;
  sleeper.waiting_ = false;
  scheduler_.cancel(sleeper.timer_);
  scheduler_.wake(sleeper.event_);
}

void Threads::timed_out(std::uint64_t argument) {
  auto& sleeper = *reinterpret_cast<Sleeper*>(argument);
  sleeper.timed_out_ = true;
  sleeper.waiting_ = false;
  scheduler_.wake(sleeper.event_);
}

void Threads::sleep_for(base::Time duration) {
  assert_may_sleep();
  scheduler_.sleep(duration);
}

bool WaitQueue::sleep(base::Time deadline) {
  Threads::Sleeper& self = threads_.self();
  waiting_.push_back(&self);
  const bool woken = threads_.sleep(deadline);
  if (!woken) std::erase(waiting_, &self);
  return woken;
}

void WaitQueue::wake_all() {
  const std::deque<Threads::Sleeper*> woken = std::exchange(waiting_, {});
  for (Threads::Sleeper* sleeper : woken) threads_.wake(*sleeper);
}

void WaitQueue::wake_one() {
  if (waiting_.empty()) return;
  Threads::Sleeper* sleeper = waiting_.front();
  waiting_.pop_front();
  threads_.wake(*sleeper);
}

void Completion::complete() {
  if (count_ != kAll) ++count_;
  queue_.wake_one();
}

void Completion::complete_all() {
  count_ = kAll;
  queue_.wake_all();
}

void Completion::wait() {
  queue_.wait([this] { return count_ != 0; });
  take();
}

bool Completion::wait_for(base::Time timeout) {
  if (!queue_.wait_for(timeout, [this] { return count_ != 0; })) return false;
  take();
  return true;
}

void Mutex::lock() {
  threads_.assert_may_sleep();
  const std::uint64_t ticket = next_ticket_++;
  queue_.wait([this, ticket] { return !locked_ && serving_ == ticket; });
  ++serving_;
  locked_ = true;
}

bool Mutex::try_lock() {
  if (locked_ || serving_ != next_ticket_) return false;
  ++next_ticket_;
  ++serving_;
  locked_ = true;
  return true;
}

void Mutex::unlock() {
  NVMESIM_ASSERT(locked_, "unlocking a mutex that nobody holds");
  locked_ = false;
  queue_.wake_all();
}

}  // namespace nvmesim::host
