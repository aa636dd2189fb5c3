// The path of a request to the device and back. Nothing here waits.
#include "device/spec/command_key.hpp"
#include "host/nvme/dev.hpp"
#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

// The tag behind the admin queue's tags: the one request for an asynchronous event.
constexpr std::uint16_t kAsyncEventTag = 31;

}  // namespace

// --- operations of the tag sets

QueueResult NvmeDev::Ops::queue_rq(Request& request, bool last) {
  return dev_.queue_rq(request, last);
}

void NvmeDev::Ops::commit_rqs(RequestQueue&, std::uint16_t hw_queue) {
  dev_.queues_[admin_ ? 0 : hw_queue + 1u]->commit();
}

int NvmeDev::Ops::poll(RequestQueue&, std::uint16_t hw_queue) {
  NvmeQueue& queue = *dev_.queues_[admin_ ? 0 : hw_queue + 1u];
  if (dev_.facts_.poll_only_polled_queues && !queue.polled) return 0;
  return static_cast<int>(queue.process_cq());
}

// Default queues first, then those for reads, then polled ones. The admin queue and what shares one
// vector, like polled queues, is spread evenly; the rest follows the vectors' affinity.
void NvmeDev::Ops::map_queues(TagSet& set) {
  if (admin_) {
    set.map(QueueType::kDefault).count = 1;
    set.map(QueueType::kDefault).map_round_robin();
    return;
  }
  unsigned offset = 0;
  for (std::size_t i = 0; i < set.maps(); ++i) {
    const auto type = static_cast<QueueType>(i);
    QueueMap& map = set.map(type);
    map.count = static_cast<std::uint16_t>(dev_.io_queues_[i]);
    map.offset = static_cast<std::uint16_t>(offset);
    offset += dev_.io_queues_[i];
    if (map.count == 0) continue;
    if (type != QueueType::kPoll && dev_.num_vecs_ > 1)
      map.map_by_affinity(dev_.machine_, dev_.function_.id, map.offset + 1u);
    else
      map.map_round_robin();
  }
}

void NvmeDev::Ops::init_request(TagSet&, Request& request, std::uint16_t hw_queue) {
  Iod* iod = nullptr;
  if (dev_.free_iods_.empty()) {
    iod = &dev_.iods_.emplace_back();
  } else {
    iod = dev_.free_iods_.back();
    dev_.free_iods_.pop_back();
    *iod = Iod{};
  }
  iod->queue = dev_.queues_[admin_ ? 0 : hw_queue + 1u].get();
  request.driver_data = iod;
}

void NvmeDev::Ops::exit_request(TagSet&, Request& request) {
  dev_.free_iods_.push_back(&iod_of(request));
  request.driver_data = nullptr;
}

// --- down

QueueResult NvmeDev::queue_rq(Request& request, bool last) {
  Iod& iod = iod_of(request);
  NvmeQueue& queue = *iod.queue;
  iod.aborted = false;
  if (!queue.enabled) return QueueResult::kIoError;
  // The state stops commands of user space only; the driver's own are what leads back to LIVE.
  if (ctrl_.state() != CtrlState::kLive && request.user_command && queue.qid() == 0)
    return fail_nonready(request);
  const auto* ns = static_cast<const NvmeNs*>(request.queue->driver_data);
  auto entry = commands_.build(request, ns != nullptr ? &ns->target : nullptr);
  if (!entry) return QueueResult::kResource;
  QueueResult error = QueueResult::kOk;
  if (!map_data(request, *entry, error)) {
    commands_.finish(request);
    return error;
  }
  request.queue_id = queue.qid();
  request.command_id = entry->cid;
  request.queue->start_request(request);
  queue.submit_cmd(*entry, &request, last);
  return QueueResult::kOk;
}

QueueResult NvmeDev::fail_nonready(Request& request) {
  const CtrlState state = ctrl_.state();
  const bool going = state == CtrlState::kDeletingNoIo || state == CtrlState::kDead ||
                     (facts_.nonready_fails_in_deleting && state == CtrlState::kDeleting);
  if (!going && !request.failfast_driver) return QueueResult::kResource;
  request.status = kHostPathError;
  request.queue->start_request(request);
  request.queue->complete_request(request);
  return QueueResult::kOk;
}

bool NvmeDev::map_data(Request& request, SubmissionEntry& entry, QueueResult& error) {
  Iod& iod = iod_of(request);
  if (iod.discard_ranges != 0) {
    entry.prp1 = iod.discard_ranges;
    return true;
  }
  if (request.data_bytes == 0) return true;
  const DataSegment segment{request.data_address, request.data_bytes};
  const PrpResult result = prps_->map(std::span(&segment, 1), iod.prp);
  if (result != PrpResult::kOk) {
    error = result == PrpResult::kNoMemory ? QueueResult::kResource : QueueResult::kIoError;
    return false;
  }
  entry.prp1 = iod.prp.prp1;
  entry.prp2 = iod.prp.prp2;
  return true;
}

void NvmeDev::submit_async_event() {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kAsyncEventRequest);
  command.cid = kAsyncEventTag;
  NvmeQueue& queue = *queues_[0];
  if (queue.enabled) queue.submit_cmd(command, nullptr, true);
}

// --- up

TagSet* NvmeDev::tags_of(const NvmeQueue& queue) {
  return queue.qid() == 0 ? admin_tagset_.get() : tagset_.get();
}

void NvmeDev::handle_cqe(NvmeQueue& queue, const CompletionEntry& entry) {
  const std::uint16_t tag = tag_of(entry.cid);
  if (queue.qid() == 0 && tag >= kAsyncEventTag) {
    ctrl_.complete_async_event(entry.status >> 1, entry.dw0);
    return;
  }
  TagSet* tags = tags_of(queue);
  const auto hw_queue = static_cast<std::uint16_t>(queue.qid() == 0 ? 0 : queue.qid() - 1);
  Request* request = tags != nullptr ? tags->request_of(hw_queue, tag) : nullptr;
  const std::uint8_t expected = request != nullptr ? iod_of(*request).generation & 0xf : 0;
  if (request == nullptr || generation_of(entry.cid) != expected) [[unlikely]] {
    if (request == nullptr)
      ctrl_.log_error(fmt::format("could not locate request for tag 0x{:x}", tag));
    else
      ctrl_.log_error(fmt::format("request 0x{:x} genctr mismatch (got 0x{:x} expected 0x{:x})",
                                  tag, generation_of(entry.cid), expected));
    ctrl_.log_warning(fmt::format("invalid id {} completed on queue {}", entry.cid, queue.qid()));
    queue.count_invalid_id();
    return;
  }
  if (request->state != RequestState::kInFlight) [[unlikely]] {
    queue.count_invalid_id();
    return;
  }
  request->status = entry.status >> 1;
  request->result = std::uint64_t{entry.dw1} << 32 | entry.dw0;
  const base::CommandKey key = command_key(function_.id.value(), queue.qid(), entry.cid);
  join_.join(key, request->stages(), machine_.now());
  if (facts_.generation_at_completion && !quirks_.skip_generation) ++iod_of(*request).generation;
  request->queue->complete_request(*request);
}

void NvmeDev::complete_rq(Request& request) {
  prps_->unmap(iod_of(request).prp);
  commands_.finish(request);
  const bool no_retry = request.failfast_driver || request.queue->dying();
  if (decide_disposition(request.status, no_retry, request.retries, config_.max_retries) ==
      Disposition::kRetry) {
    retry_rq(request);
    return;
  }
  request.queue->end_request(request, error_status(request.status));
}

// Once more, after the delay that the controller named (CRD chooses one of its CRDT times).
void NvmeDev::retry_rq(Request& request) {
  const unsigned index = (request.status & kStatusCrd) >> kStatusCrdShift;
  const IdentifyController& id = ctrl_.identify_data();
  const std::array<std::uint16_t, 4> delays{0, id.crdt1, id.crdt2, id.crdt3};
  ++request.retries;
  ++retries_;
  RequestQueue& queue = *request.queue;
  queue.requeue_request(request);
  queue.delay_kick_requeue_list(delays[index] * base::Time(100ms));
}

}  // namespace nvmesim::host
