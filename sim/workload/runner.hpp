// A workload as its caller sees it: a replay of a trace or a set of fio jobs. Call-backs on the
// Scheduler, no thread. start() once; then the workload runs its requests, and with verification
// reads back what it wrote, and calls `finished` from an entry. result() may be asked at any time:
// before the end it is what is known so far, with `complete` false.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "host/block/bio.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/workload/io_engine.hpp"
#include "sim/workload/read_back.hpp"
#include "sim/workload/result.hpp"
#include "sim/workload/verifier.hpp"

namespace nvmesim::workload {

// What every workload has. Ranges are checked where a user gives values: by the command's options.
struct RunnerConfig {
  std::uint64_t seed = 1;
  std::uint64_t warmup_us = 0;  // requests submitted earlier than this are not counted
  std::uint32_t slowest = 10;   // slowest requests to keep
  bool verify = false;
  VerifyConfig verification;
};

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 1;  // never 0
  bool reading_back = false;
};

class Runner : private IoClient {
 public:
  Runner(base::Scheduler& scheduler, host::BlockDevice& device, const RunnerConfig& config);
  ~Runner() override = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // From an entry, a thread or before the simulation starts.
  void start(base::Callback finished);
  // Called when the warm-up is over, before the first request that counts; not at all if the run
  // ends earlier. To be set before the start.
  void set_measuring(base::Callback measuring) { measuring_ = measuring; }
  // Called when the last request of the run has ended, before anything is read back.
  void set_run_ended(base::Callback run_ended) { run_ended_ = run_ended; }
  // No new requests from now on; those in flight end, then `finished` (after the read-back).
  void stop();

  bool finished() const { return finished_; }
  Progress progress() const;
  // Grows with every request that ends and every sector that is read back, and with nothing else.
  std::uint64_t work_done() const;
  WorkloadResult result() const;
  std::vector<OpenRequest> open_requests() const { return engine_.open_requests(); }

 protected:
  // The first requests; from an entry at the start time.
  virtual void begin() = 0;
  virtual void request_ended(const EndedIo& io) = 0;
  // No request will follow those in flight.
  virtual bool exhausted() const = 0;
  virtual Progress run_progress() const = 0;
  virtual void complete_result(WorkloadResult& result) const = 0;

  // Finishes if nothing is left to do. Called by itself after begin() and each request_ended().
  void check_finished();
  // Submits as this workload.
  void submit(const IoRequest& request) { engine_.submit(request, *this); }

  base::Scheduler& scheduler() { return scheduler_; }
  const base::Scheduler& scheduler() const { return scheduler_; }
  host::BlockDevice& device() { return device_; }
  const host::BlockDevice& device() const { return device_; }
  IoEngine& engine() { return engine_; }
  const IoEngine& engine() const { return engine_; }
  base::Time start_time() const { return start_; }
  bool stopping() const { return stopping_; }
  // For the constructor of a workload that asks for it by itself.
  void enable_verification();
  virtual std::size_t result_groups() const { return 1; }

 private:
  void io_ended(const EndedIo& io) final;
  void begin_entry();
  void measuring_entry() { measuring_(); }
  void finish();

  base::Scheduler& scheduler_;
  host::BlockDevice& device_;
  const RunnerConfig config_;
  std::unique_ptr<Verifier> verifier_;
  IoEngine engine_;
  std::unique_ptr<ReadBack> read_back_;
  base::Callback finished_callback_;
  base::Callback measuring_;
  base::Callback run_ended_;
  base::Scheduler::Handle measuring_handle_;
  base::Time start_{0};
  bool started_ = false;
  bool stopping_ = false;
  bool finished_ = false;
};

}  // namespace nvmesim::workload
