// The PCI part of the driver: one function with its BAR, queues, interrupts, tag sets, and the
// works that bring it up, take it down and recover it. Functions have Linux's names.
//
// probe() touches no register; reset_work() does everything. shutdown_lock_ serialises enabling,
// disabling and the set-up of queues. What carries I/O (queue_rq, completion, the interrupt
// handlers) never waits; what talks to the controller runs in work items.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/block/tag_set.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/command.hpp"
#include "host/nvme/ctrl.hpp"
#include "host/nvme/driver_config.hpp"
#include "host/nvme/prp.hpp"
#include "host/nvme/queue.hpp"
#include "host/nvme/quirks.hpp"
#include "pcie/enumerator.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::host {

// The module's work queues, shared by all its devices.
struct NvmeWorkQueues {
  explicit NvmeWorkQueues(Threads& threads)
      : nvme("nvme-wq", threads), reset("nvme-reset-wq", threads), async("async", threads) {}
  WorkQueue nvme;
  WorkQueue reset;
  WorkQueue async;
};

class NvmeDev : private CtrlBus, private QueueOwner {
 public:
  NvmeDev(Machine& machine, base::StageJoin& join, const DriverConfig& config,
          const pcie::FunctionInfo& function, unsigned instance, NvmeWorkQueues& work_queues);
  ~NvmeDev() override;
  NvmeDev(const NvmeDev&) = delete;
  NvmeDev& operator=(const NvmeDev&) = delete;

  // 0 or a negative errno; on error nothing is held.
  int probe();
  // In a thread: until the controller has come up, or has been given up, and was scanned.
  void wait_probed();
  // The driver is unbound.
  void remove();
  // The system goes down.
  void shutdown();

  NvmeCtrl& ctrl() { return ctrl_; }
  const NvmeCtrl& ctrl() const { return ctrl_; }
  const pcie::FunctionInfo& function() const { return function_; }
  bool removed() const { return removed_; }
  unsigned online_queues() const { return online_queues_; }
  unsigned num_vecs() const { return num_vecs_; }
  std::uint32_t queue_depth() const { return q_depth_; }
  // default, read, poll
  const std::array<unsigned, 3>& io_queues() const { return io_queues_; }
  const NvmeQueue* queue(unsigned qid) const { return queues_[qid].get(); }
  void add_statistics(base::StatisticsRegistry& registry, const std::string& prefix) const;

 private:
  // The operations of one tag set: the admin queue's or the I/O queues'.
  class Ops final : public QueueOps {
   public:
    Ops(NvmeDev& dev, bool admin) : dev_(dev), admin_(admin) {}
    QueueResult queue_rq(Request& request, bool last) override;
    void commit_rqs(RequestQueue& queue, std::uint16_t hw_queue) override;
    void complete(Request& request) override { dev_.complete_rq(request); }
    TimeoutResult timeout(Request& request) override { return dev_.timeout(request); }
    int poll(RequestQueue& queue, std::uint16_t hw_queue) override;
    void map_queues(TagSet& set) override;
    void init_request(TagSet& set, Request& request, std::uint16_t hw_queue) override;
    void exit_request(TagSet& set, Request& request) override;

   private:
    NvmeDev& dev_;
    const bool admin_;
  };

  // CtrlBus
  std::uint32_t reg_read32(std::uint32_t offset) override;
  std::uint64_t reg_read64(std::uint32_t offset) override;
  void reg_write32(std::uint32_t offset, std::uint32_t value) override;
  void reg_write64(std::uint32_t offset, std::uint64_t value);
  void submit_async_event() override;

  // probe and removal (dev.cpp)
  int dev_map();
  bool remap_bar(std::uint64_t bytes);
  std::uint64_t db_bar_size(unsigned io_queues) const;
  void async_probe();
  void remove_dead_ctrl();
  void remove_dead_ctrl_work();
  int disable_prepare_reset(bool shutdown);
  void set_command(bool memory, bool master);

  // reset (dev_reset.cpp)
  void reset_work();
  int run_reset();
  int pci_enable();
  void pci_disable();
  void map_cmb();
  int configure_admin_queue();
  void alloc_admin_tags();
  int start_io();
  void dev_add();
  void dev_disable(bool shutdown);
  void cancel_requests(TagSet* set);
  unsigned max_io_queues() const;

  // queues (dev_queues.cpp)
  int alloc_queue(std::uint16_t qid, std::uint32_t depth);
  void init_queue(NvmeQueue& queue);
  int queue_request_irq(NvmeQueue& queue);
  void queue_free_irq(NvmeQueue& queue);
  int setup_io_queues();
  int setup_irqs(unsigned io_queues);
  std::vector<unsigned> calc_irq_sets(unsigned vectors);
  int create_io_queues();
  int create_queue(NvmeQueue& queue, bool polled);
  int adapter_alloc_cq(const NvmeQueue& queue, unsigned vector);
  int adapter_alloc_sq(const NvmeQueue& queue);
  int adapter_delete_queue(device::spec::AdminOpcode opcode, std::uint16_t qid);
  void disable_io_queues();
  bool delete_queues(device::spec::AdminOpcode opcode);
  void delete_ended(std::uint64_t request);
  void suspend_queue(NvmeQueue& queue);
  void suspend_io_queues();
  void poll_irqdisable(NvmeQueue& queue);
  int setup_io_queues_trylock();

  // I/O (dev_io.cpp)
  QueueResult queue_rq(Request& request, bool last);
  bool map_data(Request& request, device::spec::SubmissionEntry& entry, QueueResult& error);
  QueueResult fail_nonready(Request& request);
  void handle_cqe(NvmeQueue& queue, const device::spec::CompletionEntry& entry) override;
  void complete_rq(Request& request);
  void retry_rq(Request& request);
  TagSet* tags_of(const NvmeQueue& queue);

  // timeouts (dev_timeout.cpp)
  TimeoutResult timeout(Request& request);
  bool should_reset(std::uint32_t csts) const;
  TimeoutResult abort_request(Request& request);
  void abort_ended(std::uint64_t request);
  void warn_timeout(const Request& request, std::string_view what);

  Machine& machine_;
  base::StageJoin& join_;
  const DriverConfig& config_;
  const GenerationFacts facts_;
  const pcie::FunctionInfo function_;
  Quirks quirks_;
  NvmeWorkQueues& work_queues_;
  NvmeCtrl ctrl_;
  CommandBuilder commands_;
  std::optional<PrpMapper> prps_;  // from probe to removal
  Ops admin_ops_{*this, true};
  Ops io_ops_{*this, false};
  Work async_probe_;
  Work remove_work_;
  Mutex shutdown_lock_;
  Mutex remove_lock_;

  std::uint64_t bar_ = 0;
  std::uint64_t bar_mapped_size_ = 0;
  std::uint64_t dbs_ = 0;         // bus address of the doorbells
  std::uint32_t db_stride_ = 1;   // in units of 4 bytes
  bool subsystem_reset_ = false;  // NSSR is supported
  bool pci_enabled_ = false;
  bool removed_ = false;
  unsigned nr_allocated_queues_ = 0;
  unsigned nr_write_queues_ = 0;
  unsigned nr_poll_queues_ = 0;
  unsigned online_queues_ = 0;  // usable, the admin queue included
  unsigned max_qid_ = 0;
  unsigned num_vecs_ = 0;
  std::uint32_t q_depth_ = 0;
  std::array<unsigned, 3> io_queues_{};
  std::vector<std::unique_ptr<NvmeQueue>> queues_;  // [0] is the admin queue

  std::deque<Iod> iods_;
  std::vector<Iod*> free_iods_;
  std::unique_ptr<TagSet> admin_tagset_;
  std::unique_ptr<RequestQueue> admin_q_;
  std::unique_ptr<TagSet> tagset_;
  std::vector<std::unique_ptr<TagSet>> old_tagsets_;  // disks that are gone may point to them

  std::uint64_t retries_ = 0;
  std::uint64_t aborts_ = 0;
  std::uint64_t timeouts_ = 0;
  std::uint64_t host_aborted_ = 0;
};

}  // namespace nvmesim::host
