// Arbitration among submission queues, fetch in bursts, and back-pressure.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;

namespace {

struct Fetched : Bench {
  std::vector<std::uint16_t> order;

  explicit Fetched(device::ControllerConfig wanted) : Bench(wanted) {
    REQUIRE(enable());
    for (std::uint16_t qid = 1; qid <= 3; ++qid) create_pair(qid);
    controller->points().command_fetched.arm(
        [this](std::uint16_t sqid, spec::SubmissionEntry&) { order.push_back(sqid); });
  }
  // Eight reads in each of three queues, doorbells in the given order at one instant.
  void load(std::initializer_list<std::uint16_t> doorbells) {
    for (std::uint16_t qid = 1; qid <= 3; ++qid) {
      for (int i = 0; i < 8; ++i) put(qid, io(NvmOpcode::kRead, i, 1));
    }
    for (const std::uint16_t qid : doorbells) ring(qid);
    run(300us);
  }
  std::size_t longest_run() const {
    std::size_t longest = 0;
    std::size_t length = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      length = i != 0 && order[i] == order[i - 1] ? length + 1 : 1;
      longest = std::max(longest, length);
    }
    return longest;
  }
};

device::ControllerConfig with_burst(std::uint32_t rab) {
  device::ControllerConfig config = small_config();
  config.rab = rab;
  config.mqes = 63;
  return config;
}

}  // namespace

TEST_CASE("with a burst of one command the queues take turns") {
  Fetched bench(with_burst(0));
  bench.load({1, 2, 3});
  REQUIRE(bench.order.size() == 24);
  for (std::size_t i = 0; i < 24; ++i) CHECK(bench.order[i] == i % 3 + 1);
}
TEST_CASE("a burst of four commands is kept to") {
  Fetched bench(with_burst(2));
  bench.load({1, 2, 3});
  REQUIRE(bench.order.size() == 24);
  for (std::size_t i = 0; i < 24; ++i) CHECK(bench.order[i] == i / 4 % 3 + 1);
}
TEST_CASE("without a burst limit a queue is emptied before the next") {
  Fetched bench(with_burst(7));
  bench.load({1, 2, 3});
  REQUIRE(bench.order.size() == 24);
  CHECK(bench.longest_run() == 8);
}
TEST_CASE("the order of doorbells of one instant does not matter") {
  std::vector<std::uint16_t> first;
  Fetched bench(with_burst(0));
  bench.load({1, 2, 3});
  first = bench.order;
  for (std::uint16_t qid = 1; qid <= 3; ++qid) bench.reap(qid);
  bench.order.clear();
  bench.load({3, 1, 2});
  CHECK(bench.order == first);
}
TEST_CASE("a fetch reads as many entries as configured, within a page and before the wrap") {
  device::ControllerConfig config = small_config();
  config.rab = 7;
  config.pipeline.fetch_burst_entries = 16;
  Bench bench(config);
  REQUIRE(bench.enable());
  bench.create_pair(1, 72);
  const auto& core = bench.controller->core();
  const std::uint64_t fetches = core.fetcher.fetches();
  for (int i = 0; i < 70; ++i) bench.put(1, io(NvmOpcode::kRead, i, 1));
  bench.ring(1);
  bench.run(1ms);
  CHECK(bench.reap(1).size() == 70);
  // 64 entries in the first page: four fetches of 16; six in the second.
  CHECK(core.fetcher.fetches() - fetches == 5);
  for (int i = 0; i < 6; ++i) bench.put(1, io(NvmOpcode::kRead, i, 1));
  bench.ring(1);
  bench.run(1ms);
  CHECK(bench.reap(1).size() == 6);
  CHECK(core.fetcher.fetches() - fetches == 7);  // two before the wrap, four behind it
}
TEST_CASE("when command slots run out the queue waits and nothing is lost") {
  device::ControllerConfig config = small_config();
  config.pipeline.command_slots = 3;
  Bench bench(config);
  REQUIRE(bench.enable());
  bench.create_pair(1, 64);
  bench.create_pair(2, 64);
  for (int i = 0; i < 40; ++i) {
    bench.put(1, io(NvmOpcode::kRead, i, 1));
    bench.put(2, io(NvmOpcode::kWrite, 64 + i, 1));
  }
  bench.ring(1);
  bench.ring(2);
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    bench.run(1us);
    most = std::max<std::size_t>(most, bench.controller->commands_in_flight());
  }
  CHECK(most == 3);
  CHECK(bench.reap(1).size() == 40);
  CHECK(bench.reap(2).size() == 40);
  CHECK(bench.controller->core().fetcher.starved_counter() > 0);
  CHECK(bench.idle());
}
TEST_CASE("a drive full of I/O still answers admin commands") {
  device::ControllerConfig config = small_config();
  config.pipeline.command_slots = 2;
  Bench bench(config);
  bench.media.held = true;
  REQUIRE(bench.enable());
  bench.create_pair(1, 64);
  for (int i = 0; i < 10; ++i) bench.put(1, io(NvmOpcode::kRead, i, 1));
  bench.ring(1);
  bench.run(100us);
  CHECK(bench.media.running() == 2);
  CHECK(bench.alive());
}
TEST_CASE("what is in flight can be described") {
  Bench bench;
  bench.media.held = true;
  REQUIRE(bench.enable());
  bench.create_pair(1, 64);
  bench.submit(1, io(NvmOpcode::kRead, 0, 1));
  bench.run(50us);
  const std::string text = bench.controller->describe_in_flight();
  CHECK(text.find("queue 1 CID") != std::string::npos);
  CHECK(text.find("Read: in the media") != std::string::npos);
}
