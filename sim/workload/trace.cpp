#include "sim/workload/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/workload/line_source.hpp"
#include "sim/workload/trace_format.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::size_t kDetectionLines = 64;
constexpr std::uint64_t kDayNs = std::uint64_t{24} * 3600 * 1'000'000'000;
constexpr std::uint64_t kMaxSpanNs = 90 * kDayNs;
constexpr std::uint64_t kSpaceAlign = 2048;  // sectors: 1 MiB

// The format that understands most of the first lines, as an index of the table.
std::size_t detect(std::span<const std::string> lines, TraceEvent event, const std::string& path) {
  std::size_t best = 0;
  std::size_t best_known = 0;
  const auto formats = trace_formats();
  for (std::size_t i = 0; i < formats.size(); ++i) {
    const auto reader = formats[i].make(event);
    std::size_t known = 0;
    for (const std::string& line : lines) {
      TraceLine request;
      known += reader->read(line, request) != LineKind::kUnknown ? 1 : 0;
    }
    if (known > best_known) {
      best = i;
      best_known = known;
    }
  }
  if (best_known > 0) return best;
  std::string names;
  for (const auto& format : formats)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", format.name);
  throw base::UserError(fmt::format("{}: no known trace format in the first {} lines; known are {}",
                                    path, kDetectionLines, names));
}

// Collects the requests of one file.
class Collector {
 public:
  Collector(const TraceFormatRow& format, const ReadOptions& options)
      : options_(options), reader_(format.make(options.event)) {
    trace_.format = format.name;
  }

  void line(std::string_view text, bool too_long) {
    ++trace_.lines;
    TraceLine request;
    request.line = trace_.lines;
    switch (too_long ? LineKind::kUnknown : reader_->read(text, request)) {
      case LineKind::kUnknown:
        ++trace_.unknown_lines;
        break;
      case LineKind::kOther:
        ++trace_.other_lines;
        break;
      case LineKind::kRequest:
        take(request);
        break;
    }
  }

  Trace finish(const std::string& path) {
    if (items_.empty()) {
      throw base::UserError(
          fmt::format("{}: holds no request ({} lines of {}); record the events D (issue) or Q",
                      path, trace_.lines, trace_.format));
    }
    sort();
    check_span(path);
    lay_out();
    emit();
    trace_.timed = reader_->timed();
    trace_.has_events = reader_->has_events();
    return std::move(trace_);
  }

 private:
  struct Item {
    TraceLine line;
    std::uint32_t space = 0;
  };

  void take(const TraceLine& request) {
    if (options_.limit != 0 && items_.size() >= options_.limit) {
      ++trace_.beyond_limit;
      return;
    }
    const std::uint32_t index = space_of(request.space);
    TraceSpace& space = trace_.spaces[index];
    ++space.requests;
    space.sectors = std::max(space.sectors, request.sector + request.sectors);
    items_.push_back({request, index});
    items_.back().line.space = {};
  }

  std::uint32_t space_of(std::string_view name) {
    const auto found = space_index_.find(name);
    if (found != space_index_.end()) return found->second;
    const auto index = static_cast<std::uint32_t>(trace_.spaces.size());
    trace_.spaces.push_back({std::string(name), 0, 0, 0});
    space_index_.emplace(name, index);
    return index;
  }

  void sort() {
    std::int64_t latest = std::numeric_limits<std::int64_t>::min();
    for (const Item& item : items_) {
      if (item.line.time_ns < latest) ++trace_.out_of_order;
      latest = std::max(latest, item.line.time_ns);
    }
    if (trace_.out_of_order == 0) return;
    std::stable_sort(items_.begin(), items_.end(),
                     [](const Item& a, const Item& b) { return a.line.time_ns < b.line.time_ns; });
  }

  // One damaged time would push all others out of what a replay can span, and it may be any of
  // them: which one, the user must say.
  void check_span(const std::string& path) const {
    for (std::size_t i = 1; i < items_.size(); ++i) {
      const TraceLine& before = items_[i - 1].line;
      const TraceLine& after = items_[i].line;
      if (difference(after.time_ns, items_.front().line.time_ns) <= kMaxSpanNs) continue;
      throw base::UserError(fmt::format(
          "{}:{}: is {} days later than line {}, but a replay spans at most 90; remove the line "
          "whose time is wrong",
          path, after.line, difference(after.time_ns, before.time_ns) / kDayNs, before.line));
    }
  }

  // later - earlier; their signs may differ.
  static std::uint64_t difference(std::int64_t later, std::int64_t earlier) {
    return static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier);
  }

  void lay_out() {
    std::uint64_t next = 0;
    for (TraceSpace& space : trace_.spaces) {
      space.first_sector = next;
      next += base::ceil_div(space.sectors, kSpaceAlign) * kSpaceAlign;
    }
  }

  void emit() {
    const std::int64_t origin = items_.front().line.time_ns;
    trace_.requests.reserve(items_.size());
    for (const Item& item : items_) {
      TraceRequest request;
      request.at = base::Time{(item.line.time_ns - origin) * 1000};
      request.cpu = item.line.cpu;
      request.op = item.line.op;
      request.fua = item.line.fua;
      request.preflush = item.line.preflush;
      request.sync = item.line.sync;
      append(request, item.line.sector + trace_.spaces[item.space].first_sector, item.line.sectors);
    }
  }

  // Counts beyond 32 bits become several requests of the same time.
  void append(TraceRequest request, std::uint64_t sector, std::uint64_t sectors) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 31;
    do {
      const std::uint64_t part = std::min(sectors, kMost);
      request.sector = sector;
      request.sectors = static_cast<std::uint32_t>(part);
      trace_.requests.push_back(request);
      sector += part;
      sectors -= part;
    } while (sectors > 0);
  }

  const ReadOptions& options_;
  std::unique_ptr<TraceFormat> reader_;
  Trace trace_;
  std::vector<Item> items_;
  std::map<std::string, std::uint32_t, std::less<>> space_index_;
};

}  // namespace

Trace read_trace(const std::string& path, const ReadOptions& options) {
  LineSource source(path);
  std::vector<std::string> head;
  std::vector<bool> head_too_long;
  std::string_view line;
  while (head.size() < kDetectionLines && source.next(line)) {
    head.emplace_back(line);
    head_too_long.push_back(source.too_long());
  }
  if (head.empty()) throw base::UserError(fmt::format("{}: is empty; check the path", path));
  const TraceFormatRow& format = trace_formats()[detect(head, options.event, path)];

  Collector collector(format, options);
  for (std::size_t i = 0; i < head.size(); ++i) collector.line(head[i], head_too_long[i]);
  while (source.next(line)) collector.line(line, source.too_long());
  Trace trace = collector.finish(path);
  trace.gzip = source.gzip();
  trace.file_bytes = source.file_bytes();
  trace.file_crc32 = source.file_crc32();
  return trace;
}

}  // namespace nvmesim::workload
