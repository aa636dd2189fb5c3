// One pair of submission and completion queue: ring memory, tail, head and phase, doorbells, and
// the interrupt handler that empties the completion queue.
//
// submit_cmd() and process_cq() never wait. There is no record of the submission queue's head: tags
// are fewer than entries, so it cannot overflow. Every command that one doorbell write covers is
// stamped with the time of that write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/spec/commands.hpp"
#include "host/block/request.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/cmb.hpp"
#include "host/nvme/prp.hpp"
#include "host/nvme/sgl.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::host {

class NvmeQueue;

// What the driver keeps with each request (nvme_iod); made once per tag.
struct Iod {
  NvmeQueue* queue = nullptr;
  PrpMapping prp;
  SglMapping sgl;
  std::uint64_t discard_ranges = 0;  // a page with the ranges of a discard; 0 if there is none
  DmaMemory integrity;               // protection information of its blocks
  std::uint8_t generation = 0;       // of the command id; survives the request
  bool aborted = false;              // an Abort has been sent for it
  bool cancelled = false;            // the host gave it up
  bool mapped = false;               // its memory, for the drive
};
inline Iod& iod_of(const Request& request) {
  return *static_cast<Iod*>(request.driver_data);
}

// Upper four bits of a command id: generation; the others: tag.
constexpr std::uint16_t command_id(std::uint8_t generation, std::uint16_t tag) {
  return static_cast<std::uint16_t>((generation & 0xfu) << 12 | tag);
}
constexpr std::uint16_t tag_of(std::uint16_t cid) {
  return cid & 0xfff;
}
constexpr std::uint8_t generation_of(std::uint16_t cid) {
  return static_cast<std::uint8_t>(cid >> 12);
}

// Whom a queue tells about what it found.
class QueueOwner {
 public:
  virtual ~QueueOwner() = default;
  virtual void handle_cqe(NvmeQueue& queue, const device::spec::CompletionEntry& entry) = 0;
};

// Where a queue's shadow doorbells and event indexes lie in host memory; 0: it has none.
struct ShadowDoorbells {
  std::uint64_t sq_doorbell = 0;
  std::uint64_t cq_doorbell = 0;
  std::uint64_t sq_event = 0;
  std::uint64_t cq_event = 0;
};

// True if a doorbell that goes from `before` to `now` passes the event index: the device wants to
// be told (NVMe 1.3, appendix B.5).
constexpr bool passes_event(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

class NvmeQueue : public IrqHandler {
 public:
  NvmeQueue(Machine& machine, QueueOwner& owner, std::uint16_t qid);
  ~NvmeQueue() override;
  NvmeQueue(const NvmeQueue&) = delete;
  NvmeQueue& operator=(const NvmeQueue&) = delete;

  // Ring memory. It and the depth stay over resets until free_memory(). False: no memory.
  // entry_bytes: of the submission ring. cmb: where that ring lies if there is room; may be null.
  bool allocate(std::uint32_t depth,
                std::uint32_t entry_bytes = sizeof(device::spec::SubmissionEntry),
                ControllerMemory* cmb = nullptr);
  void free_memory();
  bool allocated() const { return sq_.bytes != 0; }
  // Both rings empty, phase 1. Doorbell addresses are bus addresses.
  void init(std::uint64_t sq_doorbell, std::uint64_t cq_doorbell);

  // Copies the entry to the tail; rings the doorbell as write_sq_db() says. `request` may be null.
  void submit_cmd(const device::spec::SubmissionEntry& entry, Request* request, bool last);
  // Rings for what was submitted with last == false.
  void commit();

  // From now on what a doorbell is told the shadow is told too, what it was told last to begin
  // with; once they are live, instead where the event index allows.
  void start_shadow(const ShadowDoorbells& shadow);
  void shadow_is_live() { shadow_live_ = true; }
  void stop_shadow() { shadow_ = {}; }
  const ShadowDoorbells& shadow() const { return shadow_; }
  bool in_controller_memory() const { return cmb_ != nullptr; }
  std::uint64_t shadow_writes() const { return shadow_writes_; }

  bool cqe_pending() const;
  // Handles every entry there is, then rings the head doorbell once. How many it found.
  unsigned process_cq();
  IrqReturn handle_irq() override;
  bool irq_check() override { return cqe_pending(); }

  std::uint16_t qid() const { return qid_; }
  std::uint32_t depth() const { return depth_; }
  std::uint32_t sq_tail() const { return sq_tail_; }
  std::uint64_t sq_address() const { return sq_.address; }
  std::uint64_t cq_address() const { return cq_.address; }
  std::uint64_t doorbells_rung() const { return doorbells_; }
  std::uint64_t commands() const { return commands_; }
  std::uint64_t completions() const { return completions_; }
  std::uint64_t invalid_ids() const { return invalid_ids_; }
  void count_invalid_id() { ++invalid_ids_; }
  // Forgets who waits for the doorbell: their requests are about to be given up.
  void forget_unrung() { unrung_.clear(); }

  // The owner's.
  std::uint16_t cq_vector = 0;
  bool enabled = false;
  bool polled = false;
  bool delete_error = false;
  bool prompt_head = false;  // the device waits for the head doorbell: its interrupt is a pin
  Completion delete_done;    // of the Delete command of this queue that was sent last

 private:
  void write_sq_db(bool last);
  bool tell_shadow(std::uint64_t shadow, std::uint64_t event, std::uint32_t value);

  Machine& machine_;
  QueueOwner& owner_;
  const std::uint16_t qid_;
  const base::Time completion_cost_;  // processor time for each entry found
  std::uint32_t depth_ = 0;
  std::uint32_t entry_bytes_ = sizeof(device::spec::SubmissionEntry);
  ControllerMemory* cmb_ = nullptr;  // that sq_ is from
  ShadowDoorbells shadow_;
  bool shadow_live_ = false;         // the device has agreed to them
  std::uint64_t shadow_writes_ = 0;  // doorbell values that only the shadow got
  DmaMemory sq_;
  DmaMemory cq_;
  std::uint64_t sq_doorbell_ = 0;
  std::uint64_t cq_doorbell_ = 0;
  std::uint32_t sq_tail_ = 0;
  std::uint32_t last_sq_tail_ = 0;
  std::uint32_t cq_head_ = 0;
  bool cq_phase_ = true;
  std::vector<Request*> unrung_;  // in the ring, not yet covered by a doorbell write
  std::uint64_t doorbells_ = 0;
  std::uint64_t commands_ = 0;
  std::uint64_t completions_ = 0;
  std::uint64_t invalid_ids_ = 0;
};

}  // namespace nvmesim::host
