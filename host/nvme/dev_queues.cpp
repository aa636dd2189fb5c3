// Making and unmaking queues: memory, interrupts, the Create and Delete commands, and how many.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "host/nvme/dev.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint32_t kPhysicallyContiguous = 1u << 0;
constexpr std::uint32_t kInterruptsEnabled = 1u << 1;
constexpr std::uint32_t kPriorityMedium = 2u << 1;
enum QueueKind : std::size_t { kDefaultQueues, kReadQueues, kPollQueues };

}  // namespace

int NvmeDev::alloc_queue(std::uint16_t qid, std::uint32_t depth) {
  if (ctrl_.queue_count > qid) return 0;  // over a reset it keeps its memory and depth
  const std::uint32_t entry = qid != 0 && quirks_.sqes_128 ? 128 : sizeof(SubmissionEntry);
  ControllerMemory* cmb = qid != 0 && cmb_use_sqes_ ? &cmb_ : nullptr;
  if (!queues_[qid]->allocate(depth, entry, cmb)) return -ENOMEM;
  ++ctrl_.queue_count;
  return 0;
}

void NvmeDev::init_queue(NvmeQueue& queue) {
  const std::uint64_t pair = dbs_ + std::uint64_t{queue.qid()} * 2 * 4 * db_stride_;
  queue.init(pair, pair + std::uint64_t{4} * db_stride_);
  queue.prompt_head = machine_.interrupts.kind_of(function_.id) == IrqKind::kPin;
  ++online_queues_;
}

int NvmeDev::queue_request_irq(NvmeQueue& queue) {
  return machine_.interrupts.request_irq(function_.id, queue.cq_vector, queue,
                                         fmt::format("{}q{}", ctrl_.name(), queue.qid()),
                                         config_.use_threaded_interrupts);
}

void NvmeDev::queue_free_irq(NvmeQueue& queue) {
  machine_.interrupts.free_irq(function_.id, queue.cq_vector, queue);
}

// Takes the lock unless somebody is disabling the controller.
int NvmeDev::setup_io_queues_trylock() {
  if (!shutdown_lock_.try_lock()) return -ENODEV;
  if (ctrl_.state() == CtrlState::kConnecting) return 0;
  shutdown_lock_.unlock();
  return -ENODEV;
}

int NvmeDev::setup_io_queues() {
  nr_write_queues_ = config_.write_queues;
  nr_poll_queues_ = config_.poll_queues;
  unsigned io_queues = nr_allocated_queues_ - 1;
  if (facts_.queue_count_limited_by_parameters) io_queues = std::min(io_queues, max_io_queues());
  if (const int result = ctrl_.set_queue_count(io_queues); result != 0) return result;
  if (io_queues == 0) return 0;

  if (const int result = setup_io_queues_trylock(); result != 0) return result;
  // From here to its new interrupt the admin queue takes no command.
  NvmeQueue& admin = *queues_[0];
  if (std::exchange(admin.enabled, false)) queue_free_irq(admin);
  if (cmb_use_sqes_ && !cmb_qdepth(io_queues)) cmb_use_sqes_ = false;
  while (!remap_bar(db_bar_size(io_queues))) {
    if (--io_queues == 0) {
      shutdown_lock_.unlock();
      return -ENOMEM;
    }
  }
  for (;;) {
    if (std::exchange(admin.enabled, false)) queue_free_irq(admin);
    machine_.interrupts.free_irq_vectors(function_.id);
    num_vecs_ = 0;
    const int vectors = setup_irqs(io_queues);
    int result = vectors > 0 ? 0 : -EIO;
    if (result == 0) {
      num_vecs_ = static_cast<unsigned>(vectors);
      max_qid_ = std::max(num_vecs_ - 1, 1u) + io_queues_[kPollQueues];
      result = queue_request_irq(admin);
      admin.enabled = result == 0;
    }
    shutdown_lock_.unlock();
    if (result != 0) return result;
    result = create_io_queues();
    if (result != 0 || online_queues_ < 2) return result;
    if (online_queues_ - 1 >= max_qid_) break;
    // Fewer than there are vectors for: once more with as many as there can be.
    io_queues = online_queues_ - 1;
    disable_io_queues();
    result = setup_io_queues_trylock();
    if (result != 0) return result;
    suspend_io_queues();
  }
  ctrl_.log_info(fmt::format("{}/{}/{} default/read/poll queues", io_queues_[kDefaultQueues],
                             io_queues_[kReadQueues], io_queues_[kPollQueues]));
  return 0;
}

// Vectors granted, the admin queue's included, or a negative errno.
int NvmeDev::setup_irqs(unsigned io_queues) {
  const unsigned poll = std::min(nr_poll_queues_, io_queues - 1);
  io_queues_ = {1, 0, poll};
  const unsigned wanted = quirks_.single_vector ? 1 : 1 + io_queues - poll;
  IrqAffinity affinity;
  affinity.pre_vectors = 1;
  affinity.calc_sets = [this](unsigned vectors) { return calc_irq_sets(vectors); };
  return machine_.interrupts.alloc_irq_vectors(function_.id, 1, wanted, affinity,
                                               Interrupts::kIrqAllTypes);
}

// Splits the vectors behind the first one into those for all or for writes, and those for reads.
std::vector<unsigned> NvmeDev::calc_irq_sets(unsigned vectors) {
  vectors = std::max(vectors, 1u);
  unsigned reads = 0;
  if (vectors > 1 && nr_write_queues_ != 0)
    reads = nr_write_queues_ >= vectors ? 1 : vectors - nr_write_queues_;
  io_queues_[kDefaultQueues] = vectors - reads;
  io_queues_[kReadQueues] = reads;
  return {vectors - reads, reads};
}

int NvmeDev::create_io_queues() {
  int result = 0;
  for (unsigned qid = ctrl_.queue_count; qid <= max_qid_ && result == 0; ++qid)
    result = alloc_queue(static_cast<std::uint16_t>(qid), q_depth_);
  if (result != 0) result = -ENOMEM;
  const unsigned last = std::min(max_qid_, ctrl_.queue_count - 1);
  const bool split = last != 1 && io_queues_[kPollQueues] > 0;
  const unsigned interrupting = split ? io_queues_[kDefaultQueues] + io_queues_[kReadQueues] : last;
  for (unsigned qid = online_queues_; qid <= last; ++qid) {
    result = create_queue(*queues_[qid], qid > interrupting);
    if (result != 0) break;
  }
  // A device that refuses a queue is served with those that it has.
  return result < 0 ? result : 0;
}

int NvmeDev::create_queue(NvmeQueue& queue, bool polled) {
  queue.delete_error = false;
  unsigned vector = 0;
  queue.polled = polled;
  if (!polled) vector = num_vecs_ == 1 ? 0 : queue.qid();
  if (const int result = adapter_alloc_cq(queue, vector); result != 0) return result;
  if (const int result = adapter_alloc_sq(queue); result != 0) {
    if (result > 0) adapter_delete_queue(AdminOpcode::kDeleteIoCq, queue.qid());
    return result;
  }
  queue.cq_vector = static_cast<std::uint16_t>(vector);
  if (const int result = setup_io_queues_trylock(); result != 0) return result;
  init_queue(queue);
  int result = polled ? 0 : queue_request_irq(queue);
  queue.enabled = result == 0;
  if (result != 0) --online_queues_;
  shutdown_lock_.unlock();
  if (result != 0) {
    adapter_delete_queue(AdminOpcode::kDeleteIoSq, queue.qid());
    adapter_delete_queue(AdminOpcode::kDeleteIoCq, queue.qid());
  }
  return result;
}

int NvmeDev::adapter_alloc_cq(const NvmeQueue& queue, unsigned vector) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kCreateIoCq);
  command.prp1 = queue.cq_address();
  command.cdw10 = queue.qid() | (queue.depth() - 1) << 16;
  command.cdw11 =
      kPhysicallyContiguous | (queue.polled ? 0 : kInterruptsEnabled) | std::uint32_t{vector} << 16;
  return ctrl_.submit_sync_cmd(command, {});
}

int NvmeDev::adapter_alloc_sq(const NvmeQueue& queue) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kCreateIoSq);
  command.prp1 = queue.sq_address();
  command.cdw10 = queue.qid() | (queue.depth() - 1) << 16;
  command.cdw11 = kPhysicallyContiguous | (quirks_.medium_priority_queues ? kPriorityMedium : 0) |
                  std::uint32_t{queue.qid()} << 16;
  return ctrl_.submit_sync_cmd(command, {});
}

int NvmeDev::adapter_delete_queue(AdminOpcode opcode, std::uint16_t qid) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(opcode);
  command.cdw10 = qid;
  return ctrl_.submit_sync_cmd(command, {});
}

// --- taking them down

void NvmeDev::disable_io_queues() {
  if (delete_queues(AdminOpcode::kDeleteIoSq)) delete_queues(AdminOpcode::kDeleteIoCq);
}

// Sends Delete for every I/O queue, from the last one on, as many at a time as there are tags.
// False if the device did not answer in time.
bool NvmeDev::delete_queues(AdminOpcode opcode) {
  const base::Time budget = config_.admin_timeout * base::Time(1s);
  unsigned unsent = online_queues_ > 0 ? online_queues_ - 1 : 0;
  unsigned waiting = unsent;  // the oldest one that was sent and not waited for
  while (waiting > 0) {
    for (; unsent > 0; --unsent) {
      Request* request = admin_q_->alloc_request(RequestOp::kDriverIn, {.nowait = true});
      if (request == nullptr) break;
      SubmissionEntry command{};
      command.opc = static_cast<std::uint8_t>(opcode);
      command.cdw10 = unsent;
      std::memcpy(request->command.data(), &command, sizeof command);
      request->failfast_driver = true;
      request->end_io = base::Callback::of<&NvmeDev::delete_ended>(
          this, reinterpret_cast<std::uint64_t>(request));
      queues_[unsent]->delete_done.reinit();
      admin_q_->execute_rq_nowait(*request);
    }
    if (unsent == waiting) return false;  // not even one could be sent
    const base::Time deadline = machine_.now() + budget;
    do {
      const base::Time left = std::max(deadline - machine_.now(), base::kTimeZero);
      if (!queues_[waiting]->delete_done.wait_for(left)) return false;
      --waiting;
    } while (waiting > unsent && unsent == 0);
  }
  return true;
}

void NvmeDev::delete_ended(std::uint64_t argument) {
  auto& request = *reinterpret_cast<Request*>(argument);
  SubmissionEntry command{};
  std::memcpy(&command, request.command.data(), sizeof command);
  NvmeQueue& queue = *queues_[command.cdw10];
  const bool completion_queue = command.opc == static_cast<std::uint8_t>(AdminOpcode::kDeleteIoCq);
  if (completion_queue && request.status != 0) queue.delete_error = true;
  admin_q_->free_request(request);
  queue.delete_done.complete();
}

void NvmeDev::suspend_queue(NvmeQueue& queue) {
  if (!std::exchange(queue.enabled, false)) return;
  --online_queues_;
  queue.forget_unrung();
  if (queue.qid() == 0 && admin_q_ != nullptr) admin_q_->quiesce();
  if (!std::exchange(queue.polled, false)) queue_free_irq(queue);
}

void NvmeDev::suspend_io_queues() {
  for (unsigned i = ctrl_.queue_count; i-- > 1;) suspend_queue(*queues_[i]);
}

// Takes completions whose interrupt was not seen.
void NvmeDev::poll_irqdisable(NvmeQueue& queue) {
  if (queue.polled || !queue.enabled) {
    queue.process_cq();
    return;
  }
  machine_.interrupts.disable_irq(function_.id, queue.cq_vector);
  queue.process_cq();
  machine_.interrupts.enable_irq(function_.id, queue.cq_vector);
}

}  // namespace nvmesim::host
