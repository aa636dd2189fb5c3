// Freezing, dying, timeouts, the driver's own requests, statistics.
#include <algorithm>
#include <utility>

#include "host/block/request_queue.hpp"

namespace nvmesim::host {
namespace {

constexpr base::Time kTimeoutGrain = 1s;
constexpr base::Time kLongestTimeoutSleep = 5s;

}  // namespace

void RequestQueue::freeze_start() {
  ++freeze_depth_;
}

void RequestQueue::wait_freeze() {
  freeze_wait_.wait([this] { return entered_ == 0; });
}

bool RequestQueue::wait_freeze_timeout(base::Time timeout) {
  return freeze_wait_.wait_for(timeout, [this] { return entered_ == 0; });
}

void RequestQueue::unfreeze() {
  NVMESIM_ASSERT(freeze_depth_ != 0, "a queue was unfrozen more often than frozen");
  if (--freeze_depth_ == 0) admit_frozen();
}

void RequestQueue::mark_dying() {
  dying_ = true;
  admit_frozen();
}

// Bios and threads that waited for the queue to thaw, or to die.
void RequestQueue::admit_frozen() {
  Bio* bio = first_frozen_;
  first_frozen_ = last_frozen_ = nullptr;
  while (bio != nullptr) {
    Bio* next = bio->next;
    bio->stages.stamp(base::Stage::kRequeue, scheduler_.now());
    enter(*bio);
    bio = next;
  }
  freeze_end_.wake_all();
}

void RequestQueue::sync() {
  timeout_timer_.stop();
  machine_.system_wq.cancel_work_sync(timeout_work_);
  timeout_timer_.stop();  // the handler has set it again
  timeout_expires_ = base::kTimeMax;
}

// One timer per queue, which fires at whole seconds and at most 5 s from now; it looks at every
// request when it does. `latest`: the earliest deadline known.
void RequestQueue::arm_timeout(base::Time latest) {
  const base::Time now = scheduler_.now();
  const base::Time wanted = std::min(latest, now + kLongestTimeoutSleep);
  const base::Time expires =
      kTimeoutGrain * static_cast<std::int64_t>(base::ceil_div(
                          static_cast<std::uint64_t>(wanted.count()),
                          static_cast<std::uint64_t>(base::Time(kTimeoutGrain).count())));
  if (expires >= timeout_expires_) return;
  timeout_expires_ = expires;
  timeout_timer_.modify(expires);
}

void RequestQueue::timeout_expired() {
  timeout_expires_ = base::kTimeMax;
  machine_.system_wq.queue_work(timeout_work_);
}

// In a worker thread. Requests come and go while a handler waits.
void RequestQueue::timeout_work() {
  base::Time next = base::kTimeMax;
  for (std::size_t hw = 0; hw < set_.hw_.size(); ++hw) {
    for (std::size_t tag = 0; hw < set_.hw_.size() && tag < set_.depth(); ++tag) {
      Request& request = set_.hw_[hw]->requests[tag];
      if (!request.allocated || request.queue != this) continue;
      if (request.state != RequestState::kInFlight) continue;
      if (request.deadline <= scheduler_.now()) handle_timeout(request);
      if (request.state == RequestState::kInFlight) next = std::min(next, request.deadline);
    }
  }
  if (next != base::kTimeMax) arm_timeout(std::max(next, scheduler_.now()));
}

void RequestQueue::handle_timeout(Request& request) {
  ++timeouts_;
  request.held = true;
  const TimeoutResult result = set_.ops().timeout(request);
  request.held = false;
  if (request.free_when_let_go) {
    request.free_when_let_go = false;
    release(request);
  } else if (result == TimeoutResult::kResetTimer) {
    request.deadline = scheduler_.now() + request.timeout;
  } else {
    request.deadline = base::kTimeMax;  // the driver has seen to it
  }
}

Request* RequestQueue::alloc_request(RequestOp op, AllocFlags flags, std::uint16_t hw_queue) {
  const Cpu* cpu = machine_.current_cpu();
  Request* request = nullptr;
  for (;;) {
    if (dying_) return nullptr;
    if (freeze_depth_ == 0) {
      const std::uint16_t chosen =
          hw_queue != kAnyQueue
              ? hw_queue
              : set_.hw_queue(QueueType::kDefault, cpu != nullptr ? cpu->id() : CpuId(0));
      request = set_.take(chosen, flags.reserved);
      if (request != nullptr) break;
    }
    if (flags.nowait) return nullptr;
    // One look at the condition for each waking: the loop looks at all of them.
    bool woken = false;
    (freeze_depth_ != 0 ? freeze_end_ : set_.tag_freed_).wait([&] {
      return std::exchange(woken, true);
    });
  }
  ++entered_;
  request->queue = this;
  request->op = op;
  request->bio = nullptr;
  request->sector = request->sectors = 0;
  request->data_address = 0;
  request->data_bytes = 0;
  request->fua = request->preflush = false;
  request->failfast_driver = true;
  request->user_command = request->polled = false;
  request->data_offset = 0;
  request->dont_prep = false;
  request->retries = 0;
  request->status = 0;
  request->result = 0;
  request->command = {};
  request->end_io = {};
  request->timeout = set_.timeout();
  request->block_status = BlockStatus::kOk;
  request->own_record = true;
  request->record.open(scheduler_.now());
  return request;
}

void RequestQueue::free_request(Request& request) {
  leave();
  release(request);
}

void RequestQueue::execute_rq_nowait(Request& request, bool at_head) {
  NVMESIM_ASSERT(static_cast<bool>(request.end_io), "nobody waits for the end of a request");
  request.record.open(scheduler_.now());
  Hardware& hw = *hw_[request.hw_queue];
  if (dying_) {
    end_request(request, BlockStatus::kIoError);
  } else if (at_head && !hw.dispatch.empty()) {
    hw.dispatch.push_front(request);
    run_hw_queue(request.hw_queue);
  } else {
    issue(request, true);
  }
}

BlockStatus RequestQueue::execute_rq(Request& request, bool at_head) {
  machine_.threads.assert_may_sleep();
  Completion ended(machine_.threads);
  request.end_io = base::Callback::of<&Completion::complete>(&ended);
  execute_rq_nowait(request, at_head);
  ended.wait();
  return request.block_status;
}

std::uint64_t RequestQueue::flush_commands() const {
  std::uint64_t commands = flush_commands_before_;
  for (const auto& hw : hw_) commands += hw->flush.commands();
  return commands;
}

}  // namespace nvmesim::host
