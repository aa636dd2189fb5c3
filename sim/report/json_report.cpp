#include "sim/report/json_report.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "sim/base/assert.hpp"
#include "sim/report/figures.hpp"
#include "sim/report/text_format.hpp"

namespace nvmesim::report {
namespace {

namespace json = boost::json;

json::string_view key(std::string_view text) {
  return {text.data(), text.size()};
}
json::string_view key(const std::string& text) {
  return {text.data(), text.size()};
}

json::object latency_json(const base::Histogram& histogram) {
  json::object result;
  result["count"] = histogram.count();
  result["total_ps"] = histogram.sum();
  result["mean_ns"] = ns(scaled(histogram.sum(), 1, histogram.count()));
  result["min_ns"] = ns(histogram.min());
  for (const Percentile& percentile : kPercentiles) {
    result[key(percentile.key)] = ns(histogram.percentile(percentile.parts_per_million));
  }
  result["max_ns"] = ns(histogram.max());
  return result;
}

// Stages that took no time at all are left out.
json::object mean_stages_json(const StageTimes& stages, std::uint64_t count) {
  std::uint64_t total = 0;
  for (const base::Time time : stages) total += ps(time);
  json::object result;
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    if (stages[i].count() == 0) continue;
    json::object stage;
    stage["mean_ns"] = ns(scaled(ps(stages[i]), 1, count));
    stage["share_ratio"] = ratio(ps(stages[i]), total);
    stage["total_ps"] = ps(stages[i]);
    result[key(base::name(static_cast<base::Stage>(i)))] = std::move(stage);
  }
  return result;
}

json::object stages_ns_json(const StageTimes& stages) {
  json::object result;
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    if (stages[i].count() == 0) continue;
    result[std::string(base::name(static_cast<base::Stage>(i))) + "_ns"] = ns(stages[i]);
  }
  return result;
}

json::object operation_json(const OperationReport& operation, base::Time measured) {
  json::object result;
  result["count"] = operation.count;
  result["bytes"] = operation.bytes;
  result["errors"] = operation.errors;
  result["iops"] = per_second(operation.count, measured);
  result["bandwidth_bytes_per_s"] = per_second_integer(operation.bytes, measured);
  result["latency"] = latency_json(operation.latency);
  result["completion_latency"] = latency_json(operation.completion_latency);
  result["stages"] = mean_stages_json(operation.stages, operation.latency.count());
  return result;
}

json::object operations_json(const OperationReports& operations, base::Time measured) {
  json::object result;
  for (const Operation operation : kOperations) {
    const OperationReport& row = operations[static_cast<std::size_t>(operation)];
    if (row.count != 0) result[key(name(operation))] = operation_json(row, measured);
  }
  return result;
}

json::object requests_json(const RequestCounts& requests) {
  json::object result;
  result["submitted"] = requests.submitted;
  result["completed"] = requests.completed;
  result["failed"] = requests.failed;
  result["lost"] = requests.submitted - requests.completed;
  result["warmup"] = requests.warmup;
  return result;
}

json::object total_json(const RunReport& report) {
  const OperationReport total = sum_of(report.operations);
  json::object result;
  result["count"] = total.count;
  result["bytes"] = total.bytes;
  result["errors"] = total.errors;
  result["iops"] = per_second(total.count, report.measured);
  result["bandwidth_bytes_per_s"] = per_second_integer(total.bytes, report.measured);
  return result;
}

json::array jobs_json(const RunReport& report) {
  json::array result;
  for (const JobReport& job : report.jobs) {
    result.push_back(json::object{
        {"name", key(job.name)}, {"operations", operations_json(job.operations, report.measured)}});
  }
  return result;
}

json::array slowest_json(const RunReport& report) {
  json::array result;
  for (const SlowRequest& slow : report.slowest) {
    json::object row;
    row["number"] = slow.number;
    row["operation"] = key(name(slow.operation));
    row["failed"] = slow.failed;
    row["sector"] = slow.sector;
    row["bytes"] = slow.bytes;
    row["due_ns"] = ns(slow.due);
    row["submitted_ns"] = ns(slow.submitted);
    row["latency_ns"] = ns(slow.latency);
    row["stages"] = stages_ns_json(slow.stages);
    result.push_back(std::move(row));
  }
  return result;
}

json::object trace_json(const TraceReport& trace) {
  return {{"source", key(trace.source)},
          {"format", key(trace.format)},
          {"gzip", trace.gzip},
          {"requests", trace.requests},
          {"beyond_limit", trace.beyond_limit},
          {"other_lines", trace.other_lines},
          {"unknown_lines", trace.unknown_lines},
          {"out_of_order", trace.out_of_order},
          {"wrapped", trace.wrapped},
          {"split", trace.split},
          {"aligned", trace.aligned}};
}

json::object backlog_json(const BacklogReport& backlog) {
  const auto mean = [](base::Time sum, std::uint64_t count) {
    return ns(scaled(ps(sum), 1, count));
  };
  return {{"requests", backlog.requests},
          {"behind_mean_ns", mean(backlog.behind_sum, backlog.requests)},
          {"behind_max_ns", ns(backlog.behind_max)},
          {"end_behind_ns", ns(backlog.end_behind)},
          {"late_submissions", backlog.late_submissions},
          {"processor_wait_mean_ns", mean(backlog.processor_wait_sum, backlog.requests)},
          {"processor_wait_max_ns", ns(backlog.processor_wait_max)},
          {"tag_waits", backlog.tag_waits},
          {"tag_wait_mean_ns", mean(backlog.tag_wait_sum, backlog.tag_waits)},
          {"tag_wait_max_ns", ns(backlog.tag_wait_max)},
          {"open_max", backlog.open_max},
          {"waiting_for_tag_max", backlog.waiting_for_tag_max}};
}

json::object verification_json(const VerificationReport& verification) {
  json::array lines;
  for (const std::string& line : verification.first_mismatches) lines.push_back(key(line));
  return {{"passed", verification.passed()},
          {"sectors_written", verification.sectors_written},
          {"sectors_checked", verification.sectors_checked},
          {"sectors_checked_run", verification.sectors_checked_run},
          {"sectors_not_checked", verification.sectors_not_checked},
          {"media_reads_checked", verification.media_reads_checked},
          {"read_back_errors", verification.read_back_errors},
          {"read_back_complete", verification.read_back_complete},
          {"mismatches", verification.mismatches},
          {"first_mismatches", std::move(lines)}};
}

json::object flash_json(const FlashReport& flash) {
  json::object result;
  result["host_bytes"] = flash.host_bytes;
  result["host_programmed_bytes"] = flash.host_programmed_bytes;
  result["media_bytes"] = flash.media_bytes;
  // Without host writes there is nothing to relate to.
  if (flash.host_bytes != 0) {
    result["write_amplification_ratio"] = ratio(flash.media_bytes, flash.host_bytes);
  }
  result["garbage_collections"] = flash.garbage_collections;
  result["moved_bytes"] = flash.moved_bytes;
  result["erases"] = flash.erases;
  json::object& causes = (result["by_cause"] = json::object()).as_object();
  for (std::size_t i = 0; i < kWriteCauses.size(); ++i) {
    json::object cause{{"bytes", flash.by_cause[i]}};
    if (flash.host_bytes != 0) {
      cause["amplification_ratio"] = ratio(flash.by_cause[i], flash.host_bytes);
    }
    causes[key(kWriteCauses[i])] = std::move(cause);
  }
  return result;
}

json::object guest_json(const GuestReport& guest) {
  json::object result;
  if (guest.exit_status) result["exit_status"] = *guest.exit_status;
  result["io_open_ns"] = ns(guest.io_open);
  result["alone_ns"] = ns(guest.alone);
  result["admin_commands"] = guest.admin_commands;
  result["other_commands"] = guest.other_commands;
  result["cancelled_commands"] = guest.cancelled_commands;
  return result;
}

json::object hang_json(const HangReport& hang) {
  json::object result;
  result["reason"] = hang.reason;
  result["at_ns"] = ns(hang.at);
  json::array& open = (result["open"] = json::array()).as_array();
  for (const OpenRequest& request : hang.open) {
    json::object row;
    row["operation"] = key(name(request.operation));
    row["sector"] = request.sector;
    row["bytes"] = request.bytes;
    row["submitted_ns"] = ns(request.submitted);
    row["stage"] = request.stage;
    row["queue"] = request.queue;
    row["command"] = request.command;
    open.push_back(std::move(row));
  }
  return result;
}

json::object utilisation_json(const RunReport& report) {
  const std::uint64_t span = ps(use_span(report));
  json::object result;
  for (const GroupUse& use : by_group(report.utilisation)) {
    json::object group;
    group["mean_busy_ratio"] = ratio(scaled(use.busy_sum, 1, use.members.size()), span);
    group["max_busy_ratio"] = ratio(use.busy_max, span);
    json::object& members = (group["members"] = json::object()).as_object();
    for (const UtilisationRow& row : use.members) {
      NVMESIM_ASSERT(!members.contains(key(row.name)), "two resources have one name");
      members[key(row.name)] = json::object{{"busy_ratio", ratio(ps(row.busy), span)}};
    }
    result[key(use.group)] = std::move(group);
  }
  return result;
}

json::object statistics_json(const RunReport& report) {
  json::object result;
  for (const StatisticRow& row : report.statistics) {
    NVMESIM_ASSERT(!result.contains(key(row.name)), "two statistics have one name");
    json::object statistic;
    statistic["value"] = row.value;
    statistic["unit"] = row.unit;
    statistic["help"] = row.help;
    statistic["level"] = row.level;
    result[key(row.name)] = std::move(statistic);
  }
  return result;
}

class Printer {
 public:
  std::string take() {
    out_ += '\n';
    return std::move(out_);
  }

  void print(const json::value& value, std::string_view under, std::size_t depth) {
    switch (value.kind()) {
      case json::kind::null:
        out_ += "null";
        break;
      case json::kind::bool_:
        out_ += value.get_bool() ? "true" : "false";
        break;
      case json::kind::int64:
        append("{}", value.get_int64());
        break;
      case json::kind::uint64:
        append("{}", value.get_uint64());
        break;
      case json::kind::double_:
        append("{:.{}f}", value.get_double(), decimals(under));
        break;
      case json::kind::string:
        print_string(value.get_string());
        break;
      case json::kind::array:
        print_array(value.get_array(), under, depth);
        break;
      case json::kind::object:
        print_object(value.get_object(), depth);
        break;
    }
  }

 private:
  static int decimals(std::string_view under) { return under.ends_with("_ratio") ? 6 : 3; }

  template <class... Arguments>
  void append(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
  }

  void new_line(std::size_t depth) {
    out_ += '\n';
    out_.append(2 * depth, ' ');
  }

  // File names and the like may hold any bytes; JSON is UTF-8.
  void print_string(json::string_view text) {
    out_ += json::serialize(json::string(key(valid_utf8({text.data(), text.size()}))));
  }

  void print_array(const json::array& array, std::string_view under, std::size_t depth) {
    if (array.empty()) {
      out_ += "[]";
      return;
    }
    char before = '[';
    for (const json::value& element : array) {
      out_ += before;
      new_line(depth + 1);
      print(element, under, depth + 1);
      before = ',';
    }
    new_line(depth);
    out_ += ']';
  }

  void print_object(const json::object& object, std::size_t depth) {
    if (object.empty()) {
      out_ += "{}";
      return;
    }
    char before = '{';
    for (const auto& member : object) {
      out_ += before;
      new_line(depth + 1);
      print_string(member.key());
      out_ += ": ";
      print(member.value(), {member.key().data(), member.key().size()}, depth + 1);
      before = ',';
    }
    new_line(depth);
    out_ += '}';
  }

  std::string out_;
};

}  // namespace

boost::json::value to_json(const RunReport& report) {
  json::object result;
  result["format"] = "nvmesim-report";
  result["format_version"] = kFormatVersion;
  result["tool"] = json::object{{"name", key(report.tool)}, {"version", key(report.version)}};
  result["command"] = key(report.command);
  result["configuration"] =
      report.configuration.is_object() ? report.configuration : json::value(json::object());
  if (!report.workload.empty()) result["workload"] = report.workload;
  result["seed"] = report.seed;
  result["simulated_time_ns"] = ns(report.simulated);
  result["measured_time_ns"] = ns(report.measured);
  result["partial"] = report.partial;
  if (report.partial) result["partial_reason"] = key(report.partial_reason);
  json::array& notes = (result["notes"] = json::array()).as_array();
  for (const std::string& note : report.notes) notes.push_back(key(note));
  if (report.trace) result["trace"] = trace_json(*report.trace);
  result["requests"] = requests_json(report.requests);
  result["total"] = total_json(report);
  result["operations"] = operations_json(report.operations, report.measured);
  if (report.block_layer_flushes.count != 0) {
    result["block_layer_flushes"] = operation_json(report.block_layer_flushes, report.measured);
  }
  if (!report.jobs.empty()) result["jobs"] = jobs_json(report);
  if (report.backlog) result["backlog"] = backlog_json(*report.backlog);
  if (report.reads.commands != 0) {
    result["media_reads"] =
        json::object{{"commands", report.reads.commands}, {"unwritten", report.reads.unwritten}};
  }
  if (report.verification) result["verification"] = verification_json(*report.verification);
  if (report.flash) result["flash"] = flash_json(*report.flash);
  if (report.guest) result["guest"] = guest_json(*report.guest);
  if (report.hang) result["hang"] = hang_json(*report.hang);
  result["utilisation"] = utilisation_json(report);
  result["statistics"] = statistics_json(report);
  result["slowest"] = slowest_json(report);
  return result;
}

std::string print_json(const boost::json::value& document) {
  Printer printer;
  printer.print(document, "", 0);
  return printer.take();
}

}  // namespace nvmesim::report
