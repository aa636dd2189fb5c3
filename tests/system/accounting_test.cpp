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

TEST_CASE("a closed loop obeys Little's law within 0.1 percent") {
  const Run run = run_job(
      "[read]\nrw=randread\nbs=4k\nsize=64m\nio_size=400m\niodepth=32\nnorandommap=1\n"
      "ioengine=libaio\ndirect=1\n",
      {}, kFill);
  const auto& reads = run.result.operations[0];
  // Requests in the system on average = throughput x mean time in it; the loop keeps 32 there.
  const double in_system =
      static_cast<double>(reads.latency_ps.sum()) /
      static_cast<double>((run.result.last_completion - run.result.first_submission).count());
  CHECK(in_system == Approx(32.0).epsilon(0.001));
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

TEST_CASE("the wire is busy for the bytes that it carried") {
  const Run run = run_job(
      "[read]\nrw=randread\nbs=4k\nsize=64m\niodepth=16\nnorandommap=1\nnumber_ios=5000\n"
      "ioengine=libaio\ndirect=1\n",
      {}, kFill);
  std::uint64_t bytes = 0;
  for (const char* traffic : {"posted", "non_posted", "completion"}) {
    bytes += run.statistics.at(std::string("link.up.") + traffic + "_wire_bytes");
  }
  // Generation 4 x4, MPS 256: bytes at the TLP rate of the published formula.
  const double rate = 16e9 * 128 / 130 * 4 / 8 * (1 - (8.0 / 214 + 8.0 / 214) / 4 - 4.0 / 1538);
  const double expected = static_cast<double>(bytes) / rate;
  CHECK(static_cast<double>(run.busy.at("link.up").count()) / 1e12 ==
        Approx(expected).epsilon(0.001));
}

}  // namespace
}  // namespace nvmesim
