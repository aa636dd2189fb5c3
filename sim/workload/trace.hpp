// Reading recorded block traces. A trace becomes a list of requests ordered by time, the first one
// at 0. Plain or gzip by content; the format is found from the first 64 lines. A gzip stream is
// read to its end, whatever the limit, so that a damaged file is refused before anything runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/block/bio.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::workload {

struct TraceRequest {
  base::Time at{0};           // from the first request of the trace
  std::uint64_t sector = 0;   // in 512-byte sectors
  std::uint32_t sectors = 0;  // 0 for a flush
  std::uint16_t cpu = 0;      // that submitted it in the recording
  host::BioOp op = host::BioOp::kRead;
  bool fua : 1 = false;
  bool preflush : 1 = false;
  bool sync : 1 = false;
};

// The event of a block trace that counts as the request.
enum class TraceEvent : std::uint8_t {
  kIssue,   // D: given to the driver
  kQueued,  // Q: as the user queued it, before merging and splitting
};

struct ReadOptions {
  TraceEvent event = TraceEvent::kIssue;
  std::uint64_t limit = 0;  // first so many requests in the order of the file; 0 = all
};

// A device (blktrace) or a file (fio) of the recording. Several are laid side by side on the
// drive, each rounded up to 1 MiB, in the order of their first request.
struct TraceSpace {
  std::string name;
  std::uint64_t requests = 0;
  std::uint64_t sectors = 0;       // the end of its highest request
  std::uint64_t first_sector = 0;  // where it begins on the drive
};

struct Trace {
  std::vector<TraceRequest> requests;
  std::string format;  // "blkparse", "ftrace-blk", "fio-iolog-v2", "fio-iolog-v3"
  bool gzip = false;
  std::uint64_t file_bytes = 0;  // of the file as it is
  std::uint32_t file_crc32 = 0;  // of the same
  bool timed = true;             // false: the format has no arrival times and no waits
  bool has_events = true;        // false: ReadOptions::event means nothing to the format
  std::vector<TraceSpace> spaces;
  std::uint64_t lines = 0;
  std::uint64_t other_lines = 0;    // understood, but no request: other events, file actions
  std::uint64_t unknown_lines = 0;  // not understood, or with numbers out of range
  std::uint64_t out_of_order = 0;   // requests earlier than one before them; sorted by time
  std::uint64_t beyond_limit = 0;   // requests left out because of the limit
};

// Throws UserError ("path: what; what to do"): missing, a directory, empty, a damaged gzip
// stream, no known format in the first 64 lines, no request at all, requests more than 90 days
// apart.
Trace read_trace(const std::string& path, const ReadOptions& options = {});

}  // namespace nvmesim::workload
