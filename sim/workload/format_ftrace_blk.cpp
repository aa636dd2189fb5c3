// ftrace's blk tracer in its classic form: maj,min cpu seconds.ns pid ACTION RWBS ...
// That is blkparse without the sequence number. Lines that begin with # are its header.
#include "sim/base/parse.hpp"
#include "sim/workload/blk_event.hpp"

namespace nvmesim::workload {
namespace {

class FtraceBlk final : public TraceFormat {
 public:
  explicit FtraceBlk(TraceEvent event) : event_(event) {}

  LineKind read(std::string_view line, TraceLine& request) override {
    Words words(line);
    const std::string_view device = words.next();
    if (!is_device(device)) {
      const bool header = seen_ && (device.empty() || device.front() == '#');
      return header ? LineKind::kOther : LineKind::kUnknown;
    }
    const auto cpu = base::parse_unsigned(words.next());
    const std::string_view stamp = words.next();
    const auto time = base::parse_decimal_ns(stamp);
    const auto pid = base::parse_unsigned(words.next());
    if (!cpu || *cpu > 0xffff || !time || !pid) return LineKind::kUnknown;
    if (stamp.find('.') == stamp.npos) return LineKind::kUnknown;
    request.cpu = static_cast<std::uint16_t>(*cpu);
    request.time_ns = *time;
    request.space = device;
    const std::string_view action = words.next();
    const LineKind kind = read_blk_event(event_, action, words, request);
    seen_ = seen_ || kind != LineKind::kUnknown;
    return kind;
  }

 private:
  const TraceEvent event_;
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<TraceFormat> make_ftrace_blk(TraceEvent event) {
  return std::make_unique<FtraceBlk>(event);
}

}  // namespace nvmesim::workload
