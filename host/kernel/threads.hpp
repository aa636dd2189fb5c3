// Threads of the simulated kernel and what they wait on. A thread is a SystemC thread that sleeps
// through the Scheduler, so its place in the order of events is fixed. Waiting anywhere else than
// in a thread (in a call-back, an interrupt handler, a timer) is a bug and is asserted.
// Waking never waits and may be done from anywhere.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/scheduler.hpp"

namespace nvmesim::host {

class Threads {
 public:
  // One thread that may wait; it lives as long as Threads, so that a late wake-up finds it.
  class Sleeper {
   private:
    friend class Threads;
    sc_core::sc_event event_;
    base::Scheduler::Handle timer_;
    bool waiting_ = false;
    bool timed_out_ = false;
  };

  explicit Threads(base::Scheduler& scheduler) : scheduler_(scheduler) {}
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  base::Scheduler& scheduler() { return scheduler_; }

  // Starts a thread at now(). Names must be legal for SystemC and get a number if taken.
  void spawn(const std::string& name, std::function<void()> body);
  std::uint64_t running() const { return running_; }

  static bool in_thread();
  // Ends the run if the caller is not a thread.
  void assert_may_sleep() const;

  // Of the running thread.
  Sleeper& self();
  // Sleeps until wake(self()) or the deadline; false at the deadline.
  bool sleep(base::Time deadline = base::kTimeMax);
  void wake(Sleeper& sleeper);

  void msleep(std::uint64_t milliseconds) { sleep_for(std::chrono::milliseconds(milliseconds)); }
  void sleep_for(base::Time duration);

 private:
  void timed_out(std::uint64_t sleeper);

  base::Scheduler& scheduler_;
  std::map<const void*, Sleeper*> by_process_;  // looked up, never walked
  std::deque<Sleeper> sleepers_;
  std::vector<Sleeper*> free_;
  std::uint64_t running_ = 0;
};

// Threads that wait for a condition, first come first served.
class WaitQueue {
 public:
  explicit WaitQueue(Threads& threads) : threads_(threads) {}
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  template <class Condition>
  void wait(Condition condition) {
    wait_until(base::kTimeMax, condition);
  }
  // True if the condition came true by the deadline.
  template <class Condition>
  bool wait_until(base::Time deadline, Condition condition) {
    while (!condition()) {
      if (!sleep(deadline)) return condition();
    }
    return true;
  }
  template <class Condition>
  bool wait_for(base::Time timeout, Condition condition) {
    return wait_until(threads_.scheduler().now() + timeout, condition);
  }

  void wake_all();
  void wake_one();
  bool empty() const { return waiting_.empty(); }

 private:
  bool sleep(base::Time deadline);

  Threads& threads_;
  std::deque<Threads::Sleeper*> waiting_;
};

// complete() lets one waiter through, before or after it began to wait.
class Completion {
 public:
  explicit Completion(Threads& threads) : queue_(threads) {}
  void complete();
  void complete_all();
  void reinit() { count_ = 0; }
  bool done() const { return count_ != 0; }
  void wait();
  // False if `timeout` passed first.
  bool wait_for(base::Time timeout);

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  void take() { count_ -= count_ != kAll; }
  WaitQueue queue_;
  std::uint64_t count_ = 0;
};

// Of threads only; handed over in the order of waiting.
class Mutex {
 public:
  explicit Mutex(Threads& threads) : threads_(threads), queue_(threads) {}
  void lock();
  bool try_lock();
  void unlock();
  bool locked() const { return locked_; }

 private:
  Threads& threads_;
  WaitQueue queue_;
  bool locked_ = false;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;
};

}  // namespace nvmesim::host
