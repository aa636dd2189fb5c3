// What a workload measured: plain data, filled by the IoEngine, read by reports. It includes
// sim/base only. Times are simulated; nothing here depends on the wall clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::workload {

// In the order of host::BioOp.
enum class Operation : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };
inline constexpr std::size_t kOperationCount = 5;
inline constexpr std::array<std::string_view, kOperationCount> kOperationNames = {
    "read", "write", "flush", "discard", "write_zeroes"};

constexpr std::string_view name(Operation operation) {
  return kOperationNames[static_cast<std::size_t>(operation)];
}

// Requests of one kind that ended and were counted (not those of the warm-up).
struct OperationResult {
  std::uint64_t count = 0;                // ended, failed ones included
  std::uint64_t errors = 0;               // of them, failed
  std::uint64_t bytes = 0;                // of those that did not fail
  base::Histogram latency_ps;             // from submission to the end, as its user sees it
  base::Histogram completion_latency_ps;  // the same without Stage::kSubmit (fio's clat)
  // Sum over the requests counted; the stages together are latency_ps.sum().
  std::array<base::Time, base::kStageCount> stage_time{};

  void merge(const OperationResult& other);
};
using OperationResults = std::array<OperationResult, kOperationCount>;

struct SlowRequest {
  std::uint64_t number = 0;  // in the order of submission, from 0
  Operation operation = Operation::kRead;
  bool failed = false;
  std::uint64_t sector = 0;  // in 512-byte sectors
  std::uint32_t sectors = 0;
  std::uint16_t cpu = 0;
  base::Time due{0};         // when it should have been submitted, from the start of the workload
  base::Time submitted{0};   // when it was
  base::StageRecord stages;  // total() is its latency
};

// How far an open-loop replay fell behind its trace. A request is behind by the time from its
// arrival in the trace until it was issued to the drive, the processor time of its own submission
// left out: what it waited in the replayer, for the processor and for a tag.
struct Backlog {
  std::uint64_t requests = 0;  // of which the following speaks
  base::Time behind_max{0};
  base::Time behind_sum{0};            // mean = behind_sum / requests
  std::uint64_t late_submissions = 0;  // held back because max_open requests were open
  base::Time processor_wait_max{0};
  base::Time processor_wait_sum{0};
  std::uint64_t tag_waits = 0;  // requests that waited for a tag
  base::Time tag_wait_max{0};
  base::Time tag_wait_sum{0};
  std::uint64_t open_max = 0;             // most requests open at once
  std::uint64_t waiting_for_tag_max = 0;  // most waiting for a tag, seen at submissions
  base::Time end_behind{0};               // from the last arrival until all had been issued
};

// One sector that did not read as any acceptable version.
struct VerifyMismatch {
  std::uint64_t sector = 0;
  bool in_read_back = false;  // else seen by a read of the workload
  std::string expected;       // "write 17", "write 17 or write 19", "zeroes"
  std::string found;          // "write 12", "write 17 of sector 4711", "zeroes", "damaged ..."
};

struct VerifyResult {
  std::uint64_t writes = 0;               // writes, discards and write zeroes followed
  std::uint64_t sectors_written = 0;      // different sectors that were written or zeroed
  std::uint64_t sectors_checked = 0;      // in the read-back
  std::uint64_t sectors_checked_run = 0;  // by reads of the workload
  std::uint64_t sectors_not_checked = 0;  // zeroed ranges beyond the limit of the read-back
  std::uint64_t read_back_errors = 0;     // reads of the read-back that failed
  std::uint64_t mismatches = 0;           // sectors, both kinds of check together
  bool read_back_complete = false;
  std::vector<VerifyMismatch> first_mismatches;  // at most 10

  bool passed() const { return mismatches == 0 && read_back_errors == 0 && read_back_complete; }
};

struct JobResult {
  std::string name;
  OperationResults operations;
};

// What the replayer did to a trace to make it fit. All zero for fio jobs.
struct ReplayFacts {
  std::uint64_t trace_requests = 0;  // taken from the trace
  std::uint64_t wrapped = 0;         // began beyond the drive's end
  std::uint64_t split = 0;           // became several requests: too large, or across the end
  std::uint64_t aligned = 0;         // widened to whole logical blocks
  bool closed_loop_for_want_of_times = false;  // the trace has no arrival times
};

struct WorkloadResult {
  bool complete = false;  // false: stopped before its end, or still running

  OperationResults operations;          // all jobs together
  OperationResult block_layer_flushes;  // flushes to a drive without volatile cache; not above
  std::vector<JobResult> jobs;          // fio jobs only, in the order of the file
  std::vector<SlowRequest> slowest;     // slowest first

  std::uint64_t requests_submitted = 0;
  std::uint64_t requests_completed = 0;  // warm-up and failed ones included
  std::uint64_t requests_failed = 0;     // of them, warm-up included
  std::uint64_t requests_warmup = 0;     // of them, submitted in the warm-up: counted nowhere else
  std::uint64_t requests_lost() const { return requests_submitted - requests_completed; }

  base::Time started{0};           // start of the workload, simulated time since power on
  base::Time first_submission{0};  // these three are from `started`
  base::Time last_completion{0};   // the read-back left out
  base::Time warmup{0};
  // The window that the counted requests fall in: rates are count / measured().
  base::Time measured() const {
    return last_completion > warmup ? last_completion - warmup : base::Time{0};
  }

  ReplayFacts replay;
  std::optional<Backlog> backlog;        // open-loop replays only
  std::optional<VerifyResult> verified;  // with verification only
};

}  // namespace nvmesim::workload
