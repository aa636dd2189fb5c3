#include "sim/workload/result.hpp"

namespace nvmesim::workload {

void OperationResult::merge(const OperationResult& other) {
  count += other.count;
  errors += other.errors;
  bytes += other.bytes;
  latency_ps.merge(other.latency_ps);
  completion_latency_ps.merge(other.completion_latency_ps);
  for (std::size_t i = 0; i < base::kStageCount; ++i) stage_time[i] += other.stage_time[i];
}

}  // namespace nvmesim::workload
