// Controller reset, function reset and shutdown, with commands everywhere in the controller.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Busy : Bench {
  explicit Busy(device::ControllerConfig wanted = small_config()) : Bench(wanted) { load(); }
  // Commands in every stage: fetching, decoding, in the media, data moving, waiting for room.
  void load() {
    REQUIRE(enable());
    submit(0, admin(spec::AdminOpcode::kAsyncEventRequest));
    REQUIRE(create_cq(1, 4, 3 | (1u << 16)) == Status::kSuccess);
    REQUIRE(create_sq(1, 64, 1) == Status::kSuccess);
    create_pair(2, 128);
    for (int i = 0; i < 12; ++i) put(1, io(NvmOpcode::kRead, i, 1));
    ring(1);
    run(40us);  // the small completion queue is full now
    for (std::uint64_t i = 0; i < 31; ++i) port.store(kLists + i * 8, 0x40'0000 + i * 4096);
    for (int i = 0; i < 50; ++i) {
      const NvmOpcode opcode = i % 3 == 0 ? NvmOpcode::kWrite : NvmOpcode::kRead;
      put(2, i % 5 == 0 ? io(opcode, 64, 128, kData, kLists) : io(opcode, i, 4));
    }
    ring(2);
  }
  void check_clean() {
    const device::Core& core = controller->core();
    CHECK(core.commands.clean());
    CHECK(media.running() == 0);
    CHECK(core.fetcher.slots_busy() == 0);
    CHECK(core.events.outstanding() == 0);
    CHECK_FALSE(core.queues.sq(0));
    CHECK_FALSE(core.queues.sq(1));
    CHECK_FALSE(port.promptly());
  }
};

}  // namespace

TEST_CASE("a controller reset at any moment leaves nothing behind") {
  Busy bench;
  for (int step = 0; step < 60; ++step) {
    bench.run(step * 137ns);
    bench.write32(spec::kRegCc, 0x0046'0000);
    bench.check_clean();
    const std::uint64_t writes = bench.port.writes();
    std::uint64_t interrupts = 0;
    for (std::uint32_t vector = 0; vector < 5; ++vector)
      interrupts += bench.port.interrupts(vector);
    bench.run(300us);
    CHECK(bench.port.writes() == writes);
    std::uint64_t later = 0;
    for (std::uint32_t vector = 0; vector < 5; ++vector) later += bench.port.interrupts(vector);
    CHECK(later == interrupts);
    CHECK_FALSE(bench.csts().rdy());
    bench.load();
  }
  bench.run(1ms);
  CHECK(bench.alive());
}

TEST_CASE("a function reset leaves registers at their initial values and nothing in flight") {
  Busy bench;
  bench.run(5us);
  bench.controller->function_reset();
  bench.check_clean();
  CHECK(bench.csts().value == 0);
  CHECK(bench.read32(spec::kRegCc) == 0);
  CHECK(bench.read32(spec::kRegAqa) == 0);
  CHECK(bench.read64(spec::kRegAsq) == 0);
  bench.run(1ms);
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
  CHECK(bench.alive());
}

TEST_CASE("a controller reset keeps AQA, ASQ and ACQ") {
  Bench bench;
  REQUIRE(bench.enable());
  const std::uint64_t asq = bench.read64(spec::kRegAsq);
  bench.disable();
  CHECK(bench.read64(spec::kRegAsq) == asq);
  CHECK(bench.read32(spec::kRegAqa) == 0x001F'001F);
}

TEST_CASE("data written before a reset is there after it") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.port.store(kData, std::uint64_t{0x1122'3344'5566'7788});
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 5, 1)) == Status::kSuccess);
  bench.disable();
  REQUIRE(bench.enable());
  bench.queue(1) = {};
  bench.create_pair(1);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 5, 1, kData + 8192)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData + 8192) == 0x1122'3344'5566'7788);
}

TEST_CASE("shutdown takes the configured time at least") {
  Bench bench;
  bench.media.quiesce_time = 1us;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0x0046'4001);
  CHECK(bench.csts().shst() == spec::kShstOccurring);
  bench.run(2'999ns);
  CHECK(bench.csts().shst() == spec::kShstOccurring);
  bench.run(2ns);
  CHECK(bench.csts().value == 0x9);
}
TEST_CASE("shutdown waits for the media") {
  Bench bench;
  bench.media.quiesce_time = 500us;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0x0046'8001);
  bench.run(400us);
  CHECK(bench.csts().shst() == spec::kShstOccurring);
  bench.run(101us);
  CHECK(bench.csts().shst() == spec::kShstComplete);
}
TEST_CASE("nothing is fetched after shutdown, and a reset ends it") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0x0046'4001);
  bench.run(100us);
  const std::uint64_t reads = bench.port.reads();
  bench.submit(0, identify(1, 0));
  bench.run(100us);
  CHECK(bench.port.reads() == reads);
  bench.disable();
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
  CHECK(bench.alive());
}
TEST_CASE("a reset during shutdown forgets it") {
  Bench bench;
  bench.media.quiesce_time = 100us;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0x0046'4001);
  bench.run(50us);
  bench.disable();
  REQUIRE(bench.enable());
  bench.run(200us);
  CHECK(bench.csts().value == 1);
  CHECK(bench.alive());
}
TEST_CASE("with no times configured shutdown is over at once, as the recorded device's is") {
  device::ControllerConfig config = small_config();
  config.shutdown_latency_us = 0;
  Bench bench(config);
  bench.media.quiesce_time = base::kTimeZero;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0x0046'4001);
  bench.run(1ns);
  CHECK(bench.csts().value == 0x9);
}
