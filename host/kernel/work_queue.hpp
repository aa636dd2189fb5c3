// Work queues, timers and delayed work. A work item's function runs in a worker thread and may
// wait; a timer's function runs from an entry and may not.
//
// Queueing an item that is pending already does nothing; one that is running may be queued again
// and runs once more after it has ended: an item never runs twice at once. Items start in the
// order of queueing; up to `max_active` different ones run at the same time.
#pragma once

#include <deque>
#include <string>

#include "host/kernel/threads.hpp"

namespace nvmesim::host {

class WorkQueue;

// Owned by whoever queues it; must be idle when it is destroyed.
class Work {
 public:
  explicit Work(base::Callback function) : function_(function) {}
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  bool pending() const { return pending_; }
  bool running() const { return running_; }

 private:
  friend class WorkQueue;
  base::Callback function_;
  WorkQueue* queue_ = nullptr;  // the one it was queued on last
  bool pending_ = false;
  bool running_ = false;
};

class WorkQueue {
 public:
  WorkQueue(std::string name, Threads& threads, unsigned max_active = 256);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // From anywhere. False if it was pending already.
  bool queue_work(Work& work);
  // In a thread: waits until the item is neither pending nor running. True if it had to wait.
  bool flush_work(Work& work);
  // Takes it out if it has not begun. True if it was pending.
  bool cancel_work(Work& work);
  // In a thread: cancels, and waits if it is running. True if it was pending.
  bool cancel_work_sync(Work& work);

  const std::string& name() const { return name_; }
  std::uint64_t executed() const { return executed_; }
  bool idle() const { return items_.empty() && active_ == 0; }

 private:
  void serve();  // a worker's life
  Work* next();

  const std::string name_;
  Threads& threads_;
  const unsigned max_active_;
  std::deque<Work*> items_;
  WaitQueue workers_;
  WaitQueue flushers_;
  unsigned worker_count_ = 0;
  unsigned active_ = 0;
  std::uint64_t executed_ = 0;
};

class Timer {
 public:
  Timer(base::Scheduler& scheduler, base::Callback function)
      : scheduler_(scheduler), function_(function) {}
  ~Timer() { stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Sets or moves the expiry.
  void modify(base::Time when);
  bool stop() { return scheduler_.cancel(entry_); }
  bool pending() const { return scheduler_.pending(entry_); }
  base::Time expires() const { return scheduler_.when(entry_); }

 private:
  base::Scheduler& scheduler_;
  base::Callback function_;
  base::Scheduler::Handle entry_;
};

class DelayedWork {
 public:
  DelayedWork(WorkQueue& queue, base::Scheduler& scheduler, base::Callback function)
      : queue_(queue),
        work_(function),
        timer_(scheduler, base::Callback::of<&DelayedWork::expired>(this)),
        scheduler_(scheduler) {}

  // False if it was pending already.
  bool queue(base::Time delay);
  // Sets a new delay if it was pending.
  void modify(base::Time delay);
  bool cancel();
  bool cancel_sync();
  // Queues it at once if its timer is running, then waits for it.
  bool flush();
  bool pending() const { return timer_.pending() || work_.pending(); }

 private:
  void expired() { queue_.queue_work(work_); }
  WorkQueue& queue_;
  Work work_;
  Timer timer_;
  base::Scheduler& scheduler_;
};

}  // namespace nvmesim::host
