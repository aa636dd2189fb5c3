#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("a freeze lets what has entered end and holds what comes until it thaws") {
  BlockBench bench;
  RequestQueue& queue = bench.disk.queue();
  auto& before = bench.io_at(0ns, BioOp::kRead, 0, 8);
  auto& during = bench.io_at(5us, BioOp::kRead, 8, 8);
  Threads& threads = bench.host.machine.threads;
  threads.spawn("reset", [&] {
    threads.sleep_for(2us);
    queue.freeze_start();
    queue.freeze_start();
    CHECK_FALSE(queue.wait_freeze_timeout(1us));
    queue.wait_freeze();
    CHECK(threads.scheduler().now() == before.ended);
    CHECK(queue.alloc_request(RequestOp::kDriverIn, {.nowait = true}) == nullptr);
    threads.sleep_for(20us);
    queue.unfreeze();
    threads.sleep_for(20us);
    CHECK(bench.driver.seen.size() == 1);
    queue.unfreeze();
  });
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(during.ended == before.ended + 40us + 10us);
  CHECK(during.bio.stages.spent(base::Stage::kRequeue) == before.ended + 40us - 5us - 500ns);
}

TEST_CASE("a quiesced queue keeps requests back and sends them in order") {
  BlockBench bench({.depth = 8});
  struct Steps {
    RequestQueue& queue;
    void quiesce() { queue.quiesce(); }
    void unquiesce() { queue.unquiesce(); }
  } steps{bench.disk.queue()};
  bench.host.scheduler.at<&Steps::quiesce>(0ns, &steps);
  for (unsigned i = 0; i < 5; ++i) bench.io_at(0ns, BioOp::kRead, 8 * i, 8);
  bench.host.scheduler.at<&Steps::unquiesce>(100us, &steps);
  sc_core::sc_start();
  bench.expect_all_ended();
  REQUIRE(bench.driver.seen.size() == 5);
  for (unsigned i = 0; i < 5; ++i) {
    CHECK(bench.driver.seen[i].when == 100us);
    CHECK(bench.driver.seen[i].sector == 8 * i);
    CHECK(bench.driver.seen[i].last == (i == 4));
  }
}

TEST_CASE("without resources a request is sent again after 3 ms, or when another ends") {
  BlockBench bench({.depth = 8});
  int refusals = 2;
  bench.driver.answer = [&](Request& request) {
    if (request.sector != 8 || refusals == 0) return QueueResult::kOk;
    --refusals;
    return QueueResult::kResource;
  };
  bench.io_at(0ns, BioOp::kRead, 0, 8);
  auto& refused = bench.io_at(0ns, BioOp::kRead, 8, 8);
  sc_core::sc_start();
  bench.expect_all_ended();
  // Refused at 1 us and at 10.5 us, when the first one ended; then the timer.
  CHECK(refused.ended == 10'500ns + 3ms + 10us);
  CHECK(refused.bio.stages.spent(base::Stage::kRequeue) == 9'500ns + 3ms);
  CHECK(bench.driver.commits == 2);
}

TEST_CASE("a driver that cannot send a request fails it") {
  BlockBench bench({.depth = 2});
  bench.driver.answer = [](Request&) { return QueueResult::kIoError; };
  for (int i = 0; i < 10; ++i) bench.io_at(0ns, BioOp::kRead, 8, 8);
  auto& split = bench.io_at(0ns, BioOp::kRead, 0, 8000);
  sc_core::sc_start();
  bench.expect_all_ended(BlockStatus::kIoError);
  CHECK(split.ended == 11 * 500ns);
}

TEST_CASE("thousands that wait for a tag of a dead drive end without deep recursion") {
  BlockBench bench({.depth = 1});
  bench.driver.answer = [&](Request& request) {
    return request.sector == 0 ? QueueResult::kOk : QueueResult::kIoError;
  };
  bench.driver.latency = [](Request&) { return 100ms; };
  bench.io_at(0ns, BioOp::kRead, 0, 8);
  for (int i = 0; i < 20000; ++i) bench.io_at(1us, BioOp::kRead, 8, 8);
  sc_core::sc_start();
  CHECK(bench.order.size() == 20001);
  bench.expect_idle();
}

TEST_CASE("a retried request waits for exactly its delay") {
  BlockBench bench;
  bench.driver.retry = [&](Request& request) {
    if (request.retries++ != 0) return false;
    request.queue->requeue_request(request);
    request.queue->delay_kick_requeue_list(200ms);
    return true;
  };
  auto& io = bench.io_at(0ns, BioOp::kWrite, 0, 8);
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(io.bio.stages.spent(base::Stage::kRequeue) == 200ms);
  CHECK(io.ended == 500ns + 20us + 200ms);
  CHECK(bench.disk.queue().requeues() == 1);
}

TEST_CASE("a dying queue ends frozen and new bios with an error") {
  BlockBench bench;
  RequestQueue& queue = bench.disk.queue();
  struct Steps {
    RequestQueue& queue;
    void freeze() { queue.freeze_start(); }
    void die() { queue.mark_dying(); }
  } steps{queue};
  bench.host.scheduler.at<&Steps::freeze>(0ns, &steps);
  bench.host.scheduler.at<&Steps::die>(10us, &steps);
  auto& frozen = bench.io_at(1us, BioOp::kRead, 0, 8);
  auto& late = bench.io_at(20us, BioOp::kRead, 0, 8);
  sc_core::sc_start();
  bench.expect_all_ended(BlockStatus::kIoError);
  CHECK(frozen.ended == 10us);
  CHECK(late.ended == 20us + 500ns);
  CHECK(queue.alloc_request(RequestOp::kDriverIn, {.nowait = true}) == nullptr);
}

TEST_CASE("a command of the driver's own blocks its thread and carries its result") {
  BlockBench bench({.depth = 1});
  bench.driver.status = [](Request& request) {
    CHECK(request.command[0] == std::byte{0x06});
    request.result = 77;
    return BlockStatus::kNotSupported;
  };
  RequestQueue& queue = bench.disk.queue();
  Threads& threads = bench.host.machine.threads;
  std::vector<base::Time> ends;
  for (int i = 0; i < 3; ++i) {
    threads.spawn("user", [&] {
      Request* request = queue.alloc_request(RequestOp::kDriverIn, {});
      request->command[0] = std::byte{0x06};
      CHECK(queue.execute_rq(*request) == BlockStatus::kNotSupported);
      CHECK(request->result == 77);
      CHECK(request->stages().total() == 10us);
      queue.free_request(*request);
      ends.push_back(threads.scheduler().now());
    });
  }
  sc_core::sc_start();
  CHECK(ends == std::vector<base::Time>{10us, 20us, 30us});
  bench.expect_idle();
}

TEST_CASE("an asynchronous command calls back, and one at the head overtakes what is held") {
  BlockBench bench({.depth = 4});
  RequestQueue& queue = bench.disk.queue();
  struct User {
    RequestQueue& queue;
    std::vector<Request*> ended;
    Request* current = nullptr;
    void ended_one(std::uint64_t request) {
      ended.push_back(reinterpret_cast<Request*>(request));
      queue.free_request(*ended.back());
    }
    Request* send(bool at_head) {
      Request* request = queue.alloc_request(RequestOp::kDriverOut, {.nowait = true});
      request->end_io =
          base::Callback::of<&User::ended_one>(this, reinterpret_cast<std::uint64_t>(request));
      queue.execute_rq_nowait(*request, at_head);
      return request;
    }
    void go() {
      queue.quiesce();
      Request* first = send(false);
      Request* second = send(false);
      Request* third = send(true);
      CHECK(ended.empty());
      queue.unquiesce();
      order = {third, first, second};
    }
    std::vector<Request*> order;
  } user{queue, {}, nullptr, {}};
  bench.host.scheduler.at<&User::go>(1us, &user);
  sc_core::sc_start();
  CHECK(user.ended == user.order);
  bench.expect_idle();
}

TEST_CASE("the number of hardware queues changes only when all requests have ended") {
  BlockBench bench({.hw_queues = 4, .depth = 4});
  for (unsigned i = 0; i < 64; ++i) bench.io_at(0ns, BioOp::kRead, 8 * i, 8, i % 4);
  auto& late = bench.io_at(1ms, BioOp::kRead, 0, 8, 3);
  Threads& threads = bench.host.machine.threads;
  threads.spawn("reset", [&] {
    threads.sleep_for(15us);
    CHECK(bench.driver.in_flight > 0);
    bench.driver.wanted_queues = 2;
    bench.set.update_nr_hw_queues(2);
    CHECK(bench.set.tags_in_use() == 0);
    CHECK(bench.disk.limits().hardware_queues == 2);
  });
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(bench.driver.seen.back().bio == &late.bio);
  CHECK(bench.driver.seen.back().hw_queue == 1);
  CHECK(bench.driver.initialised == 8);
}
