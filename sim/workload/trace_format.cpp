#include "sim/workload/trace_format.hpp"

namespace nvmesim::workload {
namespace {

constexpr TraceFormatRow kTraceFormats[] = {
    {"blkparse", make_blkparse},
    {"ftrace-blk", make_ftrace_blk},
    {"fio-iolog-v2", make_fio_iolog_v2},
    {"fio-iolog-v3", make_fio_iolog_v3},
};

}  // namespace

std::span<const TraceFormatRow> trace_formats() {
  return kTraceFormats;
}

}  // namespace nvmesim::workload
