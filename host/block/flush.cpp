#include "host/block/flush.hpp"

#include "host/block/request_queue.hpp"

namespace nvmesim::host {
namespace {

constexpr base::Time kLongestWait = 5s;  // of a flush for data that is out

}  // namespace

void FlushQueue::List::push(Request& request) {
  request.next_flush = nullptr;
  (first == nullptr ? first : last->next_flush) = &request;
  last = &request;
}

Request* FlushQueue::List::pop() {
  Request* request = first;
  if (request != nullptr) first = request->next_flush;
  return request;
}

void FlushQueue::insert(Request& request) {
  if (pending_.first == nullptr) pending_since_ = scheduler_.now();
  request.flush_step = FlushStep::kWaiting;
  pending_.push(request);
  kick();
}

void FlushQueue::kick() {
  if (running_.first != nullptr || pending_.first == nullptr) return;
  if (data_out_ != 0 && scheduler_.now() < pending_since_ + kLongestWait) return;
  running_ = pending_;
  pending_ = {};
  Request& carrier = *running_.first;
  carrier.flush_step = FlushStep::kCarrier;
  carrier.data_op = carrier.op;
  carrier.op = RequestOp::kFlush;
  carrier.data_bytes = 0;
  ++commands_;
  carrier.stages().stamp(base::Stage::kTagWait, scheduler_.now());
  queue_.issue(carrier, true);
}

bool FlushQueue::ended(Request& request, BlockStatus status) {
  if (request.flush_step == FlushStep::kData) {
    request.flush_step = FlushStep::kNone;
    --data_out_;
    kick();
    return false;
  }
  // A request that is only waiting here is not out, so nobody can end it.
  NVMESIM_ASSERT(request.flush_step == FlushStep::kCarrier && running_.first == &request,
                 "a request ended in the middle of the flush machinery");
  request.state = RequestState::kIdle;
  request.op = request.data_op;
  request.data_bytes = static_cast<std::uint32_t>(request.sectors * kSectorBytes);
  request.stages().stamp(base::Stage::kComplete, scheduler_.now());
  command_ended(status);
  return true;
}

// Everything that the flush command stood for goes on: to its end or to its data.
void FlushQueue::command_ended(BlockStatus status) {
  List covered = running_;
  running_ = {};
  while (Request* request = covered.pop()) {
    request->stages().stamp(base::Stage::kTagWait, scheduler_.now());
    if (status == BlockStatus::kOk && request->op != RequestOp::kFlush) {
      request->flush_step = FlushStep::kData;
      ++data_out_;
      queue_.issue(*request, true);
    } else {
      request->flush_step = FlushStep::kNone;
      queue_.end_request(*request, status);
    }
  }
  kick();
}

}  // namespace nvmesim::host
