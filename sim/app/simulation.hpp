// One run of a workload on a simulated system, from options to exit status: shared by the verbs
// that run workloads. Input is read and outputs are opened before anything is simulated.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"
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

  // A remark of the verb, shown with the results.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  void set_trace(report::TraceReport trace) { trace_ = std::move(trace); }

  // Boots, runs, reports. Returns the exit status.
  int run(const WorkloadFactory& factory);

  system_::System& system() { return *system_; }

 private:
  struct BusyAt {
    std::vector<base::Time> busy;
    base::Time when{0};
  };
  BusyAt busy_now();
  void run_ended();
  void scenario(const WorkloadFactory& factory);
  report::RunReport make_report();
  void add_utilisation(report::RunReport& report);
  void add_statistics(report::RunReport& report);
  void load_state(const std::string& path);
  void save_state();
  int finish();

  const std::string verb_;
  const system_::SystemConfig config_;
  workload::RunnerConfig runner_config_;
  bool summary_ = true;
  std::unique_ptr<OutputFile> json_;
  std::unique_ptr<OutputFile> state_;
  std::vector<std::string> notes_;
  std::optional<report::TraceReport> trace_;

  std::vector<std::string> kernel_log_;
  std::unique_ptr<system_::System> system_;
  std::unique_ptr<workload::Runner> workload_;
  BusyAt begin_;
  BusyAt end_;
  bool booted_ = false;
  bool interrupted_ = false;
  bool starved_ = false;
  std::optional<system_::Hang> hang_;
};

// The verbs replay and run with hooks into the system that they build: for tests and tools.
int replay_with(const Arguments& arguments, system_::SystemHooks hooks);
int run_with(const Arguments& arguments, system_::SystemHooks hooks);

// --warmup and --verify, which every workload has.
po::options_description workload_options();

}  // namespace nvmesim::app
