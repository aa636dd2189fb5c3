#include "sim/workload/blk_event.hpp"

#include <algorithm>
#include <iterator>

#include "sim/base/parse.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::string_view kActions[] = {"Q",  "G", "I", "D", "C", "M", "F", "R", "P", "U",
                                         "UT", "X", "A", "B", "S", "T", "W", "m", "DT"};

bool known_action(std::string_view action) {
  return std::find(std::begin(kActions), std::end(kActions), action) != std::end(kActions);
}

// RWBS: F for a flush in front, the operation, then E (secure erase), F (FUA), A, S, M.
// A flush has no data operation ("FN", "FF", "FS") or one without sectors ("FWS").
LineKind read_rwbs(std::string_view rwbs, TraceLine& request) {
  constexpr std::string_view kOperations = "RWDN";
  std::size_t at = 0;
  if (rwbs[0] == 'F') {
    request.preflush = true;
    ++at;
  }
  request.op = host::BioOp::kFlush;
  if (at < rwbs.size() && kOperations.find(rwbs[at]) != kOperations.npos) {
    switch (rwbs[at]) {
      case 'R':
        request.op = host::BioOp::kRead;
        break;
      case 'W':
        request.op = host::BioOp::kWrite;
        break;
      case 'D':
        request.op = host::BioOp::kDiscard;
        break;
      default:
        request.op = host::BioOp::kWriteZeroes;
        break;  // N: an operation without letter
    }
    ++at;
  } else if (!request.preflush) {
    return LineKind::kOther;  // zone management and others
  }
  for (; at < rwbs.size(); ++at) {
    switch (rwbs[at]) {
      case 'F':
        request.fua = true;
        break;
      case 'S':
        request.sync = true;
        break;
      case 'A':
      case 'M':
      case 'E':
        break;
      default:
        return LineKind::kUnknown;
    }
  }
  return LineKind::kRequest;
}

LineKind as_flush(TraceLine& request) {
  if (!request.preflush) return LineKind::kOther;
  request.op = host::BioOp::kFlush;
  request.preflush = false;
  request.fua = false;
  request.sector = 0;
  request.sectors = 0;
  return LineKind::kRequest;
}

}  // namespace

bool is_device(std::string_view word) {
  const auto comma = word.find(',');
  return comma != word.npos && base::parse_unsigned(word.substr(0, comma)).has_value() &&
         base::parse_unsigned(word.substr(comma + 1)).has_value();
}

LineKind read_blk_event(TraceEvent event, std::string_view action, Words words,
                        TraceLine& request) {
  if (!known_action(action)) return LineKind::kUnknown;
  if (action != (event == TraceEvent::kIssue ? "D" : "Q")) return LineKind::kOther;
  const std::string_view rwbs = words.next();
  if (rwbs.empty()) return LineKind::kUnknown;
  const LineKind kind = read_rwbs(rwbs, request);
  if (kind != LineKind::kRequest) return kind;

  const std::string_view first = words.next();
  if (first.empty() || first.front() == '[') return as_flush(request);
  const auto sector = base::parse_unsigned(first);
  if (!sector || *sector > kMaxTraceSector) return LineKind::kUnknown;
  if (words.next() != "+") return LineKind::kOther;  // a passthrough command: bytes (cdb)
  const auto sectors = base::parse_unsigned(words.next());
  if (!sectors || *sectors > kMaxTraceSectors) return LineKind::kUnknown;
  if (*sectors == 0) return as_flush(request);
  if (request.op == host::BioOp::kFlush) return LineKind::kUnknown;
  request.sector = *sector;
  request.sectors = *sectors;
  return LineKind::kRequest;
}

}  // namespace nvmesim::workload
