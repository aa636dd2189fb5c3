// The benchmark of one I/O: 4 KiB random reads at queue depth 32, everything modelled, over a range
// that was written before. Usage: io_bench READS data|nodata [path=value...]. Prints the scheduler
// entries of the reads; what one costs is the difference of two numbers of reads, also under
// callgrind.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "sim/system/system.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"

int sc_main(int argc, char** argv) {
  using namespace nvmesim;
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  const unsigned long reads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000;
  const bool data = argc <= 2 || std::strcmp(argv[2], "nodata") != 0;
  system_::ConfigRequest request;
  // A front end that is not the bottleneck, as in earlier measurements: results stay comparable.
  request.settings = {fmt::format("device.media.keep_data={}", data),
                      "device.controller.pipeline.decode_interval_cycles=160"};
  for (int i = 3; i < argc; ++i) request.settings.emplace_back(argv[i]);
  system_::System system(system_::load_config(request));

  std::uint64_t done = 0;
  const auto run = [&](const std::string& job) {
    workload::RunnerConfig config;
    config.slowest = 0;
    workload::JobRunner runner(system.scheduler(), *system.disk(),
                               workload::parse_job(job, "bench"), config);
    const auto before = system.scheduler().entries_run();
    system.run_workload(runner);
    const auto result = runner.result();
    if (result.requests_lost() != 0 || result.requests_failed != 0) std::exit(1);
    done = result.requests_completed;
    return system.scheduler().entries_run() - before;
  };
  std::uint64_t entries = 0;
  system.run([&] {
    if (!system.boot()) std::exit(1);
    run("[fill]\nrw=write\nbs=128k\nsize=64m\niodepth=8\nioengine=io_uring\ndirect=1\n");
    system.machine().threads.msleep(500);  // the write buffer empties
    entries =
        run(fmt::format("[read]\nrw=randread\nbs=4k\nsize=64m\nio_size={}\niodepth=32\n"
                        "norandommap=1\nioengine=io_uring\ndirect=1\n",
                        reads * 4096));
  });
  if (done != reads) std::exit(1);
  fmt::print("{}\n", entries);
  return 0;
}
