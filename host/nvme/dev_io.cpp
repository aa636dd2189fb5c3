// The path of a request to the device and back. Nothing here waits.
#include <algorithm>
#include <cstring>

#include "device/spec/command_key.hpp"
#include "host/nvme/dev.hpp"
#include "host/nvme/error_status.hpp"
#include "host/nvme/integrity.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

// The tag behind the admin queue's tags: the one request for an asynchronous event.
constexpr std::uint16_t kAsyncEventTag = 31;
constexpr std::uint8_t kSglMetadataBuffer = 0x40;  // PSDT 01b: SGL, metadata by a plain address
// What an injected failure looks like: Invalid Command Opcode, do not retry.
constexpr std::uint16_t kInjectedStatus = 0x001 | kStatusDoNotRetry;

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
  if (!queue.enabled) return 0;
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
  request.queue_id = queue.qid();
  QueueResult error = QueueResult::kOk;
  if (!map_data(request, *entry, error)) {
    commands_.finish(request);
    return error;
  }
  if (ns != nullptr && ns->target.integrity && request.op <= RequestOp::kWrite &&
      !map_integrity(request, *ns, *entry)) [[unlikely]] {
    unmap(request);
    return QueueResult::kResource;
  }
  if (machine_.dma.active()) [[unlikely]]
    map_for_drive(request, true);
  request.command_id = entry->cid;
  if (trace_.armed()) [[unlikely]]
    trace_.setup_cmd(trace_place(request), *entry);
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

void NvmeDev::add_segment(std::uint64_t address, std::uint64_t bytes) {
  if (!segments_.empty() && segments_.back().address + segments_.back().bytes == address)
    segments_.back().bytes += bytes;
  else
    segments_.push_back({address, bytes});
}

// Pieces of memory with the data of a request.
const std::vector<DataSegment>& NvmeDev::segments_of(const Request& request) {
  segments_.clear();
  if (request.data_address != 0) {
    segments_.push_back({request.data_address, request.data_bytes});
    return segments_;
  }
  std::uint64_t skip = request.data_offset;
  std::uint64_t left = request.data_bytes;
  for (const Bio* bio = request.bio; bio != nullptr && left != 0; bio = bio->merged) {
    std::uint64_t of_bio =
        std::min<std::uint64_t>(left, std::uint64_t{bio->sectors} * kSectorBytes);
    left -= of_bio;
    const IoBuffer whole{bio->buffer.address, static_cast<std::uint32_t>(of_bio)};
    for (const IoBuffer& piece : bio->pieces.empty() ? std::span(&whole, 1) : bio->pieces) {
      if (of_bio == 0) break;
      if (skip >= piece.bytes) {
        skip -= piece.bytes;
        continue;
      }
      const std::uint64_t bytes = std::min<std::uint64_t>(piece.bytes - skip, of_bio);
      add_segment(piece.address + skip, bytes);
      of_bio -= bytes;
      skip = 0;
    }
  }
  return segments_;
}

// One piece that two PRPs name stays with them; any longer one goes as SGL where the drive knows
// them, several when they are long enough on average.
bool NvmeDev::use_sgl(const Request& request, std::size_t segments, bool two_prps) const {
  if (config_.sgl_threshold == 0 || request.queue_id == 0) return false;
  if ((ctrl_.identify_data().sgls & 3u) == 0) return false;
  if (segments == 1) return !two_prps;
  return base::ceil_div(request.data_bytes, segments) >= config_.sgl_threshold;
}

// What the drive may reach for this request, and for how long.
void NvmeDev::map_for_drive(const Request& request, bool map) {
  Iod& iod = iod_of(request);
  iod.mapped = map;
  const auto change = [&](std::uint64_t address, std::uint64_t bytes, bool written) {
    map ? machine_.dma.map(address, bytes, written) : machine_.dma.unmap(address, bytes, written);
  };
  if (iod.discard_ranges != 0) {
    change(iod.discard_ranges, kPageBytes, false);
    return;
  }
  if (request.data_bytes == 0) return;
  const bool written = request.op == RequestOp::kRead || request.op == RequestOp::kDriverIn;
  for (const DataSegment& segment : segments_of(request))
    change(segment.address, segment.bytes, written);
  if (iod.integrity) change(iod.integrity.address, iod.integrity.bytes, written);
}

bool NvmeDev::map_data(Request& request, SubmissionEntry& entry, QueueResult& error) {
  Iod& iod = iod_of(request);
  if (iod.discard_ranges != 0) {
    entry.prp1 = iod.discard_ranges;
    return true;
  }
  if (request.data_bytes == 0) return true;
  const DataSegment one{request.data_address, request.data_bytes};
  std::span<const DataSegment> segments(&one, 1);
  if (request.data_address == 0) [[unlikely]]
    segments = segments_of(request);
  const bool two_prps =
      segments.size() == 1 &&
      (segments[0].address & (kPageBytes - 1)) + segments[0].bytes <= 2 * std::uint64_t{kPageBytes};
  if (!two_prps && use_sgl(request, segments.size(), two_prps)) [[unlikely]] {
    if (!sgls_->map(segments, iod.sgl)) {
      error = QueueResult::kResource;
      return false;
    }
    static_assert(sizeof iod.sgl.in_command == sizeof entry.prp1 + sizeof entry.prp2);
    std::memcpy(&entry.prp1, &iod.sgl.in_command, sizeof iod.sgl.in_command);
    entry.flags |= kSglMetadataBuffer;
    return true;
  }
  const PrpResult result = prps_->map(segments, iod.prp);
  if (result != PrpResult::kOk) {
    error = result == PrpResult::kNoMemory ? QueueResult::kResource : QueueResult::kIoError;
    return false;
  }
  entry.prp1 = iod.prp.prp1;
  entry.prp2 = iod.prp.prp2;
  return true;
}

// Protection information of the host's own, in one piece.
bool NvmeDev::map_integrity(Request& request, const NvmeNs& ns, SubmissionEntry& entry) {
  const std::uint32_t block = 1u << ns.info.lba_shift;
  Iod& iod = iod_of(request);
  iod.integrity = machine_.pages.allocate_range(request.data_bytes / block * kTupleBytes);
  if (!iod.integrity) return false;
  entry.mptr = iod.integrity.address;
  if (request.op != RequestOp::kWrite) return true;
  integrity_data_.resize(request.data_bytes);
  integrity_tuples_.resize(iod.integrity.bytes);
  load_data(request);
  make_protection(integrity_data_, block, ns.info.pi_type,
                  request.sector >> (ns.info.lba_shift - kSectorShift), integrity_tuples_);
  machine_.memory.copy_in(iod.integrity.address, integrity_tuples_.data(),
                          integrity_tuples_.size());
  return true;
}

// The data of a request, in one piece.
void NvmeDev::load_data(const Request& request) {
  std::size_t at = 0;
  for (const DataSegment& segment : segments_of(request)) {
    machine_.memory.copy_out(segment.address, integrity_data_.data() + at, segment.bytes);
    at += segment.bytes;
  }
}

// A read that succeeded: whether what came fits its protection information.
bool NvmeDev::integrity_holds(const Request& request) {
  const auto* ns = static_cast<const NvmeNs*>(request.queue->driver_data);
  const Iod& iod = iod_of(request);
  integrity_data_.resize(request.data_bytes);
  integrity_tuples_.resize(iod.integrity.bytes);
  load_data(request);
  machine_.memory.copy_out(iod.integrity.address, integrity_tuples_.data(),
                           integrity_tuples_.size());
  return check_protection(integrity_data_, 1u << ns->info.lba_shift, ns->info.pi_type,
                          request.sector >> (ns->info.lba_shift - kSectorShift), integrity_tuples_);
}

void NvmeDev::unmap(Request& request) {
  Iod& iod = iod_of(request);
  if (iod.mapped) [[unlikely]]
    map_for_drive(request, false);
  prps_->unmap(iod.prp);
  if (iod.sgl.list != 0) sgls_->unmap(iod.sgl);
  if (iod.integrity) machine_.pages.free_range(iod.integrity);
  iod.integrity = {};
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
  if (trace_.armed()) [[unlikely]]
    trace_.sq(trace_place(*request), entry.sqhd, queue.sq_tail());
  request->status = entry.status >> 1;
  if (fail_request_.armed() && fail_request_.should_fail()) [[unlikely]] {
    request->status = kInjectedStatus;
    ++injected_;
  }
  request->result = std::uint64_t{entry.dw1} << 32 | entry.dw0;
  const base::CommandKey key = command_key(function_.id.value(), queue.qid(), entry.cid);
  join_.join(key, request->stages(), machine_.now());
  if (facts_.generation_at_completion && !quirks_.skip_generation) ++iod_of(*request).generation;
  request->queue->complete_request(*request);
}

Tracepoints::Place NvmeDev::trace_place(const Request& request) const {
  const Cpu* cpu = machine_.current_cpu();
  const auto* ns = static_cast<const NvmeNs*>(request.queue->driver_data);
  Tracepoints::Place place;
  place.cpu = cpu != nullptr ? cpu->id().value() : 0u;
  place.interrupt = cpu != nullptr && cpu->in_interrupt();
  place.now = machine_.now();
  place.controller = ctrl_.instance();
  if (ns != nullptr) place.disk = ns->disk.name();
  place.qid = iod_of(request).queue->qid();
  return place;
}

void NvmeDev::complete_rq(Request& request) {
  if (trace_.armed()) [[unlikely]]
    trace_.complete_rq(trace_place(request), request, iod_of(request).cancelled);
  BlockStatus status = error_status(request.status);
  if (iod_of(request).integrity && request.status == 0 && request.op == RequestOp::kRead &&
      !integrity_holds(request)) [[unlikely]]
    status = BlockStatus::kProtection;
  unmap(request);
  commands_.finish(request);
  if (ctrl_.identify_data().kas != 0) ctrl_.completion_seen();
  if (request.status == 0) [[likely]]
    return request.queue->end_request(request, status);
  Attempt attempt;
  attempt.failfast = request.failfast_driver;
  attempt.dying = request.queue->dying();
  attempt.multipath = request.bio != nullptr && request.bio->failover;
  attempt.retries = request.retries;
  attempt.max_retries = config_.max_retries;
  switch (decide_disposition(request.status, attempt)) {
    case Disposition::kRetry:
      return retry_rq(request);
    case Disposition::kFailover:
      ctrl_.path_failed(request);
      break;
    case Disposition::kComplete:
      break;
  }
  request.queue->end_request(request, status);
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
