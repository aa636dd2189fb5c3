#include "host/nvme/queue.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::host {

using device::spec::CompletionEntry;
using device::spec::SubmissionEntry;

NvmeQueue::NvmeQueue(Machine& machine, QueueOwner& owner, std::uint16_t qid)
    : delete_done(machine.threads),
      machine_(machine),
      owner_(owner),
      qid_(qid),
      completion_cost_(std::chrono::nanoseconds(machine.config().completion_ns)) {}

NvmeQueue::~NvmeQueue() {
  free_memory();
}

bool NvmeQueue::allocate(std::uint32_t depth, std::uint32_t entry_bytes, ControllerMemory* cmb) {
  if (allocated()) return true;
  entry_bytes_ = entry_bytes;
  cq_ = machine_.pages.dma_alloc_coherent(depth * sizeof(CompletionEntry));
  if (!cq_) return false;
  const std::uint64_t bytes = std::uint64_t{depth} * entry_bytes;
  if (cmb != nullptr) {
    sq_ = {cmb->allocate(bytes), bytes};
    if (sq_) cmb_ = cmb;
  }
  if (!sq_) sq_ = machine_.pages.dma_alloc_coherent(bytes);
  if (!sq_) {
    machine_.pages.dma_free_coherent(cq_);
    cq_ = sq_ = {};
    return false;
  }
  depth_ = depth;
  unrung_.reserve(depth);
  return true;
}

void NvmeQueue::free_memory() {
  if (!allocated()) return;
  if (cmb_ != nullptr)
    cmb_->free(sq_.address);
  else
    machine_.pages.dma_free_coherent(sq_);
  machine_.pages.dma_free_coherent(cq_);
  cmb_ = nullptr;
  sq_ = cq_ = {};
}

void NvmeQueue::init(std::uint64_t sq_doorbell, std::uint64_t cq_doorbell) {
  sq_doorbell_ = sq_doorbell;
  cq_doorbell_ = cq_doorbell;
  sq_tail_ = last_sq_tail_ = 0;
  cq_head_ = 0;
  cq_phase_ = true;
  unrung_.clear();
  shadow_ = {};
  machine_.memory.zero(cq_.address, cq_.bytes);
}

void NvmeQueue::submit_cmd(const SubmissionEntry& entry, Request* request, bool last) {
  const std::uint64_t at = sq_.address + std::uint64_t{sq_tail_} * entry_bytes_;
  if (cmb_ == nullptr) [[likely]]
    machine_.memory.store(at, entry);
  else
    machine_.memcpy_toio(at, &entry, sizeof entry);
  if (++sq_tail_ == depth_) sq_tail_ = 0;
  ++commands_;
  if (request != nullptr) unrung_.push_back(request);
  write_sq_db(last);
}

// Without `last` the write is left out, unless one more entry would make the ring look full.
void NvmeQueue::write_sq_db(bool last) {
  if (!last) {
    const std::uint32_t next = sq_tail_ + 1 == depth_ ? 0 : sq_tail_ + 1;
    if (next != last_sq_tail_) return;
  }
  if (shadow_.sq_doorbell == 0 || tell_shadow(shadow_.sq_doorbell, shadow_.sq_event, sq_tail_)) {
    machine_.writel(sq_doorbell_, sq_tail_);
    ++doorbells_;
  }
  last_sq_tail_ = sq_tail_;
  const base::Time now = machine_.now();
  for (Request* request : unrung_) request->stages().stamp(base::Stage::kSubmit, now);
  unrung_.clear();
}

void NvmeQueue::start_shadow(const ShadowDoorbells& shadow) {
  shadow_ = shadow;
  shadow_live_ = false;
  machine_.memory.store(shadow.sq_doorbell, last_sq_tail_);
  machine_.memory.store(shadow.cq_doorbell, cq_head_);
}

// Writes a shadow doorbell; true if the device wants the real one too.
bool NvmeQueue::tell_shadow(std::uint64_t shadow, std::uint64_t event, std::uint32_t value) {
  const auto before = static_cast<std::uint16_t>(machine_.memory.load<std::uint32_t>(shadow));
  machine_.memory.store(shadow, value);
  if (!shadow_live_) return true;
  const auto wanted = static_cast<std::uint16_t>(machine_.memory.load<std::uint32_t>(event));
  const bool tell = passes_event(wanted, static_cast<std::uint16_t>(value), before);
  shadow_writes_ += !tell;
  return tell;
}

void NvmeQueue::commit() {
  if (sq_tail_ != last_sq_tail_) write_sq_db(true);
}

bool NvmeQueue::cqe_pending() const {
  const auto status = machine_.memory.load<std::uint16_t>(
      cq_.address + cq_head_ * sizeof(CompletionEntry) + offsetof(CompletionEntry, status));
  return device::spec::phase_of(status) == cq_phase_;
}

unsigned NvmeQueue::process_cq() {
  unsigned found = 0;
  for (;;) {
    const auto entry =
        machine_.memory.load<CompletionEntry>(cq_.address + cq_head_ * sizeof(CompletionEntry));
    if (device::spec::phase_of(entry.status) != cq_phase_) break;
    ++found;
    // The head moves first: telling about the entry may lead back to this queue.
    if (++cq_head_ == depth_) {
      cq_head_ = 0;
      cq_phase_ = !cq_phase_;
    }
    owner_.handle_cqe(*this, entry);
  }
  if (found != 0) {
    completions_ += found;
    machine_.charge(found * (completion_cost_ + machine_.completion_detour()));
    if (shadow_.cq_doorbell == 0 || tell_shadow(shadow_.cq_doorbell, shadow_.cq_event, cq_head_))
      machine_.writel(cq_doorbell_, cq_head_, /*deferrable=*/!prompt_head);
  }
  return found;
}

IrqReturn NvmeQueue::handle_irq() {
  return process_cq() != 0 ? IrqReturn::kHandled : IrqReturn::kNone;
}

}  // namespace nvmesim::host
