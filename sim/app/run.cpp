// nvmesim run: a fio job file on a simulated system.
#include <fmt/format.h>

#include <set>

#include "sim/app/simulation.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"

namespace nvmesim::app {

namespace {

boost::json::object describe(const workload::JobFile& file) {
  boost::json::array jobs;
  for (const workload::JobOptions& job : file.jobs) {
    boost::json::object options;
    for (const auto& [name, value] : job.given) options[name] = value;
    jobs.push_back(boost::json::object{{"name", job.name}, {"options", std::move(options)}});
  }
  return {{"kind", "jobs"}, {"source", file.path}, {"jobs", std::move(jobs)}};
}

// What all jobs together need at once, as far as it can be known: a run that ends for want of
// memory in its middle tells nothing.
void check_memory(const workload::JobFile& file, std::uint64_t memory_bytes) {
  std::uint64_t all = 0;
  for (const workload::JobOptions& job : file.jobs) {
    const std::uint64_t needed = job.buffer_bytes();
    all += needed;
    if (all <= memory_bytes) continue;
    throw base::UserError(fmt::format(
        "{}:{}: job '{}': its buffers take {} MiB of host memory{}, the host has {} MiB; use a "
        "smaller bs, iodepth or numjobs, or set host.memory_bytes",
        file.path, job.line, job.name, needed / base::kMiB,
        all == needed ? ""
                      : fmt::format(", {} MiB with those of the jobs before", all / base::kMiB),
        memory_bytes / base::kMiB));
  }
}

}  // namespace

int run(const Arguments& arguments) {
  return run_with(arguments, {});
}

int run_with(const Arguments& arguments, system_::SystemHooks hooks) {
  po::options_description options;
  options.add(workload_options())
      .add(system_options())
      .add(precondition_options())
      .add(result_options())
      .add(trace_options());
  const auto values = parse(arguments, "run",
                            "Runs a fio job file. An option that is not understood is an error.\n"
                            "Whatever a filename= names, the I/O goes to the simulated drive.",
                            options, {"JOB.fio"});
  const workload::JobFile file = workload::read_job(values["JOB.fio"].as<std::string>());
  Simulation simulation("run", values, std::move(hooks));
  check_memory(file, simulation.config().host.memory_bytes);
  std::set<std::string> named;
  for (const workload::JobOptions& job : file.jobs) {
    if (job.verify) {
      simulation.want_verification(
          fmt::format("{}:{}: verify= of job '{}'", file.path, job.line, job.name));
    }
    if (!job.filename.empty() && named.insert(job.filename).second) {
      simulation.note(fmt::format("filename={} stands for the drive {}", job.filename,
                                  values["drive"].as<std::string>()));
    }
  }
  simulation.set_workload(describe(file));
  return simulation.run([&](system_::System& system, const workload::RunnerConfig& config) {
    return std::make_unique<workload::JobRunner>(system.scheduler(), *system.disk(), file, config);
  });
}

}  // namespace nvmesim::app
