// The link as part of a whole system: what its parameters do to a boot and to a job.
#include "sim/system/system.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

constexpr const char* kJob =
    "[mix]\nrw=randrw\nbs=4k,128k\nsize=64m\niodepth=16\nnumber_ios=600\nioengine=libaio\ndirect="
    "1\n";

workload::WorkloadResult run_job(system_::System& system) {
  workload::WorkloadResult result;
  const bool ended = system.run([&] {
    if (!system.boot()) return;
    workload::JobRunner runner(system.scheduler(), *system.disk(), workload::parse_job(kJob, "job"),
                               {});
    system.run_workload(runner);
    result = runner.result();
  });
  REQUIRE(ended);
  CHECK(system.protocol_violations() == std::vector<std::string>());
  return result;
}

system_::SystemConfig config_with(std::vector<std::string> settings) {
  system_::ConfigRequest request;
  request.drive = "p5510";
  request.settings = std::move(settings);
  request.settings.emplace_back("simulation.check_protocol=true");
  return system_::load_config(request);
}

}  // namespace

TEST_CASE("firmware waits for a link that trains at power on") {
  system_::System system(config_with({"link.training.initial_us=100000"}));
  base::Time up{0};
  const bool ended = system.run([&] {
    CHECK_FALSE(system.link().up());
    CHECK(system.boot());
    up = system.scheduler().now();
    system.shutdown();
  });
  REQUIRE(ended);
  CHECK(up > base::Time(100ms));
}

TEST_CASE("a drive works over a link of TLPs with small buffers, wrong bits and sleep") {
  system_::System system(
      config_with({"link.credits.posted_headers=8", "link.credits.posted_data=64",
                   "link.credits.non_posted_headers=4", "link.credits.completion_data=64",
                   "link.credits.update_latency_ns=100", "link.bit_errors_per_petabit=1000000000",
                   "link.power.aspm=l1"}));
  const workload::WorkloadResult result = run_job(system);
  CHECK(result.complete);
  CHECK(result.requests_lost() == 0);
  CHECK(system.link().resolution() == pcie::LinkResolution::tlp);
  CHECK(system.link().tlp_counters(pcie::Direction::kUp).bad_tlps > 10);
  CHECK(system.link().power().counters(pcie::LinkPowerState::kL1).entries > 0);
}

}  // namespace nvmesim
