// One class per trace format, listed in a table. To add a format: write its reader in a file of
// its own, declare its maker here and add a row to kTraceFormats (trace_format.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "host/block/bio.hpp"
#include "sim/workload/trace.hpp"

namespace nvmesim::workload {

enum class LineKind : std::uint8_t {
  kRequest,
  kOther,    // understood, but no request
  kUnknown,  // not of this format, or with numbers out of range
};

// One request as its line has it.
struct TraceLine {
  std::int64_t time_ns = 0;
  std::uint64_t sector = 0;
  std::uint64_t sectors = 0;
  std::uint16_t cpu = 0;
  host::BioOp op = host::BioOp::kRead;
  bool fua = false;
  bool preflush = false;
  bool sync = false;
  std::string_view space;  // device or file; points into the line
  std::uint64_t line = 0;  // its number in the file, from 1
};

// Sectors and counts beyond these are not of this world: such a line is unknown.
inline constexpr std::uint64_t kMaxTraceSector = std::uint64_t{1} << 55;
inline constexpr std::uint64_t kMaxTraceSectors = std::uint64_t{1} << 38;

class TraceFormat {
 public:
  virtual ~TraceFormat() = default;
  // Reads the next line of the file; readers may keep what earlier lines said.
  virtual LineKind read(std::string_view line, TraceLine& request) = 0;
  // Whether the lines read so far had arrival times.
  virtual bool timed() const { return true; }
  // Whether it has events of several kinds, one of which is the request.
  virtual bool has_events() const { return true; }
};

struct TraceFormatRow {
  std::string_view name;
  std::unique_ptr<TraceFormat> (*make)(TraceEvent event);
};

// In the order of preference when several understand equally many lines.
std::span<const TraceFormatRow> trace_formats();

std::unique_ptr<TraceFormat> make_blkparse(TraceEvent event);
std::unique_ptr<TraceFormat> make_ftrace_blk(TraceEvent event);
std::unique_ptr<TraceFormat> make_fio_iolog_v2(TraceEvent event);
std::unique_ptr<TraceFormat> make_fio_iolog_v3(TraceEvent event);

// Splits text at blanks.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}
  // The next word; empty at the end.
  std::string_view next() {
    const auto begin = rest_.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
      rest_ = {};
      return {};
    }
    rest_.remove_prefix(begin);
    const auto length = std::min(rest_.find_first_of(" \t"), rest_.size());
    const std::string_view word = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return word;
  }

 private:
  std::string_view rest_;
};

}  // namespace nvmesim::workload
