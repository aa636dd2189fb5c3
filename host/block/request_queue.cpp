// Life of a request from the driver's side: issue, start, completion, end, and issue again.
#include "host/block/request_queue.hpp"

namespace nvmesim::host {
namespace {

constexpr base::Time kResourceDelay = 3ms;

}  // namespace

void RequestQueue::List::push_back(Request& request) {
  request.next = nullptr;
  (first == nullptr ? first : last->next) = &request;
  last = &request;
}

void RequestQueue::List::push_front(Request& request) {
  request.next = first;
  if (first == nullptr) last = &request;
  first = &request;
}

Request& RequestQueue::List::pop() {
  Request& request = *first;
  first = request.next;
  return request;
}

void RequestQueue::List::prepend(List& other) {
  if (other.empty()) return;
  other.last->next = first;
  if (first == nullptr) last = other.last;
  first = other.first;
  other = {};
}

RequestQueue::Hardware::Hardware(RequestQueue& owner, std::uint16_t number)
    : queue(owner),
      index(number),
      flush(owner, owner.scheduler_),
      rerun_timer(owner.scheduler_, base::Callback::of<&Hardware::rerun>(this)) {}

RequestQueue::RequestQueue(TagSet& set)
    : set_(set),
      machine_(set.machine()),
      scheduler_(machine_.scheduler()),
      block_cost_(std::chrono::nanoseconds(machine_.config().block_layer_ns)),
      driver_cost_(std::chrono::nanoseconds(machine_.config().driver_ns)),
      wake_cost_(std::chrono::nanoseconds(machine_.config().context_switch_ns)),
      poll_cost_(std::chrono::nanoseconds(machine_.config().poll_ns)),
      requeue_timer_(scheduler_, base::Callback::of<&RequestQueue::requeue_work>(this)),
      timeout_timer_(scheduler_, base::Callback::of<&RequestQueue::timeout_expired>(this)),
      timeout_work_(base::Callback::of<&RequestQueue::timeout_work>(this)),
      freeze_wait_(machine_.threads),
      freeze_end_(machine_.threads),
      plugs_(machine_.config().cpus) {
  set_hw_queues(set.hw_queues());
  set_.queues_.push_back(this);
}

RequestQueue::~RequestQueue() {
  std::erase(set_.queues_, this);
}

void RequestQueue::set_hw_queues(std::uint16_t hw_queues) {
  while (hw_.size() > hw_queues) {
    NVMESIM_ASSERT(hw_.back()->dispatch.empty(), "a hardware queue went away with requests in it");
    flush_commands_before_ += hw_.back()->flush.commands();
    if (hw_.back()->looking) retired_.push_back(std::move(hw_.back()));
    hw_.pop_back();
  }
  while (hw_.size() < hw_queues) {
    hw_.push_back(std::make_unique<Hardware>(*this, static_cast<std::uint16_t>(hw_.size())));
  }
  limits_.hardware_queues = hw_queues;
  limits_.queue_depth = set_.depth();
}

// A new request: through the flush machinery if a flush comes before it.
void RequestQueue::route(Request& request, bool last) {
  if (limits_.write_cache && (request.op == RequestOp::kFlush || request.preflush)) {
    hw_[request.hw_queue]->flush.insert(request);
  } else {
    issue(request, last);
  }
}

void RequestQueue::issue(Request& request, bool last) {
  Hardware& hw = *hw_[request.hw_queue];
  if (quiesced_ || !hw.dispatch.empty()) {
    hw.dispatch.push_back(request);
  } else if (!send(request, last)) {
    hw.dispatch.push_back(request);
  }
}

// Hands it to the driver; false if there were no resources. It may be over when this returns.
bool RequestQueue::send(Request& request, bool last) {
  const std::uint16_t hw_queue = request.hw_queue;
  const QueueResult result = set_.ops().queue_rq(request, last);
  if (result == QueueResult::kOk) [[likely]] {
    ++requests_issued_;
    return true;
  }
  // Those sent before with last = false must not wait for this one.
  set_.ops().commit_rqs(*this, hw_queue);
  if (result == QueueResult::kResource) {
    hw_[hw_queue]->rerun_timer.modify(scheduler_.now() + kResourceDelay);
    return false;
  }
  end_request(request, BlockStatus::kIoError);
  return true;
}

void RequestQueue::run_hw_queue(std::uint16_t hw_queue) {
  Hardware& hw = *hw_[hw_queue];
  if (quiesced_ || hw.dispatch.empty()) return;
  List list;
  std::swap(list, hw.dispatch);
  while (!list.empty()) {
    Request& request = list.pop();
    request.stages().stamp(base::Stage::kRequeue, scheduler_.now());
    if (!send(request, list.empty())) {
      list.push_front(request);
      hw.dispatch.prepend(list);
      return;
    }
  }
}

void RequestQueue::run_hw_queues() {
  for (std::uint16_t i = 0; i < hw_.size(); ++i) run_hw_queue(i);
}

void RequestQueue::start_request(Request& request) {
  const base::Time now = scheduler_.now();
  request.state = RequestState::kInFlight;
  request.deadline = now + request.timeout;
  if (request.deadline < timeout_expires_) arm_timeout(request.deadline);
}

bool RequestQueue::complete_request(Request& request) {
  if (request.state != RequestState::kInFlight) return false;
  request.state = RequestState::kComplete;
  set_.ops().complete(request);
  return true;
}

void RequestQueue::end_request(Request& request, BlockStatus status) {
  if (request.flush_step != FlushStep::kNone &&
      hw_[request.hw_queue]->flush.ended(request, status)) {
    return;
  }
  request.state = RequestState::kIdle;
  request.block_status = status;
  if (request.polled) --hw_[request.hw_queue]->polled_open;
  if (request.bio != nullptr) {
    end_bio_part(request, status);
    release(request);
  } else {
    request.stages().stamp(base::Stage::kComplete, scheduler_.now());
    request.end_io();
  }
}

void RequestQueue::release(Request& request) {
  const std::uint16_t hw_queue = request.hw_queue;
  if (request.held) {
    request.free_when_let_go = true;
    return;
  }
  set_.give_back(request);
  if (!hw_[hw_queue]->dispatch.empty()) run_hw_queue(hw_queue);
}

void RequestQueue::requeue_request(Request& request) {
  request.state = RequestState::kIdle;
  requeue_list_.push_back(request);
  ++requeues_;
}

void RequestQueue::delay_kick_requeue_list(base::Time delay) {
  requeue_timer_.modify(scheduler_.now() + delay);
}

// To the head of their hardware queues, in the order of requeueing.
void RequestQueue::requeue_work() {
  std::vector<List> heads(hw_.size());
  while (!requeue_list_.empty()) {
    Request& request = requeue_list_.pop();
    heads[request.hw_queue].push_back(request);
  }
  for (std::size_t i = 0; i < hw_.size(); ++i) hw_[i]->dispatch.prepend(heads[i]);
  run_hw_queues();
}

void RequestQueue::unquiesce() {
  quiesced_ = false;
  run_hw_queues();
}

}  // namespace nvmesim::host
