// The replayer over a fake drive: exact times, every request once, what does not fit the drive.
#include "sim/workload/replayer.hpp"

#include <algorithm>

#include "fake_device.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using host::BioOp;
using workload::Operation;
using workload::Replayer;
using workload::Trace;

const workload::OperationResult& of(const workload::WorkloadResult& result, Operation operation) {
  return result.operations[static_cast<std::size_t>(operation)];
}

}  // namespace

TEST_CASE("open loop submits each request exactly at its arrival time") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 50us, .jitter = 80us});
  const Trace trace = workload::read_trace(recording("devwork.blktrace.txt.gz"));
  Replayer replayer(scheduler, device, trace, {});
  CHECK(run_to_end(replayer) == 1);
  REQUIRE(device.seen().size() == trace.requests.size());
  std::size_t exact = 0;
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    exact += device.seen()[i].at == trace.requests[i].at ? 1 : 0;
  }
  CHECK(exact == trace.requests.size());
  const auto result = replayer.result();
  CHECK(result.complete);
  CHECK(result.requests_submitted == 1'837);
  CHECK(result.requests_completed == 1'837);
  CHECK(result.requests_lost() == 0);
  CHECK(of(result, Operation::kRead).count == 909);
  CHECK(of(result, Operation::kDiscard).count == 43);
  CHECK(of(result, Operation::kFlush).count == 209);
  REQUIRE(result.backlog);
  CHECK(result.backlog->behind_max == 0ns);
  CHECK(result.backlog->late_submissions == 0);
}

TEST_CASE("speed divides the arrival times exactly") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  const Trace trace = every(3us, 20);
  workload::ReplayConfig config;
  config.speed = "1.5";
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  REQUIRE(device.seen().size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(device.seen()[i].at == static_cast<int>(i) * 2us);
}

TEST_CASE("speeds that are no decimal number above 0 are refused") {
  for (const char* text :
       {"", "0", "0.0", "-1", "1.", ".5", "1e3", "x", "1234567890", "0.0000000001"}) {
    INFO(text);
    CHECK(user_error([&] { workload::parse_speed(text); }).find("give a decimal number") !=
          std::string::npos);
  }
  CHECK(workload::parse_speed("0.125").numerator == 125);
  CHECK(workload::parse_speed("0.125").denominator == 1000);
}

TEST_CASE("a speed that makes the replay longer than time can count is refused") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  const Trace trace = every(1s, 3);
  workload::ReplayConfig config;
  config.speed = "0.000000001";
  CHECK(user_error([&] { Replayer(scheduler, device, trace, config); }).find("90 days") !=
        std::string::npos);
}

TEST_CASE("closed loop keeps its depth in flight and ignores the arrival times") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1s, 100, BioOp::kRead);
  workload::ReplayConfig config;
  config.closed_loop = 4;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  const auto result = replayer.result();
  CHECK(device.open_max() == 4);
  CHECK(result.last_completion == 250us);  // 100 / 4 rounds of 10 us
  CHECK(of(result, Operation::kRead).count == 100);
  CHECK(of(result, Operation::kRead).bytes == 100 * 4096);
  CHECK(of(result, Operation::kRead).latency_ps.min() == 10'000'000);
  CHECK(of(result, Operation::kRead).latency_ps.max() == 10'000'000);
  CHECK_FALSE(result.backlog);
  CHECK(device.buffers() == 4);
}

TEST_CASE("what is submitted during the warm-up runs but is not counted") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 100);
  workload::ReplayConfig config;
  config.run.warmup_us = 40;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  const auto result = replayer.result();
  CHECK(result.requests_completed == 100);
  CHECK(result.requests_warmup == 40);
  CHECK(of(result, Operation::kWrite).count == 60);
  CHECK(result.backlog->requests == 60);
  CHECK(result.measured() == 69us);  // from 40 us to the end of the one of 99 us
  CHECK(result.slowest.front().submitted >= 40us);
}

TEST_CASE("sectors beyond the drive wrap, across its end in two parts") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.capacity_sectors = 1000});
  Trace trace;
  trace.requests = {request(0us, BioOp::kWrite, 992, 8), request(1us, BioOp::kWrite, 1000, 8),
                    request(2us, BioOp::kRead, 123'996, 8),
                    request(3us, BioOp::kDiscard, 10, 5000)};
  Replayer replayer(scheduler, device, trace, {});
  CHECK(run_to_end(replayer) == 1);
  const auto& seen = device.seen();
  REQUIRE(seen.size() == 6);
  CHECK((seen[0].sector == 992 && seen[0].sectors == 8));
  CHECK((seen[1].sector == 0 && seen[1].sectors == 8));
  CHECK((seen[2].sector == 996 && seen[2].sectors == 4));
  CHECK((seen[3].sector == 0 && seen[3].sectors == 4));
  CHECK((seen[4].sector == 10 && seen[4].sectors == 990));
  CHECK((seen[5].sector == 0 && seen[5].sectors == 10));
  CHECK(seen[2].at == 2us);
  CHECK(seen[3].at == 2us);
  const auto result = replayer.result();
  CHECK(result.replay.trace_requests == 4);
  CHECK(result.replay.wrapped == 3);
  CHECK(result.replay.split == 2);
}

TEST_CASE("reads and writes of more than 16 MiB are split, discards are not") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.capacity_sectors = 1 << 22});
  Trace trace;
  trace.requests = {request(0us, BioOp::kRead, 0, 70'000),
                    request(1us, BioOp::kDiscard, 0, 70'000)};
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  REQUIRE(device.seen().size() == 4);
  CHECK(device.seen()[2].sector == 65'536);
  CHECK(device.seen()[2].sectors == 70'000 - 65'536);
  CHECK(replayer.result().replay.split == 1);
}

TEST_CASE("on a drive of larger blocks requests widen to whole blocks") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.capacity_sectors = 800, .logical_block_bytes = 4096});
  Trace trace;
  trace.requests = {request(0us, BioOp::kWrite, 7, 2), request(1us, BioOp::kWrite, 16, 8),
                    request(2us, BioOp::kWrite, 799, 1)};
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  REQUIRE(device.seen().size() == 3);
  CHECK((device.seen()[0].sector == 0 && device.seen()[0].sectors == 16));
  CHECK((device.seen()[1].sector == 16 && device.seen()[1].sectors == 8));
  CHECK((device.seen()[2].sector == 792 && device.seen()[2].sectors == 8));
  CHECK(replayer.result().replay.aligned == 2);
}

TEST_CASE("the measured part begins at the end of the warm-up, before its first request") {
  struct Watch {
    base::Scheduler* scheduler;
    Replayer* replayer;
    base::Time measuring{-1};
    std::uint64_t before = 0;
    base::Time ended{-1};
    void begins() {
      measuring = scheduler->now();
      before = replayer->result().requests_submitted;
    }
    void ends() { ended = scheduler->now(); }
  };
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 100);
  workload::ReplayConfig config;
  config.run.warmup_us = 40;
  Replayer replayer(scheduler, device, trace, config);
  Watch watch{&scheduler, &replayer};
  replayer.set_measuring(base::Callback::of<&Watch::begins>(&watch));
  replayer.set_run_ended(base::Callback::of<&Watch::ends>(&watch));
  CHECK(run_to_end(replayer) == 1);
  CHECK(watch.measuring == 40us);
  CHECK(watch.before == 40);
  CHECK(watch.ended == 109us);
}

TEST_CASE("a warm-up that outlasts the run begins no measured part and holds nothing up") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 10);
  workload::ReplayConfig config;
  config.run.warmup_us = 5'000'000;
  Replayer replayer(scheduler, device, trace, config);
  Ends begins;
  replayer.set_measuring(base::Callback::of<&Ends::ended>(&begins));
  CHECK(run_to_end(replayer) == 1);
  CHECK(begins.count == 0);
  CHECK(scheduler.now() == 19us);
}

TEST_CASE("the work done grows with ended requests and with the read-back, not with time") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  const Trace trace = every(1us, 10);
  workload::ReplayConfig config;
  config.run.verify = true;
  Replayer replayer(scheduler, device, trace, config);
  CHECK(replayer.work_done() == 0);
  CHECK(run_to_end(replayer) == 1);
  CHECK(replayer.work_done() == 10 + 80);
}

TEST_CASE("a trace without times is replayed one at a time, and the result says so") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  Trace trace = every(0us, 30);
  trace.timed = false;
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  CHECK(device.open_max() == 1);
  CHECK(replayer.result().replay.closed_loop_for_want_of_times);
}

TEST_CASE("flags and CPUs of the trace reach the device, CPUs modulo those there are") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.cpus = 3});
  Trace trace = every(1us, 1);
  trace.requests[0].fua = true;
  trace.requests[0].preflush = true;
  trace.requests[0].cpu = 7;
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  CHECK(device.seen()[0].fua);
  CHECK(device.seen()[0].preflush);
  CHECK(device.seen()[0].cpu == 1);
}

TEST_CASE("the engine's cost is part of the latency but not of the completion latency") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 20, BioOp::kRead);
  workload::ReplayConfig config;
  config.engine_cost_ns = 700;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  const auto result = replayer.result();
  const auto& reads = of(result, Operation::kRead);
  CHECK(reads.latency_ps.max() == 10'700'000);
  CHECK(reads.completion_latency_ps.max() == 10'000'000);
  CHECK(reads.stage_time[static_cast<std::size_t>(base::Stage::kSubmit)] == 20 * 700ns);
  base::Time all{0};
  for (const base::Time time : reads.stage_time) all += time;
  CHECK(all.count() == static_cast<std::int64_t>(reads.latency_ps.sum()));
}

TEST_CASE("flushes that end in the block layer are counted apart") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.write_cache = false});
  Trace trace = every(1us, 10);
  for (int i = 0; i < 4; ++i) trace.requests.push_back(request(20us, BioOp::kFlush, 0, 0));
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  const auto result = replayer.result();
  CHECK(of(result, Operation::kFlush).count == 0);
  CHECK(result.block_layer_flushes.count == 4);
  CHECK(result.requests_completed == 14);
}

TEST_CASE("failed requests count as errors and carry no bytes") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.fail_write = 3});
  const Trace trace = every(1us, 10);
  Replayer replayer(scheduler, device, trace, {});
  run_to_end(replayer);
  const auto result = replayer.result();
  CHECK(of(result, Operation::kWrite).count == 10);
  CHECK(of(result, Operation::kWrite).errors == 1);
  CHECK(of(result, Operation::kWrite).bytes == 9 * 4096);
  CHECK(result.requests_failed == 1);
}

TEST_CASE("the slowest requests are the slowest, in order") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us, .jitter = 500us});
  const Trace trace = every(1us, 2'000);
  workload::ReplayConfig all;
  all.run.slowest = 2'000;
  Replayer everything(scheduler, device, trace, all);
  run_to_end(everything);
  FakeDevice again(scheduler, {.latency = 10us, .jitter = 500us});
  workload::ReplayConfig some;
  some.run.slowest = 25;
  Replayer replayer(scheduler, again, trace, some);
  run_to_end(replayer);
  const auto reference = everything.result().slowest;
  const auto slowest = replayer.result().slowest;
  REQUIRE(reference.size() == 2'000);
  REQUIRE(slowest.size() == 25);
  CHECK(std::is_sorted(reference.begin(), reference.end(), [](const auto& a, const auto& b) {
    return a.stages.total() > b.stages.total();
  }));
  for (std::size_t i = 0; i < 25; ++i) {
    CHECK(slowest[i].number == reference[i].number);
    CHECK(slowest[i].stages.total() == reference[i].stages.total());
    CHECK(slowest[i].sector == slowest[i].number * 8);
  }
}

TEST_CASE("a request that never ends keeps the replay open and is named") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.lose_request = 6});
  const Trace trace = every(1us, 10);
  Replayer replayer(scheduler, device, trace, {});
  CHECK(run_to_end(replayer) == 0);
  const auto result = replayer.result();
  CHECK_FALSE(result.complete);
  CHECK(result.requests_lost() == 1);
  const auto open = replayer.open_requests();
  REQUIRE(open.size() == 1);
  CHECK(open[0].number == 5);
  CHECK(open[0].sector == 40);
  CHECK(open[0].submitted == 5us);
  CHECK(open[0].stage == "in the fake drive");
  CHECK(open[0].command == 6);
}

TEST_CASE("a stopped replay ends what is in flight and has a partial result") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 100);
  Replayer replayer(scheduler, device, trace, {});
  Ends ends;
  replayer.start(base::Callback::of<&Ends::ended>(&ends));
  scheduler.at<&Replayer::stop>(50500ns, static_cast<workload::Runner*>(&replayer));
  CHECK(replayer.progress().done == 0);
  sc_core::sc_start();
  CHECK(ends.count == 1);
  CHECK_FALSE(replayer.result().complete);
  CHECK(replayer.result().requests_completed == 51);
}

TEST_CASE("progress runs from 0 to the whole") {
  struct Watch {
    Replayer* replayer;
    std::uint64_t seen = 0;
    void look() { seen = replayer->progress().done; }
  };
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.latency = 10us});
  const Trace trace = every(1us, 100);
  Replayer replayer(scheduler, device, trace, {});
  Watch watch{&replayer};
  scheduler.at<&Watch::look>(60500ns, &watch);
  CHECK(replayer.progress().done == 0);
  run_to_end(replayer);
  CHECK(watch.seen == 51);
  CHECK(replayer.progress().done == 100);
  CHECK(replayer.progress().total == 100);
}

TEST_CASE("requests of one CPU that arrive close together are plugged, up to the last of them") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  Trace trace;
  const base::Time times[] = {0us, 1us, 2us, 9us, 10us, 11us, 11us};
  const std::uint16_t cpus[] = {0, 0, 0, 0, 1, 1, 0};
  for (std::size_t i = 0; i < std::size(times); ++i) {
    trace.requests.push_back(request(times[i], BioOp::kRead, 8 * i, 8));
    trace.requests.back().cpu = cpus[i];
  }
  workload::ReplayConfig config;
  config.plug_us = 2;
  Replayer replayer(scheduler, device, trace, config);
  CHECK(run_to_end(replayer) == 1);
  std::vector<bool> plugged;
  for (const auto& seen : device.seen()) plugged.push_back(seen.plugged);
  CHECK(plugged == std::vector<bool>{true, true, false, false, true, false, false});
  CHECK(device.unplugged().empty());
}

TEST_CASE("a replay that may open no more lets go of what is plugged") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  const Trace trace = every(1us, 6);
  workload::ReplayConfig config;
  config.plug_us = 2;
  config.max_open = 2;
  Replayer replayer(scheduler, device, trace, config);
  CHECK(run_to_end(replayer) == 1);
  CHECK(device.seen().size() == 6);
  CHECK_FALSE(device.unplugged().empty());
}

}  // namespace nvmesim::test
