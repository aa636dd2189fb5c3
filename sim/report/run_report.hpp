// Everything that a run tells, as plain data: sim/app fills it from the workload's result and the
// registries, the printers of this room read it. Times are exact (picoseconds); means, rates and
// percentiles are formed only when printing. Nothing in it may depend on the wall clock.
#pragma once

#include <array>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::report {

enum class Operation : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };
inline constexpr std::size_t kOperationCount = 5;
// "read", "write", "flush", "discard", "write_zeroes".
std::string_view name(Operation operation);

// Picoseconds by stage, indexed by base::Stage.
using StageTimes = std::array<base::Time, base::kStageCount>;

// Requests of one kind that ended within the measured time.
struct OperationReport {
  std::uint64_t count = 0;             // ended, failed ones included
  std::uint64_t errors = 0;            // of them, failed
  std::uint64_t bytes = 0;             // of those that did not fail
  base::Histogram latency;             // ps, from submission to the end
  base::Histogram completion_latency;  // ps, the same without the submission software (fio's clat)
  StageTimes stages{};                 // sums over all requests in `latency`; together its sum()
};
using OperationReports = std::array<OperationReport, kOperationCount>;

// Of the whole run, warm-up included.
struct RequestCounts {
  std::uint64_t submitted = 0;
  std::uint64_t completed = 0;  // failed ones included
  std::uint64_t failed = 0;
  std::uint64_t warmup = 0;  // submitted in the warm-up: counted in no operation
};

struct JobReport {
  std::string name;
  OperationReports operations;
};

struct SlowRequest {
  std::uint64_t number = 0;  // in the order of submission, from 0
  Operation operation = Operation::kRead;
  bool failed = false;
  std::uint64_t sector = 0;  // of 512 bytes
  std::uint64_t bytes = 0;
  base::Time due{0};        // when it should have been submitted, from the start of the workload
  base::Time submitted{0};  // when it was
  base::Time latency{0};
  StageTimes stages{};
};

// What was read from a trace file, and what was done to make it fit the drive.
struct TraceReport {
  std::string source;  // as the user named it
  std::string format;
  bool gzip = false;
  std::uint64_t requests = 0;       // taken from it
  std::uint64_t beyond_limit = 0;   // not taken: the user wanted so many
  std::uint64_t other_lines = 0;    // understood, but no request
  std::uint64_t unknown_lines = 0;  // not understood
  std::uint64_t out_of_order = 0;   // requests with a time before that of an earlier one: sorted
  std::uint64_t wrapped = 0;        // began beyond the drive's end
  std::uint64_t split = 0;          // became several requests
  std::uint64_t aligned = 0;        // widened to whole logical blocks
};

// Open-loop replay: how far the host fell behind the trace.
struct BacklogReport {
  std::uint64_t requests = 0;
  // From the arrival in the trace until the request was issued, its own submission software apart.
  base::Time behind_max{0};
  base::Time behind_sum{0};
  base::Time end_behind{0};            // from the last arrival until all had been issued
  std::uint64_t late_submissions = 0;  // held back because too many requests were open
  base::Time processor_wait_max{0};    // of the submission software for its processor
  base::Time processor_wait_sum{0};
  std::uint64_t tag_waits = 0;  // requests that waited for a tag
  base::Time tag_wait_max{0};
  base::Time tag_wait_sum{0};
  std::uint64_t open_max = 0;  // most requests open at once
  std::uint64_t waiting_for_tag_max = 0;
};

struct VerificationReport {
  std::uint64_t sectors_written = 0;
  std::uint64_t sectors_checked = 0;      // read back after the run
  std::uint64_t sectors_checked_run = 0;  // by reads of the run
  std::uint64_t sectors_not_checked = 0;
  std::uint64_t media_reads_checked = 0;  // by the media, against its own record of what it stored
  std::uint64_t read_back_errors = 0;
  bool read_back_complete = false;
  std::uint64_t mismatches = 0;
  std::vector<std::string> first_mismatches;  // a few, one line each

  bool passed() const { return mismatches == 0 && read_back_errors == 0 && read_back_complete; }
};

struct UtilisationRow {
  std::string name;   // "link.upstream"
  std::string group;  // "link"
  base::Time busy{0};
};

struct StatisticRow {
  std::string name;
  std::string unit;
  std::string help;
  std::uint64_t value = 0;  // of the measured span
  bool level = false;       // as it was at the end of it, not what was added
};

// What was never written costs no access to the medium, which makes a drive look fast.
struct ReadsReport {
  std::uint64_t commands = 0;   // read commands that reached the media
  std::uint64_t unwritten = 0;  // of them, with a block that was never written or is deallocated
};

// Why flash is programmed: for the host, to make room, out of the SLC cache into full cells, for
// reads or retention, to level wear, with parity, with nothing (to fill a program), with the
// mapping table.
inline constexpr std::array<std::string_view, 8> kWriteCauses{
    "host", "collection", "folding", "refresh", "wear_levelling", "parity", "padding", "mapping"};

// Media with pages that are programmed and blocks that are erased.
struct FlashReport {
  std::uint64_t host_bytes = 0;             // written by the host
  std::uint64_t host_programmed_bytes = 0;  // programmed for it: whole units, repeats coalesced
  std::uint64_t media_bytes = 0;            // programmed, by whatever cause
  std::uint64_t garbage_collections = 0;
  std::uint64_t moved_bytes = 0;  // by garbage collection
  std::uint64_t erases = 0;
  std::array<std::uint64_t, kWriteCauses.size()> by_cause{};  // media_bytes, in bytes each
};

// A request that was open when nothing moved any more.
struct OpenRequest {
  Operation operation = Operation::kRead;
  std::uint64_t sector = 0;
  std::uint64_t bytes = 0;
  base::Time submitted{0};
  std::string stage;  // "waiting for a tag"
  std::uint16_t queue = 0;
  std::uint16_t command = 0;
};

struct HangReport {
  std::string reason;  // "nothing is pending while requests are open"
  base::Time at{0};
  std::vector<OpenRequest> open;  // oldest first
};

// A run under a real kernel: what its own results do not say.
struct GuestReport {
  std::optional<std::uint64_t> exit_status;  // of the command; nothing if it did not end
  base::Time io_open{0};                     // of the measured span: the drive had an I/O command
  base::Time alone{0};                       // ... and none was: time of the guest alone
  std::uint64_t admin_commands = 0;
  std::uint64_t other_commands = 0;      // I/O commands that are none of the operations
  std::uint64_t cancelled_commands = 0;  // I/O commands that a reset found open
};

struct RunReport {
  std::string tool = "nvmesim";
  std::string version;
  std::string command;  // the verb: "replay"
  boost::json::value configuration;
  // What the workload was: the trace and how it was replayed, or the jobs; schema.json says how.
  boost::json::object workload;
  std::uint64_t seed = 0;
  base::Time simulated{0};  // SystemC time from start to end
  base::Time measured{0};   // of that, the span that rates refer to (without warm-up)
  // The span that busy times refer to; 0: the simulated time.
  base::Time utilisation_span{0};

  bool partial = false;
  std::string partial_reason;      // "interrupted by the user"
  std::vector<std::string> notes;  // remarks for the user, one line each

  RequestCounts requests;
  OperationReports operations;          // all jobs together
  OperationReport block_layer_flushes;  // to a drive without volatile cache; not in operations
  std::vector<JobReport> jobs;          // where there are several
  std::vector<SlowRequest> slowest;     // slowest first

  ReadsReport reads;
  std::optional<TraceReport> trace;
  std::optional<BacklogReport> backlog;
  std::optional<VerificationReport> verification;
  std::optional<FlashReport> flash;
  std::optional<GuestReport> guest;
  std::optional<HangReport> hang;
  std::vector<UtilisationRow> utilisation;
  std::vector<StatisticRow> statistics;

  OperationReport& of(Operation operation) {
    return operations[static_cast<std::size_t>(operation)];
  }
  const OperationReport& of(Operation operation) const {
    return operations[static_cast<std::size_t>(operation)];
  }
};

}  // namespace nvmesim::report
