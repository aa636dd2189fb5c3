#include "host/kernel/work_queue.hpp"

#include <algorithm>
#include <utility>

namespace nvmesim::host {

Work::~Work() {
  if (pending_) queue_->cancel_work(*this);
}

WorkQueue::WorkQueue(std::string name, Threads& threads, unsigned max_active)
    : name_(std::move(name)),
      threads_(threads),
      max_active_(max_active),
      workers_(threads),
      flushers_(threads) {}

WorkQueue::~WorkQueue() {
  for (Work* work : items_) work->pending_ = false;
}

bool WorkQueue::queue_work(Work& work) {
  if (work.pending_) return false;
  work.pending_ = true;
  work.queue_ = this;
  items_.push_back(&work);
  if (!workers_.empty()) {
    workers_.wake_one();
  } else if (worker_count_ < max_active_) {
    ++worker_count_;
    threads_.spawn(name_, [this] { serve(); });
  }
  return true;
}

// The first item that may run; one that is running waits for its own end.
Work* WorkQueue::next() {
  const auto item =
      std::find_if(items_.begin(), items_.end(), [](const Work* work) { return !work->running_; });
  if (item == items_.end()) return nullptr;
  Work* work = *item;
  items_.erase(item);
  return work;
}

void WorkQueue::serve() {
  for (;;) {
    Work* work = nullptr;
    workers_.wait([&] { return (work = next()) != nullptr; });
    work->pending_ = false;
    work->running_ = true;
    ++active_;
    work->function_();
    --active_;
    ++executed_;
    work->running_ = false;
    flushers_.wake_all();
  }
}

bool WorkQueue::flush_work(Work& work) {
  threads_.assert_may_sleep();
  if (!work.pending_ && !work.running_) return false;
  flushers_.wait([&work] { return !work.pending_ && !work.running_; });
  return true;
}

bool WorkQueue::cancel_work(Work& work) {
  if (!work.pending_) return false;
  std::erase(items_, &work);
  work.pending_ = false;
  flushers_.wake_all();
  return true;
}

bool WorkQueue::cancel_work_sync(Work& work) {
  threads_.assert_may_sleep();
  const bool was_pending = cancel_work(work);
  flushers_.wait([&work] { return !work.running_; });
  cancel_work(work);  // it may have queued itself again
  return was_pending;
}

void Timer::modify(base::Time when) {
  if (scheduler_.pending(entry_)) {
    scheduler_.move(entry_, when);
  } else {
    entry_ = scheduler_.at(when, function_);
  }
}

bool DelayedWork::queue(base::Time delay) {
  if (pending()) return false;
  modify(delay);
  return true;
}

void DelayedWork::modify(base::Time delay) {
  queue_.cancel_work(work_);
  if (delay == base::kTimeZero) {
    timer_.stop();
    queue_.queue_work(work_);
  } else {
    timer_.modify(scheduler_.now() + delay);
  }
}

bool DelayedWork::cancel() {
  const bool timing = timer_.stop();
  return queue_.cancel_work(work_) || timing;
}

bool DelayedWork::cancel_sync() {
  const bool timing = timer_.stop();
  const bool queued = queue_.cancel_work_sync(work_);
  timer_.stop();
  return timing || queued;
}

bool DelayedWork::flush() {
  if (timer_.stop()) queue_.queue_work(work_);
  return queue_.flush_work(work_);
}

}  // namespace nvmesim::host
