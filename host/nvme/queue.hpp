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
#include "host/nvme/prp.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::host {

class NvmeQueue;

// What the driver keeps with each request (nvme_iod); made once per tag.
struct Iod {
  NvmeQueue* queue = nullptr;
  PrpMapping prp;
  std::uint64_t discard_ranges = 0;  // a page with the ranges of a discard; 0 if there is none
  std::uint8_t generation = 0;       // of the command id; survives the request
  bool aborted = false;              // an Abort has been sent for it
  bool cancelled = false;            // the host gave it up
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

class NvmeQueue : public IrqHandler {
 public:
  NvmeQueue(Machine& machine, QueueOwner& owner, std::uint16_t qid);
  ~NvmeQueue() override;
  NvmeQueue(const NvmeQueue&) = delete;
  NvmeQueue& operator=(const NvmeQueue&) = delete;

  // Ring memory. It and the depth stay over resets until free_memory(). False: no memory.
  bool allocate(std::uint32_t depth);
  void free_memory();
  bool allocated() const { return sq_.bytes != 0; }
  // Both rings empty, phase 1. Doorbell addresses are bus addresses.
  void init(std::uint64_t sq_doorbell, std::uint64_t cq_doorbell);

  // Copies the entry to the tail; rings the doorbell as write_sq_db() says. `request` may be null.
  void submit_cmd(const device::spec::SubmissionEntry& entry, Request* request, bool last);
  // Rings for what was submitted with last == false.
  void commit();

  bool cqe_pending() const;
  // Handles every entry there is, then rings the head doorbell once. How many it found.
  unsigned process_cq();
  IrqReturn handle_irq() override;

  std::uint16_t qid() const { return qid_; }
  std::uint32_t depth() const { return depth_; }
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
  Completion delete_done;  // of the Delete command of this queue that was sent last

 private:
  void write_sq_db(bool last);

  Machine& machine_;
  QueueOwner& owner_;
  const std::uint16_t qid_;
  const base::Time completion_cost_;  // processor time for each entry found
  std::uint32_t depth_ = 0;
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
