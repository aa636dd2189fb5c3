#include "sim/app/linux_results.hpp"

#include <algorithm>

#include "device/spec/commands.hpp"
#include "sim/app/to_report.hpp"
#include "sim/bridge/guest/run_marks.hpp"
#include "sim/report/json_report.hpp"

namespace nvmesim::app {
namespace {

using Command = bridge::CommandWatch::Command;
using device::spec::NvmOpcode;

std::optional<report::Operation> operation_of(const Command& command) {
  switch (static_cast<NvmOpcode>(command.opcode)) {
    case NvmOpcode::kRead:
      return report::Operation::kRead;
    case NvmOpcode::kWrite:
      return report::Operation::kWrite;
    case NvmOpcode::kFlush:
      return report::Operation::kFlush;
    case NvmOpcode::kWriteZeroes:
      return report::Operation::kWriteZeroes;
    case NvmOpcode::kDatasetManagement:
      if (command.deallocates) return report::Operation::kDiscard;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// What a real kernel does not read is no part of what its results depend on.
boost::json::value configuration(const system_::SystemConfig& config) {
  boost::json::value described = system_::describe_config(config);
  boost::json::object& all = described.as_object();
  all.erase("driver");
  boost::json::object host;
  for (const char* name :
       {"memory_bytes", "memory_read_latency_ns", "memory_read_ns_per_kib", "aspm"}) {
    host[name] = all.at("host").at(name);
  }
  all["host"] = std::move(host);
  return described;
}

bool slower(const report::SlowRequest& a, const report::SlowRequest& b) {
  return a.latency != b.latency ? a.latency > b.latency : a.number < b.number;
}

}  // namespace

po::options_description linux_result_options() {
  po::options_description options("Results");
  options.add_options()(
      "json", po::value<std::string>(),
      "write the results of the command to this file, as a replay's: latency and stages of each "
      "kind of operation, busy times, statistics")(
      "slowest", po::value<std::string>()->default_value("0"),
      "with --json: keep this many of the slowest requests, with their stages");
  return options;
}

LinuxResults::LinuxResults(const po::variables_map& values, const std::vector<std::string>& taken) {
  slowest_limit_ = unsigned_option(values, "slowest", 0, 100'000);
  if (values.count("json") == 0) {
    if (slowest_limit_ != 0) throw base::UserError("--slowest: without --json nothing shows them");
    return;
  }
  const std::string& path = values["json"].as<std::string>();
  if (path == "-") throw base::UserError("--json -: standard output is the command's; name a file");
  file_ = std::make_unique<OutputFile>(path, taken);
}

void LinuxResults::attach(system_::LinuxOptions& options) {
  if (!wanted()) return;
  options.commands = [this](const Command& command) { ended(command); };
  options.marks = [this](unsigned char mark) { marked(mark); };
}

void LinuxResults::begin(system_::LinuxSystem& system) {
  system_ = &system;
  // Of a kernel whose first program is another one: the whole run.
  if (wanted()) span_.begin(system.statistics(), system.scheduler().now());
}

void LinuxResults::marked(unsigned char mark) {
  const base::Time now = system_->scheduler().now();
  bridge::CommandWatch& commands = *system_->commands();
  if (mark == bridge::kCommandBegins && !begun_) {
    begun_ = true;
    begin_ = now;
    commands.work_begins();
    span_.begin(system_->statistics(), now);
    open_at_begin_ = commands.open_time();
    at_begin_ = commands.counts();
    // What was before does not count.
    operations_ = {};
    slowest_.clear();
    counted_ = other_ = 0;
  }
  if (mark == bridge::kCommandEnded && begun_ && !span_.ended()) {
    span_.end(system_->statistics(), now);
    open_at_end_ = commands.open_time();
    at_end_ = commands.counts();
  }
}

void LinuxResults::ended(const Command& command) {
  if (span_.ended() || command.stages.start() < begin_) return;
  const auto operation = operation_of(command);
  if (!operation) {
    ++other_;
    return;
  }
  ++counted_;
  report::OperationReport& into = operations_[static_cast<std::size_t>(*operation)];
  ++into.count;
  command.failed ? ++into.errors : into.bytes += command.bytes;
  const base::Time latency = command.stages.total();
  const base::Time submit = command.stages.spent(base::Stage::kSubmit);
  into.latency.add(static_cast<std::uint64_t>(latency.count()));
  into.completion_latency.add(static_cast<std::uint64_t>((latency - submit).count()));
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    into.stages[i] += command.stages.spent(static_cast<base::Stage>(i));
  }
  keep_slow(command, *operation);
}

void LinuxResults::keep_slow(const Command& command, report::Operation operation) {
  if (slowest_limit_ == 0) return;
  constexpr std::uint64_t kSector = 512;
  report::SlowRequest slow;
  slow.number = command.number;
  slow.operation = operation;
  slow.failed = command.failed;
  slow.sector = command.first_byte / kSector;
  slow.bytes = command.bytes;
  slow.due = slow.submitted = command.stages.start() - begin_;
  slow.latency = command.stages.total();
  slow.stages = stage_times(command.stages);
  if (slowest_.size() == slowest_limit_) {
    if (slower(slowest_.front(), slow)) return;
    std::pop_heap(slowest_.begin(), slowest_.end(), slower);
    slowest_.pop_back();
  }
  slowest_.push_back(slow);
  std::push_heap(slowest_.begin(), slowest_.end(), slower);
}

report::RunReport LinuxResults::make_report(const End& end) {
  const bridge::CommandWatch& commands = *system_->commands();
  const bridge::CommandWatch::Counts& counts = commands.counts();
  if (!span_.ended()) {
    span_.end(system_->statistics(), system_->scheduler().now());
    open_at_end_ = commands.open_time();
    at_end_ = counts;
  }
  report::RunReport report;
  report.version = kVersion;
  report.command = "linux";
  report.configuration = configuration(system_->config());
  report.workload = end.workload;
  report.seed = system_->config().seed;
  report.simulated = system_->scheduler().now();
  report.measured = span_.length();
  report.partial = !end.partial.empty();
  report.partial_reason = end.partial;
  if (!begun_) {
    report.notes.emplace_back(
        "the guest did not say when the command began: all of the run counts");
  }
  report.operations = operations_;
  report.requests.submitted = counts.fetched;
  report.requests.completed = counts.completed;
  report.requests.failed = counts.failed;
  report.requests.warmup = counts.completed - std::min(counts.completed, counted_ + other_);
  std::sort(slowest_.begin(), slowest_.end(), slower);
  report.slowest = slowest_;
  report::GuestReport guest;
  if (!report.partial) guest.exit_status = static_cast<std::uint64_t>(end.exit_status);
  guest.io_open = open_at_end_ - open_at_begin_;
  guest.alone = report.measured - guest.io_open;
  guest.admin_commands = at_end_.admin - at_begin_.admin;
  guest.other_commands = other_;
  guest.cancelled_commands = at_end_.cancelled - at_begin_.cancelled;
  report.guest = guest;
  add_measured(report, span_, system_->statistics(), system_->config().device.media.kind);
  return report;
}

void LinuxResults::write(const End& end) {
  if (!wanted()) return;
  file_->write(report::print_json(report::to_json(make_report(end))));
  file_->commit();
}

}  // namespace nvmesim::app
