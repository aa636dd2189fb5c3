// One run of a workload on a simulated system, from options to exit status: shared by the verbs
// that run workloads. Input is read and outputs are opened before anything is simulated.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/app/host_log.hpp"
#include "sim/app/measured_span.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"
#include "sim/app/tlp_trace.hpp"
#include "sim/report/run_report.hpp"
#include "sim/system/system.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::app {

// Makes the workload once the disk is there.
using WorkloadFactory = std::function<std::unique_ptr<workload::Runner>(
    system_::System& system, const workload::RunnerConfig& config)>;

class Simulation {
 public:
  // Reads the system, result and verification options. Throws UserError.
  Simulation(std::string verb, const po::variables_map& values, system_::SystemHooks hooks = {});
  ~Simulation();

  const system_::SystemConfig& config() const { return config_; }

  // A remark of the verb, shown with the results.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  void set_trace(report::TraceReport trace) { trace_ = std::move(trace); }
  // What the workload is, for the results; what every workload has is added here.
  void set_workload(boost::json::object workload) { workload_facts_ = std::move(workload); }
  // The workload itself asks for verification. Throws UserError if that cannot be: `who` wants it.
  void want_verification(std::string_view who);

  // Boots, runs, reports. Returns the exit status.
  int run(const WorkloadFactory& factory);

  system_::System& system() { return *system_; }

 private:
  void measuring() { span_.begin(system_->statistics(), system_->scheduler().now()); }
  void run_ended() { span_.end(system_->statistics(), system_->scheduler().now()); }
  void scenario(const WorkloadFactory& factory);
  report::RunReport make_report();
  void add_media_checks(report::VerificationReport& verification);
  // Why the run counts as failed; empty if it does not.
  std::vector<std::string> failures(const report::RunReport& report);
  void open_outputs(const po::variables_map& values);
  void load_state(const std::string& path);
  void save_state();
  int finish();

  const std::string verb_;
  const system_::SystemConfig config_;
  workload::RunnerConfig runner_config_;
  bool verified_ = false;
  bool summary_ = true;
  std::unique_ptr<OutputFile> json_;
  std::unique_ptr<TlpTrace> tlp_trace_;
  std::unique_ptr<OutputFile> state_;
  std::vector<std::string> notes_;
  std::optional<report::TraceReport> trace_;
  boost::json::object workload_facts_;

  HostLog host_log_;
  std::unique_ptr<system_::System> system_;
  std::unique_ptr<workload::Runner> workload_;
  MeasuredSpan span_;
  bool booted_ = false;
  bool interrupted_ = false;
  bool starved_ = false;
  std::string aborted_;  // by a UserError while it ran
  std::optional<system_::Hang> hang_;
};

// The verbs replay and run with hooks into the system that they build: for tests and tools.
int replay_with(const Arguments& arguments, system_::SystemHooks hooks);
int run_with(const Arguments& arguments, system_::SystemHooks hooks);

// --warmup and --verify, which every workload has.
po::options_description workload_options();

}  // namespace nvmesim::app
