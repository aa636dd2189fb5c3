// fio's I/O log, versions 2 and 3: a header, then `file add|open|close` and
// `file read|write|trim|sync|datasync|wait offset length` in bytes. Version 3 puts a time in us
// in front of each line and has no wait; in version 2 `wait` holds us since the wait before it,
// so that the waits add up to the arrival times.
#include <limits>

#include "sim/base/parse.hpp"
#include "sim/workload/trace_format.hpp"

namespace nvmesim::workload {
namespace {

class FioIolog final : public TraceFormat {
 public:
  explicit FioIolog(bool stamped)
      : header_(stamped ? "fio version 3 iolog" : "fio version 2 iolog"), stamped_(stamped) {}

  LineKind read(std::string_view line, TraceLine& request) override {
    if (!in_log_) {
      in_log_ = line == header_;
      return in_log_ ? LineKind::kOther : LineKind::kUnknown;
    }
    if (line.empty()) return LineKind::kOther;
    Words words(line);
    if (stamped_) {
      const auto time_us = base::parse_unsigned(words.next());
      if (!time_us || *time_us > kMaxTimeUs) return LineKind::kUnknown;
      request.time_ns = static_cast<std::int64_t>(*time_us) * 1000;
    } else {
      request.time_ns = waited_ns_;
    }
    request.space = words.next();
    const std::string_view action = words.next();
    const std::string_view offset = words.next();
    const std::string_view length = words.next();
    if (action == "add" || action == "open" || action == "close") {
      return offset.empty() ? LineKind::kOther : LineKind::kUnknown;
    }
    if (action == "sync" || action == "datasync") {
      request.op = host::BioOp::kFlush;
      return LineKind::kRequest;
    }
    if (action == "wait" && !stamped_) return wait(offset);
    return read_io(action, offset, length, request);
  }

  bool timed() const override { return stamped_ || waited_ns_ > 0; }
  bool has_events() const override { return false; }

 private:
  static constexpr std::uint64_t kMaxTimeUs =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 1000 / 2;

  LineKind wait(std::string_view offset) {
    const auto delay_us = base::parse_unsigned(offset);
    if (!delay_us || *delay_us > kMaxTimeUs) return LineKind::kUnknown;
    const auto delay_ns = static_cast<std::int64_t>(*delay_us) * 1000;
    if (delay_ns > std::numeric_limits<std::int64_t>::max() - waited_ns_) return LineKind::kUnknown;
    waited_ns_ += delay_ns;
    return LineKind::kOther;
  }

  static LineKind read_io(std::string_view action, std::string_view offset_text,
                          std::string_view length_text, TraceLine& request) {
    if (action == "read") {
      request.op = host::BioOp::kRead;
    } else if (action == "write") {
      request.op = host::BioOp::kWrite;
    } else if (action == "trim") {
      request.op = host::BioOp::kDiscard;
    } else {
      return LineKind::kUnknown;
    }
    const auto offset = base::parse_unsigned(offset_text);
    const auto length = base::parse_unsigned(length_text);
    if (!offset || !length) return LineKind::kUnknown;
    if (*length > kMaxTraceSectors * host::kSectorBytes) return LineKind::kUnknown;
    if (*offset > kMaxTraceSector / 2 * host::kSectorBytes) return LineKind::kUnknown;
    if (*length == 0) return LineKind::kOther;
    const std::uint64_t end = base::ceil_div(*offset + *length, host::kSectorBytes);
    request.sector = *offset / host::kSectorBytes;
    request.sectors = end - request.sector;
    return LineKind::kRequest;
  }

  const std::string_view header_;
  const bool stamped_;
  bool in_log_ = false;
  std::int64_t waited_ns_ = 0;
};

}  // namespace

std::unique_ptr<TraceFormat> make_fio_iolog_v2(TraceEvent) {
  return std::make_unique<FioIolog>(false);
}

std::unique_ptr<TraceFormat> make_fio_iolog_v3(TraceEvent) {
  return std::make_unique<FioIolog>(true);
}

}  // namespace nvmesim::workload
