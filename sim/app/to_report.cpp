#include "sim/app/to_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "models/media.hpp"

namespace nvmesim::app {
namespace {

// The two enumerations have the same order by design of both rooms.
static_assert(report::kOperationCount == workload::kOperationCount);

report::Operation operation(workload::Operation value) {
  return static_cast<report::Operation>(value);
}

report::OperationReport operation_report(const workload::OperationResult& from) {
  return {.count = from.count,
          .errors = from.errors,
          .bytes = from.bytes,
          .latency = from.latency_ps,
          .completion_latency = from.completion_latency_ps,
          .stages = from.stage_time};
}

report::OperationReports operation_reports(const workload::OperationResults& results) {
  report::OperationReports reports;
  for (std::size_t i = 0; i < workload::kOperationCount; ++i) {
    reports[i] = operation_report(results[i]);
  }
  return reports;
}

report::SlowRequest slow_request(const workload::SlowRequest& from) {
  return {.number = from.number,
          .operation = operation(from.operation),
          .failed = from.failed,
          .sector = from.sector,
          .bytes = std::uint64_t{from.sectors} * host::kSectorBytes,
          .due = from.due,
          .submitted = from.submitted,
          .latency = from.stages.total(),
          .stages = stage_times(from.stages)};
}

report::BacklogReport backlog_report(const workload::Backlog& from) {
  return {.requests = from.requests,
          .behind_max = from.behind_max,
          .behind_sum = from.behind_sum,
          .end_behind = from.end_behind,
          .late_submissions = from.late_submissions,
          .processor_wait_max = from.processor_wait_max,
          .processor_wait_sum = from.processor_wait_sum,
          .tag_waits = from.tag_waits,
          .tag_wait_max = from.tag_wait_max,
          .tag_wait_sum = from.tag_wait_sum,
          .open_max = from.open_max,
          .waiting_for_tag_max = from.waiting_for_tag_max};
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

// The controller's word for a command, out of its lines "queue Q CID C: OPCODE: STATE since ...".
// A command that it does not have is on its way there, or its completion got lost.
std::string device_stage(std::string_view in_flight, std::uint16_t queue, std::uint16_t command) {
  const std::string key = fmt::format("queue {} CID {}: ", queue, command);
  for (std::size_t at = 0; at < in_flight.size();) {
    const std::size_t end = std::min(in_flight.find('\n', at), in_flight.size());
    const std::string_view line = in_flight.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(key)) continue;
    const std::size_t from = line.find(": ", key.size());
    const std::size_t to = line.rfind(" since ");
    if (from == line.npos || to == line.npos || to < from + 2) break;
    return fmt::format("drive: {}", line.substr(from + 2, to - from - 2));
  }
  return "drive: not fetched, or lost";
}

}  // namespace

report::StageTimes stage_times(const base::StageRecord& record) {
  report::StageTimes times{};
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    times[i] = record.spent(static_cast<base::Stage>(i));
  }
  return times;
}

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
    if (report.trace->out_of_order != 0) {
      report.notes.push_back(fmt::format(
          "{} {} earlier than one before it in the trace: sorted", report.trace->out_of_order,
          report.trace->out_of_order == 1 ? "request has a time" : "requests have times"));
    }
    if (result.replay.closed_loop_for_want_of_times) {
      report.notes.push_back("the trace has no arrival times: replayed in closed loop");
    }
  }
}

void add_measured(report::RunReport& report, const MeasuredSpan& span,
                  const base::StatisticsRegistry& registry, models::MediaKind media) {
  report.utilisation_span = span.length();
  for (const MeasuredSpan::Busy& row : span.busy(registry)) {
    report.utilisation.push_back({row.name, row.group, row.time});
  }
  const std::vector<MeasuredSpan::Row> rows = span.statistics(registry);
  for (const auto& [statistic, value] : rows) {
    report.statistics.push_back(
        {statistic.name, statistic.unit, statistic.help, value, statistic.level});
  }
  report.reads.commands = value_of(rows, "device.media.read.commands");
  report.reads.unwritten = value_of(rows, "device.media.read.unmapped_commands");
  if (media != models::MediaKind::nand) return;
  const auto bytes = [&](std::string_view name) {
    return value_of(rows, name) * models::kUnitBytes;
  };
  report::FlashReport flash;
  flash.host_bytes = value_of(rows, "device.controller.written_bytes");
  flash.host_programmed_bytes = bytes("device.media.ftl.host_units");
  flash.moved_bytes = bytes("device.media.ftl.gc_units");
  flash.by_cause = {flash.host_programmed_bytes,
                    bytes("device.media.ftl.space_units"),
                    bytes("device.media.ftl.fold_units"),
                    bytes("device.media.ftl.refresh_units"),
                    bytes("device.media.ftl.wear_units"),
                    bytes("device.media.ftl.parity_units"),
                    bytes("device.media.ftl.padding_units"),
                    value_of(rows, "device.media.map_cache.written")};
  flash.media_bytes = std::accumulate(flash.by_cause.begin(), flash.by_cause.end(), 0ull);
  flash.garbage_collections = value_of(rows, "device.media.ftl.gc_runs");
  flash.erases = value_of(rows, "device.media.nand.erases");
  report.flash = flash;
}

report::HangReport hang_report(std::string reason, base::Time at, const workload::Runner& workload,
                               std::string_view in_flight) {
  report::HangReport report;
  report.reason = std::move(reason);
  report.at = at;
  for (const workload::OpenRequest& open : workload.open_requests()) {
    const bool issued = open.queue != 0 || open.command != 0;
    report.open.push_back(
        {.operation = static_cast<report::Operation>(open.op),
         .sector = open.sector,
         .bytes = std::uint64_t{open.sectors} * host::kSectorBytes,
         .submitted = open.submitted,
         .stage = issued ? device_stage(in_flight, open.queue, open.command) : open.stage,
         .queue = open.queue,
         .command = open.command});
  }
  return report;
}

}  // namespace nvmesim::app
