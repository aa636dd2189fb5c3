#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("a request runs into its timeout at a whole second, gets a full one more, then ends") {
  BlockBench bench({.timeout = 30s});
  bench.driver.hold = true;
  std::vector<base::Time> times;
  bench.driver.on_timeout = [&](Request& request) {
    times.push_back(bench.host.scheduler.now());
    if (times.size() == 1) return TimeoutResult::kResetTimer;
    request.stages().stamp(base::Stage::kArray, bench.host.scheduler.now());
    request.queue->complete_request(request);
    return TimeoutResult::kDone;
  };
  bench.driver.status = [](Request&) { return BlockStatus::kTimeout; };
  bench.io_at(250ms, BioOp::kRead, 0, 8);
  sc_core::sc_start();
  bench.expect_all_ended(BlockStatus::kTimeout);
  CHECK(times == std::vector<base::Time>{31s, 61s});
  CHECK(bench.disk.queue().timeouts() == 2);
}

TEST_CASE("the tag of a request is not used again while a timeout handler looks at it") {
  BlockBench bench({.depth = 1, .timeout = 1s});
  Threads& threads = bench.host.machine.threads;
  bench.driver.latency = [](Request& request) {
    return request.sector == 0 ? base::Time(2100ms) : base::Time(1us);
  };
  base::Time let_go{0};
  bench.driver.on_timeout = [&](Request& request) {
    CHECK(request.sector == 0);
    threads.sleep_for(300ms);  // the request completes meanwhile
    CHECK(request.sector == 0);
    CHECK(request.state == RequestState::kIdle);
    let_go = threads.scheduler().now();
    return TimeoutResult::kResetTimer;
  };
  auto& slow = bench.io_at(0ns, BioOp::kRead, 0, 8);
  auto& waiting = bench.io_at(0ns, BioOp::kRead, 8, 8);
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(slow.ended == 500ns + 2100ms);
  CHECK(let_go == 2300ms);
  CHECK(waiting.ended == 2300ms + 1us);
}

TEST_CASE("a queue without requests has no timer running") {
  BlockBench bench({.timeout = 30s});
  for (int i = 0; i < 100; ++i) bench.io_at(base::Time(100ms) * i, BioOp::kRead, 0, 8);
  sc_core::sc_start();
  bench.expect_all_ended();
  // The last look comes at most 5 s after the last request; it finds nothing and stops.
  CHECK(bench.host.scheduler.now() <= 9900ms + 6s);
  CHECK(bench.host.scheduler.pending_count() == 0);
  CHECK(bench.disk.queue().timeouts() == 0);
}

TEST_CASE("sync stops the timer and waits for a handler that is running") {
  BlockBench bench({.timeout = 1s});
  Threads& threads = bench.host.machine.threads;
  bench.driver.hold = true;
  int handled = 0;
  bench.driver.on_timeout = [&](Request&) {
    threads.sleep_for(500ms);
    ++handled;
    return TimeoutResult::kResetTimer;
  };
  bench.io_at(0ns, BioOp::kRead, 0, 8);
  threads.spawn("reset", [&] {
    threads.sleep_for(2200ms);
    CHECK(handled == 0);
    bench.disk.queue().sync();
    CHECK(handled == 1);
    CHECK(threads.scheduler().now() == 2500ms);
    bench.disk.queue().sync();
    threads.sleep_for(10s);
    CHECK(handled == 1);
    bench.set.busy_iter([&](Request& request) {
      request.stages().stamp(base::Stage::kArray, threads.scheduler().now());
      request.queue->complete_request(request);
    });
  });
  sc_core::sc_start();
  bench.expect_all_ended();
}
