// blkparse's default output: maj,min cpu sequence seconds.ns pid ACTION RWBS ...
// A summary follows the events; its lines count as understood.
#include "sim/base/parse.hpp"
#include "sim/workload/blk_event.hpp"

namespace nvmesim::workload {
namespace {

class Blkparse final : public TraceFormat {
 public:
  explicit Blkparse(TraceEvent event) : event_(event) {}

  LineKind read(std::string_view line, TraceLine& request) override {
    Words words(line);
    const std::string_view device = words.next();
    if (!is_device(device))
      return seen_ && is_summary(device) ? LineKind::kOther : LineKind::kUnknown;
    const auto cpu = base::parse_unsigned(words.next());
    const auto sequence = base::parse_unsigned(words.next());
    const auto time = base::parse_decimal_ns(words.next());
    const auto pid = base::parse_unsigned(words.next());
    if (!cpu || *cpu > 0xffff || !sequence || !time || !pid) return LineKind::kUnknown;
    request.cpu = static_cast<std::uint16_t>(*cpu);
    request.time_ns = *time;
    request.space = device;
    const std::string_view action = words.next();
    const LineKind kind = read_blk_event(event_, action, words, request);
    seen_ = seen_ || kind != LineKind::kUnknown;
    return kind;
  }

 private:
  // "CPU0 (8,0):", "Total (8,0):", " Reads Queued: ...", "Throughput (R/W): ...", blank lines.
  static bool is_summary(std::string_view word) {
    if (word.empty()) return true;
    for (const std::string_view start :
         {"CPU", "Total", "Reads", "Read", "IO", "PC", "Throughput", "Events", "Skips"}) {
      if (word.substr(0, start.size()) == start) return true;
    }
    return false;
  }

  const TraceEvent event_;
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<TraceFormat> make_blkparse(TraceEvent event) {
  return std::make_unique<Blkparse>(event);
}

}  // namespace nvmesim::workload
