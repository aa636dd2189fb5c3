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
#include "host/kernel/pci_errors.hpp"
#include "host/nvme/cmb.hpp"
#include "host/nvme/command.hpp"
#include "host/nvme/ctrl.hpp"
#include "host/nvme/driver_config.hpp"
#include "host/nvme/fail_request.hpp"
#include "host/nvme/host_memory_buffer.hpp"
#include "host/nvme/prp.hpp"
#include "host/nvme/queue.hpp"
#include "host/nvme/quirks.hpp"
#include "host/nvme/tracepoints.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/saved_config.hpp"
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

// Where the system goes to sleep: to idle (the drive stays powered), or to a state in which
// firmware takes over or power goes.
enum class SuspendKind : std::uint8_t { kToIdle, kToRam, kHibernate };

class NvmeDev : public PciErrorHandlers, private CtrlBus, private QueueOwner {
 public:
  NvmeDev(Machine& machine, base::StageJoin& join, const DriverConfig& config,
          const pcie::FunctionInfo& function, unsigned instance, NvmeWorkQueues& work_queues,
          Subsystems& subsystems);
  ~NvmeDev() override;
  NvmeDev(const NvmeDev&) = delete;
  NvmeDev& operator=(const NvmeDev&) = delete;

  // 0 or a negative errno; on error nothing is held.
  int probe();
  // In a thread: until the controller has come up, or has been given up, and was scanned.
  void wait_probed();
  // The driver is unbound.
  void remove();
  // By the user: remove(), and it is not missed afterwards.
  void unbind() {
    unbound_ = true;
    remove();
  }
  bool unbound_by_user() const { return unbound_; }
  unsigned numa_node() const { return machine_.config().drive_node; }
  // The system goes down.
  void shutdown();
  // Power (dev_power.cpp). In threads. 0 or a negative errno.
  int suspend(SuspendKind kind);
  int resume();
  // Around a function level reset by the user.
  void reset_prepare();
  void reset_done();
  // The whole of it: configuration saved, reset_prepare, FLR, configuration restored, reset_done.
  // -ENOTTY if the function has no FLR.
  int reset_function();
  // Handlers of PCI errors.
  PciErrorResult error_detected(PciChannelState state) override;
  PciErrorResult slot_reset() override;
  void error_resume() override;
  // sysfs: hmb = 0 or 1.
  int set_host_memory(bool enable);

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
  std::uint32_t cmbsz() const { return cmbsz_; }
  std::uint32_t cmbloc() const { return cmbloc_; }
  const ControllerMemory& controller_memory() const { return cmb_; }
  // Null while there is none.
  const HostMemoryBuffer* host_memory() const { return hmb_ ? &*hmb_ : nullptr; }
  bool host_memory_enabled() const { return hmb_enabled_; }
  const GenerationFacts& facts() const { return facts_; }
  // Pool blocks and tags that requests hold; all zero when nothing is in flight.
  std::uint64_t pool_blocks_in_use() const;
  std::uint64_t tags_in_use() const;
  void add_statistics(base::StatisticsRegistry& registry, const std::string& prefix) const;
  void set_trace_sink(Tracepoints::Sink sink) { trace_.set_sink(std::move(sink)); }

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
  bool dev_add();
  void alloc_io_tag_set();
  void dev_disable(bool shutdown);
  void cancel_requests(TagSet* set);
  unsigned max_io_queues() const;

  // memory shared with the drive (dev_memory.cpp)
  int setup_host_mem();
  int set_host_mem_feature(std::uint32_t bits);
  void free_host_mem();
  bool cmb_qdepth(unsigned io_queues);
  void dbbuf_dma_alloc();
  void dbbuf_dma_free();
  void dbbuf_set();
  ShadowDoorbells shadow_of(unsigned qid) const;

  // power (dev_power.cpp)
  void set_asleep(bool asleep, bool cold);
  void set_slot_power(bool on);
  void save_pci_state();
  void restore_pci_state();

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
  bool map_integrity(Request& request, const NvmeNs& ns, device::spec::SubmissionEntry& entry);
  void load_data(const Request& request);
  bool integrity_holds(const Request& request);
  void unmap(Request& request);
  void map_for_drive(const Request& request, bool map);
  void add_segment(std::uint64_t address, std::uint64_t bytes);
  const std::vector<DataSegment>& segments_of(const Request& request);
  bool use_sgl(const Request& request, std::size_t segments, bool simple) const;
  Tracepoints::Place trace_place(const Request& request) const;
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
  std::optional<SglMapper> sgls_;
  std::vector<DataSegment> segments_;  // of the request being mapped
  std::vector<std::byte> integrity_data_;
  std::vector<std::byte> integrity_tuples_;
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
  PciChannelState channel_ = PciChannelState::kNormal;
  pcie::SavedConfig saved_config_;
  bool asleep_ = false;
  bool cold_ = false;  // and without power
  static constexpr std::uint32_t kNoPowerState = ~std::uint32_t{0};
  std::uint32_t last_ps_ = kNoPowerState;  // power state before suspend
  std::uint32_t cmbsz_ = 0;
  std::uint32_t cmbloc_ = 0;
  ControllerMemory cmb_;
  bool cmb_use_sqes_ = false;
  std::optional<HostMemoryBuffer> hmb_;
  bool hmb_enabled_ = false;
  DmaMemory dbbuf_dbs_;  // shadow doorbells
  DmaMemory dbbuf_eis_;  // event indexes
  bool removed_ = false;
  bool unbound_ = false;
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
  FailRequest fail_request_;
  Tracepoints trace_;
  std::uint64_t injected_ = 0;
};

}  // namespace nvmesim::host
