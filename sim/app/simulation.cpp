#include "sim/app/simulation.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>
#include <system_error>

#include "sim/app/progress.hpp"
#include "sim/app/to_report.hpp"
#include "sim/app/verb.hpp"
#include "sim/report/json_report.hpp"
#include "sim/report/text_report.hpp"
#include "sim/system/drive_state.hpp"

namespace nvmesim::app {

po::options_description workload_options() {
  po::options_description options("Workload");
  options.add_options()("verify",
                        "write patterns, read every written sector back, and fail on a difference")(
      "warmup", po::value<std::string>()->default_value("0"),
      "milliseconds at the start that do not count in the results");
  return options;
}

Simulation::Simulation(std::string verb, const po::variables_map& values,
                       system_::SystemHooks hooks)
    : verb_(std::move(verb)), config_(system_config(values)) {
  runner_config_.seed = config_.seed;
  runner_config_.verify = values.count("verify") != 0;
  runner_config_.warmup_us = unsigned_option(values, "warmup", 0, 1'000'000'000) * 1000;
  runner_config_.slowest =
      static_cast<std::uint32_t>(unsigned_option(values, "slowest", 0, 100'000));
  summary_ = values.count("no-summary") == 0;
  if (runner_config_.verify) want_verification("--verify");
  open_outputs(values);
  if (tlp_trace_) hooks.tlp_log = tlp_trace_->log();
  hooks.kernel_log = [this](const host::PrintLine& line) { host_log_.add(line); };
  system_ = std::make_unique<system_::System>(config_, std::move(hooks));
  if (values.count("load-state") != 0) load_state(values["load-state"].as<std::string>());
}

void Simulation::open_outputs(const po::variables_map& values) {
  std::vector<std::string> taken;  // an output would destroy them
  for (const char* name : {"TRACE", "JOB.fio", "drive", "host"}) {
    if (values.count(name) != 0) taken.push_back(values[name].as<std::string>());
  }
  if (values.count("json") != 0) {
    const std::string& path = values["json"].as<std::string>();
    json_ = std::make_unique<OutputFile>(path, taken);
    taken.push_back(path);
    if (path == "-") summary_ = false;  // it stands alone
  }
  if (values.count("save-state") != 0) {
    const std::string& path = values["save-state"].as<std::string>();
    state_ = std::make_unique<OutputFile>(path, taken);
    taken.push_back(path);
  }
  tlp_trace_ = TlpTrace::from(values, taken);
}

void Simulation::load_state(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw base::UserError(path + ": no such file, or not a file");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw base::UserError(path + ": cannot be read");
  system_::load_drive(text.str(), path, system_->controller(), system_->media());
}

// After the shutdown, with no command open.
void Simulation::save_state() {
  state_->write(system_::save_drive(system_->controller(), system_->media()));
  state_->commit();
}

Simulation::~Simulation() = default;

void Simulation::want_verification(std::string_view who) {
  if (!config_.device.media.keep_data) {
    throw base::UserError(fmt::format("{} needs the data: device.media.keep_data is false", who));
  }
  verified_ = true;
}

int Simulation::run(const WorkloadFactory& factory) {
  Progress progress(
      system_->scheduler(),
      [this] {
        if (workload_ == nullptr) return Progress::State{};
        const workload::Progress state = workload_->progress();
        return Progress::State{static_cast<double>(state.done) / static_cast<double>(state.total),
                               workload_->result().requests_completed};
      },
      [this] { system_->scheduler().stop(); });
  bool ended = false;
  try {
    ended = system_->run([this, &factory] { scenario(factory); });
  } catch (const base::UserError& error) {
    // Memory of the simulated host that ran out in the middle of a run, for one.
    if (workload_ == nullptr) throw;
    aborted_ = error.what();
  }
  interrupted_ = progress.interrupted();
  starved_ = !ended && !interrupted_ && aborted_.empty();
  progress.clear();
  const int status = finish();
  if (status == kMistake) return status;
  if (tlp_trace_) tlp_trace_->commit();
  if (booted_ && progress.elapsed() > 0) {
    const auto requests =
        static_cast<double>(workload_ ? workload_->result().requests_completed : 0);
    fmt::print(stderr, "simulated {:.3f} s in {:.2f} s of wall time, {:.0f} requests per second\n",
               static_cast<double>(system_->scheduler().now().count()) / 1e12, progress.elapsed(),
               requests / progress.elapsed());
  }
  return aborted_.empty() ? status : user_mistake(aborted_);
}

void Simulation::scenario(const WorkloadFactory& factory) {
  booted_ = system_->boot();
  if (!booted_) return;
  runner_config_.verification.new_drive = system_->media().used_units() == 0;
  workload_ = factory(*system_, runner_config_);
  workload_->set_measuring(base::Callback::of<&Simulation::measuring>(this));
  workload_->set_run_ended(base::Callback::of<&Simulation::run_ended>(this));
  measuring();
  hang_ = system_->run_workload(*workload_);
  if (hang_) return;
  system_->shutdown();
  if (state_) save_state();
}

int Simulation::finish() {
  if (!booted_ && !interrupted_) {
    for (const std::string& line : host_log_.lines()) fmt::print(stderr, "{}\n", line);
    fmt::print(stderr, "nvmesim: the driver brought up no disk\n");
    return 1;
  }
  if (!span_.ended()) run_ended();
  const report::RunReport report = make_report();
  const report::RequestCounts& requests = report.requests;
  if (!report.partial && !report.hang && requests.completed != 0 &&
      requests.warmup == requests.completed) {
    return user_mistake(
        fmt::format("--warmup {}: the run was over within the warm-up; use a shorter one",
                    runner_config_.warmup_us / 1000));
  }
  if (summary_) fmt::print("{}", report::to_text(report, {isatty(STDOUT_FILENO) != 0}));
  if (json_) {
    json_->write(report::print_json(report::to_json(report)));
    json_->commit();
  }
  for (const std::string& violation : system_->protocol_violations()) {
    fmt::print(stderr, "nvmesim: protocol violation: {}\n", violation);
  }
  for (const std::string& line : host_log_.warnings()) fmt::print(stderr, "{}\n", line);
  const std::vector<std::string> reasons = failures(report);
  if (reasons.empty()) return 0;
  fmt::print(stderr, "nvmesim: failed: {}\n", fmt::join(reasons, "; "));
  return 1;
}

std::vector<std::string> Simulation::failures(const report::RunReport& report) {
  std::vector<std::string> reasons;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count != 0) reasons.push_back(fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"));
  };
  if (report.partial) reasons.push_back(report.partial_reason);
  if (report.hang) reasons.push_back("the run hangs: " + report.hang->reason);
  add(report.requests.failed, "failed request");
  if (report.verification && !report.verification->passed()) {
    add(report.verification->mismatches, "mismatch in the verification");
    add(report.verification->read_back_errors, "failed read of the read-back");
    if (!report.verification->read_back_complete) {
      reasons.push_back("not everything was read back");
    }
  }
  add(system_->protocol_violations().size(), "protocol violation");
  return reasons;
}

report::RunReport Simulation::make_report() {
  report::RunReport report;
  report.version = kVersion;
  report.command = verb_;
  report.configuration = system_::describe_config(config_);
  report.seed = config_.seed;
  report.simulated = system_->scheduler().now();
  report.notes = notes_;
  report.trace = trace_;
  workload_facts_["warmup_ms"] = runner_config_.warmup_us / 1000;
  workload_facts_["verify"] = verified_;
  report.workload = workload_facts_;
  if (workload_) {
    const workload::WorkloadResult result = workload_->result();
    add_result(report, result);
    const std::string in_flight = system_->controller().describe_in_flight();
    if (hang_) report.hang = hang_report(hang_->reason, hang_->at, *workload_, in_flight);
    if (starved_) {
      report.hang = hang_report("nothing is pending while requests are open", report.simulated,
                                *workload_, in_flight);
    }
  }
  if (interrupted_) report.partial_reason = "interrupted by the user";
  if (!aborted_.empty()) report.partial_reason = aborted_;
  report.partial = !report.partial_reason.empty();
  add_measured(report);
  if (report.verification) add_media_checks(*report.verification);
  return report;
}

// Statistics and busy times of the measured span, and what follows from them.
void Simulation::add_measured(report::RunReport& report) {
  report.utilisation_span = span_.length();
  for (const MeasuredSpan::Busy& row : span_.busy(system_->statistics())) {
    report.utilisation.push_back({row.name, row.group, row.time});
  }
  const std::vector<MeasuredSpan::Row> rows = span_.statistics(system_->statistics());
  for (const auto& [statistic, value] : rows) {
    report.statistics.push_back(
        {statistic.name, statistic.unit, statistic.help, value, statistic.level});
  }
  report.reads.commands = value_of(rows, "device.media.read.commands");
  report.reads.unwritten = value_of(rows, "device.media.read.unmapped_commands");
  if (config_.device.media.kind != models::MediaKind::nand) return;
  const auto bytes = [&](std::string_view name) {
    return value_of(rows, name) * models::kUnitBytes;
  };
  report::FlashReport flash;
  flash.host_bytes = value_of(rows, "device.controller.written_bytes");
  flash.host_programmed_bytes = bytes("device.media.ftl.host_units");
  flash.moved_bytes = bytes("device.media.ftl.gc_units");
  const bool table = config_.device.media.map_cache.bytes != 0;
  flash.by_cause = {flash.host_programmed_bytes,
                    bytes("device.media.ftl.space_units"),
                    bytes("device.media.ftl.fold_units"),
                    bytes("device.media.ftl.refresh_units"),
                    bytes("device.media.ftl.wear_units"),
                    bytes("device.media.ftl.parity_units"),
                    bytes("device.media.ftl.padding_units"),
                    table ? value_of(rows, "device.media.map_cache.written") : 0};
  flash.media_bytes = std::accumulate(flash.by_cause.begin(), flash.by_cause.end(), 0ull);
  flash.garbage_collections = value_of(rows, "device.media.ftl.gc_runs");
  flash.erases = value_of(rows, "device.media.nand.erases");
  report.flash = flash;
}

// The media check every read against their own record: of the whole run, read-back included.
void Simulation::add_media_checks(report::VerificationReport& verification) {
  std::uint64_t wrong = 0;
  for (const base::Statistic& row : system_->statistics().statistics()) {
    if (row.name == "device.media.read.media_units" || row.name == "device.media.xpoint.reads") {
      verification.media_reads_checked += row.value();
    }
    if (row.name == "device.media.ftl.integrity_errors" ||
        row.name == "device.media.xpoint.integrity_errors") {
      wrong += row.value();
    }
  }
  if (wrong == 0) return;
  verification.mismatches += wrong;
  verification.first_mismatches.push_back(
      fmt::format("media reads that found another unit than the mapping said: {}", wrong));
}

}  // namespace nvmesim::app
