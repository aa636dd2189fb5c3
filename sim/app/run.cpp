// nvmesim run: a fio job file on a simulated system.
#include "sim/app/simulation.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"

namespace nvmesim::app {

int run(const Arguments& arguments) {
  return run_with(arguments, {});
}

int run_with(const Arguments& arguments, system_::SystemHooks hooks) {
  po::options_description options;
  options.add(workload_options())
      .add(system_options())
      .add(precondition_options())
      .add(result_options());
  const auto values = parse(arguments, "run",
                            "Runs a fio job file. An option that is not understood is an error:\n"
                            "nothing that the file asks for is left out.",
                            options, {"JOB.fio"});
  const workload::JobFile file = workload::read_job(values["JOB.fio"].as<std::string>());
  Simulation simulation("run", values, std::move(hooks));
  return simulation.run([&](system_::System& system, const workload::RunnerConfig& config) {
    return std::make_unique<workload::JobRunner>(system.scheduler(), *system.disk(), file, config);
  });
}

}  // namespace nvmesim::app
