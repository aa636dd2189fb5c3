// What the backlog of a replay over a fake drive says, by closed forms.
#include "fake_device.hpp"
#include "sim/workload/replayer.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using workload::Operation;
using workload::Replayer;
using workload::Trace;

const workload::OperationResult& of(const workload::WorkloadResult& result, Operation operation) {
  return result.operations[static_cast<std::size_t>(operation)];
}

}  // namespace

TEST_CASE("an overloaded drive shows as waits for tags, by the closed form") {
  // One tag, 10 us each, an arrival each 4 us: request i waits 6 us * i.
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us, .tags = 1});
  const Trace trace = every(4us, 50);
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  const auto result = replayer.result();
  REQUIRE(result.backlog);
  CHECK(result.backlog->requests == 50);
  CHECK(result.backlog->tag_waits == 49);
  CHECK(result.backlog->tag_wait_max == 49 * 6us);
  CHECK(result.backlog->tag_wait_sum == 49 * 50 / 2 * 6us);
  CHECK(result.backlog->behind_max == 49 * 6us);
  CHECK(result.backlog->end_behind == 49 * 10us - 49 * 4us);
  CHECK(result.backlog->processor_wait_max == 0us);
  CHECK(result.backlog->waiting_for_tag_max > 25);
  CHECK(of(result, Operation::kWrite).stage_time[static_cast<std::size_t>(base::Stage::kTagWait)] ==
        49 * 50 / 2 * 6us);
}

TEST_CASE("an overloaded processor shows as waits for it, by the closed form") {
  // 3 us of submission each on one processor, an arrival each us: request i waits 2 us * i.
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us, .one_processor = true});
  const Trace trace = every(1us, 50);
  workload::ReplayConfig config;
  config.engine_cost_ns = 3'000;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  const auto result = replayer.result();
  REQUIRE(result.backlog);
  CHECK(result.backlog->tag_waits == 0);
  CHECK(result.backlog->behind_max == 49 * 2us);
  CHECK(result.backlog->behind_sum == 49 * 50 / 2 * 2us);
  CHECK(result.backlog->processor_wait_max == 49 * 2us);
  CHECK(result.backlog->processor_wait_sum == 49 * 50 / 2 * 2us);
  CHECK(result.backlog->end_behind == 49 * 2us);
}

TEST_CASE("a replay that keeps up is not behind, also not at its end") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 400us, .one_processor = true});
  const Trace trace = every(4us, 50);
  workload::ReplayConfig config;
  config.engine_cost_ns = 3'000;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  REQUIRE(replayer.result().backlog);
  CHECK(replayer.result().backlog->behind_max == 0us);
  CHECK(replayer.result().backlog->end_behind == 0us);
}

TEST_CASE("at most max_open requests are open; the others are late and say so") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us, .tags = 1});
  const Trace trace = every(4us, 50);
  workload::ReplayConfig config;
  config.max_open = 5;
  Replayer replayer(scheduler, device, trace, config);
  CHECK(run_to_end(replayer) == 1);
  const auto result = replayer.result();
  CHECK(device.open_max() == 5);
  CHECK(result.backlog->open_max == 5);
  CHECK(result.backlog->late_submissions > 30);
  CHECK(result.backlog->behind_max == 49 * 6us);  // the drive is as late as without the bound
  CHECK(result.requests_completed == 50);
}

}  // namespace nvmesim::test
