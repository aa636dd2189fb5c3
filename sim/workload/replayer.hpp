// Replays a trace onto a block device. Open loop: each request is submitted at its arrival time
// (scaled by `speed`), whatever became of the earlier ones; what finds no processor or no tag waits
// in the block layer, and the backlog says how much that was. Closed loop: `closed_loop` requests
// are kept in flight and the arrival times are ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/workload/runner.hpp"
#include "sim/workload/trace.hpp"

namespace nvmesim::workload {

// A factor held exactly: "2", "0.5", "1.25".
struct Speed {
  std::uint64_t numerator = 1;
  std::uint64_t denominator = 1;
};
// Throws UserError: not a decimal number, zero, or beyond 9 digits on either side of the point.
Speed parse_speed(std::string_view text);

struct ReplayConfig {
  RunnerConfig run;
  std::string speed = "1";           // arrival times are divided by it
  std::uint32_t closed_loop = 0;     // requests kept in flight; 0 = open loop
  std::uint32_t max_open = 65536;    // open loop: later requests wait in the replayer
  std::uint64_t engine_cost_ns = 0;  // CPU time above the block layer, per request
  // Open loop: requests of one CPU that arrive within so many us of each other, with none of
  // another CPU in between, come from one task under a plug. 0 = no plugs.
  std::uint64_t plug_us = 0;
};

class Replayer final : public Runner {
 public:
  // The trace must outlive the replayer. Throws UserError if the speed is none, or the replay
  // would last longer than the simulated time can count.
  Replayer(base::Scheduler& scheduler, host::BlockDevice& device, const Trace& trace,
           const ReplayConfig& config);

 private:
  static constexpr base::Time kLongest = std::chrono::hours{90 * 24};

  void begin() override;
  void request_ended(const EndedIo& io) override;
  bool exhausted() const override;
  Progress run_progress() const override;
  void complete_result(WorkloadResult& result) const override;

  base::Time scaled(base::Time at) const;
  base::Time next_due() const;
  void arrive();
  void open_request(const TraceRequest& request);
  void submit_next(base::Time due);
  bool plug_goes_on(const TraceRequest& request, base::Time due) const;
  void unplug();

  const Trace& trace_;
  const ReplayConfig config_;
  const Speed speed_;
  const std::uint64_t count_;  // requests of the trace
  const std::uint64_t capacity_;
  const std::uint64_t block_sectors_;
  std::uint32_t depth_;  // 0 = open loop
  std::uint64_t next_ = 0;
  std::uint64_t sector_ = 0;     // of what is left of request next_
  std::uint64_t remaining_ = 0;  // sectors of it; 0 = nothing submitted yet
  bool armed_ = false;
  std::uint16_t plugged_cpu_ = 0;
  bool plugged_ = false;  // something is gathered there, and what releases it is still to come
  base::Time last_due_{0};
  base::Time all_issued_{0};  // those that have ended, without their own submission software
  ReplayFacts facts_;
  Backlog backlog_;
};

}  // namespace nvmesim::workload
