// The queue of one disk, or of a controller's own commands: turns bios into requests, gives them
// to the driver, and ends them. Several queues may share one tag set.
//
// A bio costs its processor one slice (engine_cost, block layer, driver), at whose end it is
// split, gets tags and is issued. Everything but the functions marked "thread" runs in entries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/block/flush.hpp"
#include "host/block/tag_set.hpp"

namespace nvmesim::host {

class RequestQueue {
 public:
  explicit RequestQueue(TagSet& set);
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  TagSet& tag_set() { return set_; }
  BlockLimits& limits() { return limits_; }
  const BlockLimits& limits() const { return limits_; }
  void* driver_data = nullptr;  // a namespace, say; the driver's own

  // --- bios
  void submit(Bio& bio);
  void unplug(CpuId cpu);
  // How a generation of the kernel gathers: so many requests at most, and whether a bio is compared
  // with the newest of them only.
  struct PlugRules {
    std::uint32_t most_requests = 16;
    bool newest_only = false;
  };
  std::uint32_t nomerges() const { return machine_.config().nomerges; }
  void set_plug_rules(const PlugRules& rules) { plug_rules_ = rules; }
  void set_capacity(std::uint64_t sectors) { capacity_sectors_ = sectors; }
  std::uint64_t capacity_sectors() const { return capacity_sectors_; }

  // --- for the driver: life of a request
  // It is with the device from now on: state, deadline. The driver calls it in queue_rq.
  void start_request(Request& request);
  // The device has completed it; QueueOps::complete decides. Does nothing for a request that is
  // not in flight: false.
  bool complete_request(Request& request);
  // Ends it: bio or end_io, then its tag is free.
  void end_request(Request& request, BlockStatus status);
  // Back to the head of the queue; issued again by kick_requeue_list or delay_kick_requeue_list.
  void requeue_request(Request& request);
  void kick_requeue_list() { delay_kick_requeue_list(base::kTimeZero); }
  // As the kernel has it: a later kick replaces the delay of an earlier one that has not run.
  void delay_kick_requeue_list(base::Time delay);

  // --- passthrough
  struct AllocFlags {
    bool nowait = false;    // null instead of waiting
    bool reserved = false;  // one of the reserved tags
  };
  // thread, unless nowait. Null if the queue is dying, or with nowait if there is no tag or the
  // queue is frozen. op is kDriverIn or kDriverOut. hw_queue: that one, not the processor's.
  static constexpr std::uint16_t kAnyQueue = 0xffff;
  Request* alloc_request(RequestOp op, AllocFlags flags, std::uint16_t hw_queue = kAnyQueue);
  // For one that was allocated and not executed, or whose end_io was called by execute_rq_nowait.
  void free_request(Request& request);
  // thread. Issues it and waits for its end; result and status are in the request, which the
  // caller frees. What it returns is the status given to end_request.
  BlockStatus execute_rq(Request& request, bool at_head = false);
  // Issues it; request.end_io is called at its end and must free the request (or have it freed
  // later). request.block_status is the status given to end_request.
  void execute_rq_nowait(Request& request, bool at_head = false);

  // --- stopping
  // Counted. From the first on no bio enters; wait_freeze (thread) returns when all that entered
  // have ended.
  void freeze_start();
  void wait_freeze();
  // False if the timeout passed first.
  bool wait_freeze_timeout(base::Time timeout);
  void unfreeze();
  bool frozen() const { return freeze_depth_ != 0; }
  // Not counted: requests are kept back from the driver.
  void quiesce() { quiesced_ = true; }
  void unquiesce();
  bool quiesced() const { return quiesced_; }
  // New and frozen bios end with kIoError from now on.
  void mark_dying();
  bool dying() const { return dying_; }
  // thread. Stops the timeout timer and waits for timeout handlers that are running.
  void sync();

  // Issues what is waiting for a hardware queue, or for all.
  void run_hw_queue(std::uint16_t hw_queue);
  void run_hw_queues();
  int poll(std::uint16_t hw_queue) { return set_.ops().poll(*this, hw_queue); }

  // --- observation
  std::uint64_t waiting_for_tag() const { return waiting_for_tag_; }
  // Bios, and requests without one, that have entered and not ended.
  std::uint64_t entered() const { return entered_; }
  std::uint64_t requests_issued() const { return requests_issued_; }
  std::uint64_t bios_split() const { return bios_split_; }
  // Bios that went with another one's request, and times that gathered requests were issued.
  std::uint64_t bios_merged() const { return bios_merged_; }
  std::uint64_t plug_flushes() const { return plug_flushes_; }
  std::uint64_t flushes_ended_here() const { return flushes_ended_here_; }
  std::uint64_t requeues() const { return requeues_; }
  std::uint64_t timeouts() const { return timeouts_; }
  // Flush commands sent to the drive.
  std::uint64_t flush_commands() const;
  // Open bios are linked by next_open.
  const Bio* oldest_open() const { return oldest_open_; }

 private:
  friend class TagSet;
  friend class FlushQueue;

  struct List {
    Request* first = nullptr;
    Request* last = nullptr;
    bool empty() const { return first == nullptr; }
    void push_back(Request& request);
    void push_front(Request& request);
    Request& pop();
    void prepend(List& other);  // and empties it
  };
  struct Hardware {
    Hardware(RequestQueue& queue, std::uint16_t index);
    void rerun() { queue.run_hw_queue(index); }
    RequestQueue& queue;
    const std::uint16_t index;
    List dispatch;
    FlushQueue flush;
    Timer rerun_timer;  // after kResource
    // Polled queues: requests that are looked for, and the processor that looks.
    void look() { queue.poll_slice(*this); }
    std::uint32_t polled_open = 0;
    bool looking = false;
    CpuId looker;
    std::uint32_t empty_looks = 0;
  };

  // What a processor's task has gathered (plug.cpp).
  struct Plug {
    List list;
    std::uint32_t requests = 0;
  };
  void plugged_slice_ended(Bio& bio);
  bool merge(Plug& plug, Bio& bio);
  bool mergeable(const Request& request, const Bio& bio) const;
  static void merge_into(Request& request, Bio& bio);
  bool within_limits(const Request& request, const Bio& bio, bool in_front) const;
  bool pieces_fit(const Bio& first, const Bio& second) const;
  bool may_be_gathered(const Bio& bio) const;
  bool full(const Plug& plug) const;
  bool hold(Plug& plug, Bio& bio);
  void flush_plug(Plug& plug, std::uint32_t paid);
  void flush_plug_of(std::uint64_t cpu) { flush_plug(plugs_[cpu], 0); }
  void open_merged(Request& request);
  void end_merged(Request& request, BlockStatus status);
  // bios
  void admit(Bio& bio);
  void slice_ended(std::uint64_t bio);
  void enter(Bio& bio);
  bool valid(const Bio& bio) const;
  void make_requests(Bio& bio, bool waited);
  std::uint64_t next_sectors(const Bio& bio) const;
  std::uint64_t sectors_in_segments(const Bio& bio, std::uint64_t most) const;
  void start_polling(std::uint16_t hw_queue, CpuId cpu);
  void poll_slice(Hardware& hw);
  static QueueType type_of(const Bio& bio);
  void prepare(Request& request, Bio& bio, std::uint64_t sectors);
  void tag_granted(Bio& bio);
  void end_bio_part(Request& request, BlockStatus status);
  void finish_bio(Bio& bio, BlockStatus status);
  void open_bio(Bio& bio);
  void close_bio(Bio& bio);
  void admit_frozen();
  // requests
  void route(Request& request, bool last);
  void issue(Request& request, bool last);
  bool send(Request& request, bool last);
  void release(Request& request);
  void leave();
  void set_hw_queues(std::uint16_t hw_queues);
  // timers
  void arm_timeout(base::Time latest);
  void timeout_expired();
  void timeout_work();
  void handle_timeout(Request& request);
  void requeue_work();

  TagSet& set_;
  Machine& machine_;
  base::Scheduler& scheduler_;
  const base::Time block_cost_;
  const base::Time driver_cost_;
  const base::Time wake_cost_;
  const base::Time poll_cost_;
  BlockLimits limits_;
  std::uint64_t capacity_sectors_ = 0;
  std::vector<std::unique_ptr<Hardware>> hw_;
  std::vector<std::unique_ptr<Hardware>> retired_;  // gone, but somebody is still looking at them
  List requeue_list_;
  Timer requeue_timer_;
  Timer timeout_timer_;
  Work timeout_work_;
  base::Time timeout_expires_ = base::kTimeMax;
  WaitQueue freeze_wait_;
  WaitQueue freeze_end_;  // threads that allocate a request
  Bio* first_frozen_ = nullptr;
  Bio* last_frozen_ = nullptr;
  Bio* oldest_open_ = nullptr;
  Bio* newest_open_ = nullptr;
  unsigned freeze_depth_ = 0;
  bool quiesced_ = false;
  bool dying_ = false;
  std::uint64_t entered_ = 0;
  std::uint64_t waiting_for_tag_ = 0;
  std::uint64_t requests_issued_ = 0;
  std::uint64_t flush_commands_before_ = 0;  // of hardware queues that went away
  std::uint64_t bios_split_ = 0;
  std::vector<Plug> plugs_;          // by processor
  std::uint32_t requests_held_ = 0;  // in all of them
  PlugRules plug_rules_;
  std::uint64_t bios_merged_ = 0;
  std::uint64_t plug_flushes_ = 0;
  std::uint64_t flushes_ended_here_ = 0;
  std::uint64_t requeues_ = 0;
  std::uint64_t timeouts_ = 0;
};

}  // namespace nvmesim::host
