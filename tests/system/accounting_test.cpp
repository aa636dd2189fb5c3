// Every picosecond is accounted for: stages of each request add up to its latency, a closed loop
// obeys Little's law, busy times are counts times service times.
#include "sim/system/system.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

struct Run {
  workload::WorkloadResult result;
  std::map<std::string, std::uint64_t> statistics;
  std::map<std::string, base::Time> busy;
  base::Time elapsed{0};
  system_::SystemConfig config;
};

// Runs the job after a first one, if given, on a system of these settings.
Run run_job(const std::string& job, std::vector<std::string> settings,
            const std::string& first = "", const std::string& drive = "p5510") {
  system_::ConfigRequest request;
  request.drive = drive;
  request.settings = std::move(settings);
  request.settings.emplace_back("simulation.check_protocol=true");
  Run run;
  run.config = system_::load_config(request);
  system_::System system(run.config);
  const auto collect = [&](std::int64_t sign) {
    for (const auto& row : system.statistics().statistics()) {
      run.statistics[row.name] += static_cast<std::uint64_t>(sign) * row.value();
    }
    for (const auto& row : system.statistics().utilisations()) {
      run.busy[row.name] += sign * row.busy();
    }
    run.elapsed += sign * system.scheduler().now();
  };
  const bool ended = system.run([&] {
    if (!system.boot()) return;
    workload::RunnerConfig config;
    config.slowest = 100'000;
    if (!first.empty()) {
      workload::JobRunner runner(system.scheduler(), *system.disk(),
                                 workload::parse_job(first, "first"), config);
      system.run_workload(runner);
      system.machine().threads.msleep(500);  // the write buffer empties
    }
    collect(-1);
    workload::JobRunner runner(system.scheduler(), *system.disk(), workload::parse_job(job, "job"),
                               config);
    system.run_workload(runner);
    run.result = runner.result();
    collect(1);
  });
  REQUIRE(ended);
  CHECK(system.protocol_violations().empty());
  REQUIRE(run.result.complete);
  REQUIRE(run.result.requests_lost() == 0);
  return run;
}

void check_stages(const workload::WorkloadResult& result) {
  for (const auto& slow : result.slowest) {
    base::Time sum{0};
    for (std::size_t i = 0; i < base::kStageCount; ++i) {
      const base::Time spent = slow.stages.spent(static_cast<base::Stage>(i));
      CHECK(spent >= base::kTimeZero);
      sum += spent;
    }
    CHECK(sum == slow.stages.total());
  }
  for (const auto& operation : result.operations) {
    base::Time sum{0};
    for (const base::Time time : operation.stage_time) sum += time;
    CHECK(static_cast<std::uint64_t>(sum.count()) == operation.latency_ps.sum());
  }
}

constexpr const char* kFill =
    "[fill]\nrw=write\nbs=128k\nsize=64m\niodepth=8\nioengine=io_uring\ndirect=1\n";

TEST_CASE("stages add up for every request of a mixed random job") {
  const Run run = run_job(
      "[mix]\nrw=randrw\nrwmixread=60\nbs=4k,64k\nsize=64m\nio_size=1g\niodepth=32\nnumber_ios="
      "4000\n"
      "norandommap=1\nioengine=libaio\ndirect=1\n",
      {}, kFill);
  REQUIRE(run.result.slowest.size() == 4000);
  check_stages(run.result);
}

TEST_CASE("stages add up when requests wait for tags and are split") {
  const Run run =
      run_job("[big]\nrw=randread\nbs=1m\nsize=64m\niodepth=64\nioengine=libaio\ndirect=1\n",
              {"driver.io_queue_depth=8"}, kFill);
  REQUIRE(run.result.slowest.size() == 64);
  check_stages(run.result);
  CHECK(run.result.operations[0].stage_time[static_cast<std::size_t>(base::Stage::kTagWait)] >
        base::kTimeZero);
}

// Requests in the system on average = throughput x mean time in it, whatever the job: the loops
// keep `depth` there, but for the moment when they end.
void check_little(const Run& run, double depth) {
  double time = 0;
  for (const auto& operation : run.result.operations) {
    time += static_cast<double>(operation.latency_ps.sum());
  }
  const base::Time span = run.result.last_completion - run.result.first_submission;
  CHECK(time / static_cast<double>(span.count()) == Approx(depth).epsilon(0.001));
}

TEST_CASE("Little's law within 0.1 percent: random reads") {
  check_little(run_job("[read]\nrw=randread\nbs=4k\nsize=64m\nio_size=400m\niodepth=32\n"
                       "norandommap=1\nioengine=libaio\ndirect=1\n",
                       {}, kFill),
               32);
}

TEST_CASE("Little's law within 0.1 percent: a mix of sizes from four jobs") {
  check_little(run_job("[mix]\nrw=randrw\nrwmixread=50\nbs=4k,16k\nsize=64m\niodepth=8\n"
                       "numjobs=4\ntime_based=1\nruntime=2s\nnorandommap=1\nioengine=io_uring\n"
                       "direct=1\n",
                       {}, kFill),
               32);
}

TEST_CASE("Little's law within 0.1 percent: writes that wait for room in the buffer") {
  check_little(run_job("[write]\nrw=write\nbs=64k\nsize=64m\niodepth=16\ntime_based=1\n"
                       "runtime=500ms\nioengine=libaio\ndirect=1\n",
                       {}),
               16);
}

TEST_CASE("Little's law within 0.1 percent: more requests than tags") {
  check_little(run_job("[read]\nrw=randread\nbs=4k\nsize=64m\niodepth=64\ntime_based=1\n"
                       "runtime=200ms\nnorandommap=1\nioengine=libaio\ndirect=1\n",
                       {"driver.io_queue_depth=8"}, "", "p4800x"),
               64);
}

TEST_CASE("busy time is count times service on channels, dies and processors") {
  const Run run = run_job(
      "[read]\nrw=randread\nbs=4k\nsize=64m\niodepth=16\nnorandommap=1\nnumber_ios=5000\n"
      "ioengine=libaio\ndirect=1\n",
      {}, kFill);
  const auto& nand = run.config.device.media.nand;
  base::Time dies{0};
  base::Time channels{0};
  for (const auto& [name, busy] : run.busy) {
    if (name.find(".die") != name.npos)
      dies += busy;
    else if (name.starts_with("device.media.channel") && name.find("ecc") == name.npos)
      channels += busy;
  }
  const auto array_reads = static_cast<std::int64_t>(run.statistics.at("device.media.nand.reads"));
  REQUIRE(array_reads > 4000);
  const base::Time data =
      base::Pace::bytes_per_second(std::uint64_t{nand.channel_mb_per_s} * 1'000'000)(4096);
  CHECK(channels == array_reads * (std::chrono::nanoseconds(nand.status_ns) + data));
  CHECK(dies >= array_reads * base::Time(std::chrono::nanoseconds(nand.read_ns[0])));
}

// What holds for any job: a unit with a fixed service is busy for that long per use, a wire for the
// bytes that it carried, a processor for what ran on it; nothing is busy for longer than the run.
void check_busy(const Run& run) {
  const auto statistic = [&](const std::string& name) {
    return static_cast<std::int64_t>(run.statistics.at(name));
  };
  const auto& pipeline = run.config.device.controller.pipeline;
  CHECK(run.busy.at("device.controller.decode") ==
        statistic("device.controller.fetched_entries") *
            pipeline.cycles(pipeline.decode_interval_cycles));
  CHECK(run.busy.at("device.controller.completion") ==
        statistic("device.controller.completions") *
            pipeline.cycles(pipeline.completion_interval_cycles));
  // Generation 4 x4, MPS 256: bytes at the TLP rate of the published formula.
  const double rate = 16e9 * 128 / 130 * 4 / 8 * (1 - (8.0 / 214 + 8.0 / 214) / 4 - 4.0 / 1538);
  for (const std::string direction : {"link.up", "link.down"}) {
    std::int64_t bytes = 0;
    for (const char* traffic : {".posted", ".non_posted", ".completion"}) {
      bytes += statistic(direction + traffic + "_wire_bytes");
    }
    CHECK(static_cast<double>(run.busy.at(direction).count()) / 1e12 ==
          Approx(static_cast<double>(bytes) / rate).epsilon(0.001));
  }
  for (const auto& [name, busy] : run.busy) {
    INFO(name);
    CHECK(busy >= base::kTimeZero);
    CHECK(busy <= run.elapsed);
    if (name.starts_with("host.cpu")) {
      CHECK(busy.count() == statistic(name + ".task_ps") + statistic(name + ".interrupt_ps"));
    }
  }
}

TEST_CASE("units are busy for count times service: random reads") {
  check_busy(
      run_job("[read]\nrw=randread\nbs=4k\nsize=64m\niodepth=16\nnorandommap=1\n"
              "number_ios=5000\nioengine=libaio\ndirect=1\n",
              {}, kFill));
}

TEST_CASE("units are busy for count times service: a mix of sizes from four jobs") {
  check_busy(
      run_job("[mix]\nrw=randrw\nrwmixread=50\nbs=4k,128k\nsize=64m\niodepth=8\n"
              "numjobs=4\nnumber_ios=2000\nnorandommap=1\nioengine=io_uring\ndirect=1\n",
              {}, kFill));
}

TEST_CASE("units are busy for count times service: writes and discards") {
  check_busy(
      run_job("[write]\nrw=randwrite\nbs=16k\nsize=64m\niodepth=32\nioengine=libaio\n"
              "direct=1\n[trim]\nrw=trim\nbs=64k\nsize=64m\niodepth=4\nioengine=libaio\n"
              "direct=1\n",
              {}, kFill));
}

}  // namespace
}  // namespace nvmesim
