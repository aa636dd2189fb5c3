// What blkparse and ftrace's blk tracer have in common: "maj,min", and the part of a line from the
// action on: `D  WS 273440 + 8 [comm]`.
#pragma once

#include <string_view>

#include "sim/workload/trace_format.hpp"

namespace nvmesim::workload {

bool is_device(std::string_view word);  // "259,0"

// `action` is the word before `words`. Only the event asked for can be a request.
LineKind read_blk_event(TraceEvent event, std::string_view action, Words words, TraceLine& request);

}  // namespace nvmesim::workload
