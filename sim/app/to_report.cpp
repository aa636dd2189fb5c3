#include "sim/app/to_report.hpp"

#include <fmt/format.h>

namespace nvmesim::app {
namespace {

// The two enumerations have the same order by design of both rooms.
static_assert(report::kOperationCount == workload::kOperationCount);

report::Operation operation(workload::Operation value) {
  return static_cast<report::Operation>(value);
}

report::StageTimes stage_times(const base::StageRecord& record) {
  report::StageTimes times{};
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    times[i] = record.spent(static_cast<base::Stage>(i));
  }
  return times;
}

report::OperationReport operation_report(const workload::OperationResult& from) {
  report::OperationReport to;
  to.count = from.count;
  to.bytes = from.bytes;
  to.errors = from.errors;
  to.latency = from.latency_ps;
  to.completion_latency = from.completion_latency_ps;
  to.stages = from.stage_time;
  return to;
}

report::OperationReports operation_reports(const workload::OperationResults& results) {
  report::OperationReports reports;
  for (std::size_t i = 0; i < workload::kOperationCount; ++i) {
    reports[i] = operation_report(results[i]);
  }
  return reports;
}

report::SlowRequest slow_request(const workload::SlowRequest& from) {
  report::SlowRequest to;
  to.number = from.number;
  to.operation = operation(from.operation);
  to.failed = from.failed;
  to.sector = from.sector;
  to.bytes = std::uint64_t{from.sectors} * 512;
  to.due = from.due;
  to.submitted = from.submitted;
  to.latency = from.stages.total();
  to.stages = stage_times(from.stages);
  return to;
}

report::BacklogReport backlog_report(const workload::Backlog& from) {
  report::BacklogReport to;
  to.requests = from.requests;
  to.behind_max = from.behind_max;
  to.behind_sum = from.behind_sum;
  to.end_behind = from.end_behind;
  to.late_submissions = from.late_submissions;
  to.tag_waits = from.tag_waits;
  to.tag_wait_max = from.tag_wait_max;
  to.tag_wait_sum = from.tag_wait_sum;
  to.open_max = from.open_max;
  to.waiting_for_tag_max = from.waiting_for_tag_max;
  return to;
}

report::VerificationReport verification_report(const workload::VerifyResult& from) {
  report::VerificationReport to;
  to.sectors_written = from.sectors_written;
  to.sectors_checked = from.sectors_checked;
  to.sectors_checked_run = from.sectors_checked_run;
  to.sectors_not_checked = from.sectors_not_checked;
  to.read_back_errors = from.read_back_errors;
  to.read_back_complete = from.read_back_complete;
  to.mismatches = from.mismatches;
  for (const workload::VerifyMismatch& mismatch : from.first_mismatches) {
    to.first_mismatches.push_back(
        fmt::format("sector {}: expected {}, found {}{}", mismatch.sector, mismatch.expected,
                    mismatch.found, mismatch.in_read_back ? "" : " (read during the run)"));
  }
  return to;
}

}  // namespace

void add_result(report::RunReport& report, const workload::WorkloadResult& result) {
  report.measured = result.measured();
  report.operations = operation_reports(result.operations);
  report.block_layer_flushes = operation_report(result.block_layer_flushes);
  report.requests.submitted = result.requests_submitted;
  report.requests.completed = result.requests_completed;
  report.requests.failed = result.requests_failed;
  report.requests.warmup = result.requests_warmup;
  for (const workload::JobResult& job : result.jobs) {
    report.jobs.push_back({job.name, operation_reports(job.operations)});
  }
  for (const auto& slow : result.slowest) report.slowest.push_back(slow_request(slow));
  if (result.backlog) report.backlog = backlog_report(*result.backlog);
  if (result.verified) report.verification = verification_report(*result.verified);
  if (report.trace) {
    report.trace->wrapped = result.replay.wrapped;
    report.trace->split = result.replay.split;
    report.trace->aligned = result.replay.aligned;
    if (result.replay.closed_loop_for_want_of_times) {
      report.notes.push_back("the trace has no arrival times: replayed in closed loop");
    }
  }
}

report::HangReport hang_report(std::string reason, base::Time at,
                               const workload::Runner& workload) {
  report::HangReport report;
  report.reason = std::move(reason);
  report.at = at;
  for (const workload::OpenRequest& open : workload.open_requests()) {
    report.open.push_back({static_cast<report::Operation>(open.op), open.sector,
                           std::uint64_t{open.sectors} * 512, open.submitted, open.stage,
                           open.queue, open.command});
  }
  return report;
}

}  // namespace nvmesim::app
