#include "sim/app/simulation.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "sim/app/progress.hpp"
#include "sim/app/to_report.hpp"
#include "sim/report/json_report.hpp"
#include "sim/report/text_report.hpp"

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
  if (runner_config_.verify && !config_.device.media.keep_data) {
    throw base::UserError("--verify needs the data: device.media.keep_data is false");
  }
  if (values.count("json") != 0) {
    json_ = std::make_unique<OutputFile>(values["json"].as<std::string>());
  }
  if (values.count("save-state") != 0) {
    state_ = std::make_unique<OutputFile>(values["save-state"].as<std::string>());
  }
  hooks.kernel_log = [this](const host::PrintLine& line) {
    kernel_log_.push_back(line.to_string());
  };
  system_ = std::make_unique<system_::System>(config_, std::move(hooks));
  if (values.count("load-state") != 0) load_state(values["load-state"].as<std::string>());
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
  system_->media().load(text.str(), path);
  system_->media().power_on();
}

// After the shutdown, with no command open: power goes, and what outlasts that is saved.
void Simulation::save_state() {
  system_->media().power_cut();
  state_->write(system_->media().save());
  state_->commit();
}

Simulation::~Simulation() = default;

int Simulation::run(const WorkloadFactory& factory) {
  Progress progress(
      system_->scheduler(),
      [this] {
        if (workload_ == nullptr) return Progress::State{};
        const workload::Progress state = workload_->progress();
        return Progress::State{static_cast<double>(state.done) / static_cast<double>(state.total),
                               state.done};
      },
      [this] { system_->scheduler().stop(); });
  const bool ended = system_->run([this, &factory] { scenario(factory); });
  interrupted_ = progress.interrupted();
  starved_ = !ended && !interrupted_;
  progress.clear();
  const int status = finish();
  if (booted_ && progress.elapsed() > 0) {
    const auto requests =
        static_cast<double>(workload_ ? workload_->result().requests_completed : 0);
    fmt::print(stderr, "simulated {:.3f} s in {:.2f} s of wall time, {:.0f} requests per second\n",
               static_cast<double>(system_->scheduler().now().count()) / 1e12, progress.elapsed(),
               requests / progress.elapsed());
  }
  return status;
}

void Simulation::scenario(const WorkloadFactory& factory) {
  booted_ = system_->boot();
  if (!booted_) return;
  workload_ = factory(*system_, runner_config_);
  workload_->set_run_ended(base::Callback::of<&Simulation::run_ended>(this));
  begin_ = busy_now();
  hang_ = system_->run_workload(*workload_);
  if (hang_) return;
  system_->shutdown();
  if (state_) save_state();
}

Simulation::BusyAt Simulation::busy_now() {
  BusyAt at;
  at.when = system_->scheduler().now();
  for (const base::Utilisation& row : system_->statistics().utilisations()) {
    at.busy.push_back(row.busy());
  }
  return at;
}

void Simulation::run_ended() {
  end_ = busy_now();
}

int Simulation::finish() {
  if (!booted_ && !interrupted_) {
    for (const std::string& line : kernel_log_) fmt::print(stderr, "{}\n", line);
    fmt::print(stderr, "nvmesim: the driver brought up no disk\n");
    return 1;
  }
  if (end_.busy.empty()) end_ = busy_now();
  const report::RunReport report = make_report();
  if (summary_) fmt::print("{}", report::to_text(report, {isatty(STDOUT_FILENO) != 0}));
  if (json_) {
    json_->write(report::print_json(report::to_json(report)));
    json_->commit();
  }
  for (const std::string& violation : system_->protocol_violations()) {
    fmt::print(stderr, "nvmesim: protocol violation: {}\n", violation);
  }
  std::uint64_t errors = 0;
  for (const report::OperationReport& operation : report.operations) errors += operation.errors;
  const bool verified = !report.verification || report.verification->passed();
  const bool failed = report.partial || report.hang || !verified || errors != 0 ||
                      system_->protocol_violations().size() != 0;
  return failed ? 1 : 0;
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
  if (workload_) {
    const workload::WorkloadResult result = workload_->result();
    add_result(report, result);
    if (hang_) report.hang = hang_report(hang_->reason, hang_->at, *workload_);
    if (starved_) {
      report.hang =
          hang_report("nothing is pending while requests are open", report.simulated, *workload_);
    }
  }
  if (interrupted_) {
    report.partial = true;
    report.partial_reason = "interrupted by the user";
  }
  add_utilisation(report);
  add_statistics(report);
  return report;
}

void Simulation::add_utilisation(report::RunReport& report) {
  report.utilisation_span = end_.when - begin_.when;
  const auto rows = system_->statistics().utilisations();
  for (std::size_t i = 0; i < rows.size() && i < end_.busy.size(); ++i) {
    const base::Time before = i < begin_.busy.size() ? begin_.busy[i] : base::kTimeZero;
    report.utilisation.push_back({rows[i].name, rows[i].group, end_.busy[i] - before});
  }
}

void Simulation::add_statistics(report::RunReport& report) {
  std::uint64_t host_units = 0, gc_units = 0, padding_units = 0, media_reads = 0, wrong_units = 0;
  report::FlashReport flash;
  const std::pair<std::string_view, std::uint64_t*> wanted[] = {
      {"device.media.ftl.host_units", &host_units},
      {"device.media.ftl.gc_units", &gc_units},
      {"device.media.ftl.padding_units", &padding_units},
      {"device.media.ftl.gc_runs", &flash.garbage_collections},
      {"device.media.nand.erases", &flash.erases},
      {"device.media.read.media_units", &media_reads},
      {"device.media.ftl.integrity_errors", &wrong_units},
      {"device.media.xpoint.integrity_errors", &wrong_units}};
  for (const base::Statistic& statistic : system_->statistics().statistics()) {
    const std::uint64_t value = statistic.value();
    report.statistics.push_back({statistic.name, statistic.unit, statistic.help, value});
    for (const auto& [name, target] : wanted) {
      if (statistic.name == name) *target = value;
    }
  }
  if (report.verification) {
    report.verification->media_reads_checked = media_reads;
    report.verification->mismatches += wrong_units;
    if (wrong_units != 0) {
      report.verification->first_mismatches.push_back(
          fmt::format("{} media reads found another unit than the mapping said", wrong_units));
    }
  }
  if (config_.device.media.kind != models::MediaKind::nand) return;
  flash.host_bytes = host_units * models::kUnitBytes;
  flash.moved_bytes = gc_units * models::kUnitBytes;
  flash.media_bytes = (host_units + gc_units + padding_units) * models::kUnitBytes;
  report.flash = flash;
}

}  // namespace nvmesim::app
