// Runs all jobs of a fio job file at once, each clone of a job as a closed loop of its own depth.
// Clone n (counted over the file) submits on CPU n modulo the CPUs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/workload/job_file.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::workload {

class Job;

class JobRunner final : public Runner {
 public:
  // Throws UserError for what only shows with the drive: sizes beyond it, blocks that are not
  // whole logical blocks. A job with verify= turns verification on for the whole run.
  JobRunner(base::Scheduler& scheduler, host::BlockDevice& device, const JobFile& file,
            const RunnerConfig& config);
  ~JobRunner() override;

 private:
  void begin() override;
  void request_ended(const EndedIo& io) override;
  bool exhausted() const override;
  Progress run_progress() const override;
  void complete_result(WorkloadResult& result) const override;
  std::size_t result_groups() const override { return file_.jobs.size(); }

  void pump(std::size_t index);
  void pump_batches(std::size_t index);

  const JobFile file_;
  std::vector<std::unique_ptr<Job>> jobs_;  // clones, in the order of the file
};

}  // namespace nvmesim::workload
