// Weighted round robin with urgent priority class: who is fetched when all queues are full.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr unsigned kUrgent = 0;
constexpr unsigned kHigh = 1;
constexpr unsigned kMedium = 2;
constexpr unsigned kLow = 3;

device::ControllerConfig weighted() {
  device::ControllerConfig config = small_config();
  config.weighted_arbitration = true;
  config.max_io_queues = 8;
  config.vectors = 9;
  config.pipeline.fetch_slots = 1;
  return config;
}

struct Weighted : Bench {
  explicit Weighted(device::ControllerConfig wanted = weighted(), bool choose = true)
      : Bench(wanted) {
    REQUIRE(enable());
    if (choose) {
      disable();
      write32(spec::kRegCc, 0x0046'0801);
      run(1ms);
      REQUIRE(csts().rdy());
      queue(0).tail = queue(0).head = 0;
      queue(0).phase = true;
      std::fill_n(port.at(queue(0).cq), 512, std::byte{0});
    }
    controller->points().command_fetched.arm(
        [this](std::uint16_t sqid, spec::SubmissionEntry&) { fetched.push_back(sqid); });
  }
  void create(std::uint16_t qid, unsigned priority) {
    REQUIRE(create_cq(qid, 64, 1) == Status::kSuccess);
    Queue& made = queue(qid);
    made.sq = kQueueMemory + qid * kQueueStride;
    made.cqid = qid;
    auto entry = admin(spec::AdminOpcode::kCreateIoSq, qid | 63u << 16,
                       1u | priority << 1 | std::uint32_t{qid} << 16);
    entry.prp1 = made.sq;
    REQUIRE(status(0, entry) == Status::kSuccess);
    made.size = 64;
    made.tail = 0;
  }
  // burst: 2^burst commands; weights 0's based.
  void set(unsigned burst, unsigned high, unsigned medium, unsigned low) {
    REQUIRE(status(0, admin(spec::AdminOpcode::kSetFeatures, 1,
                            burst | low << 8 | medium << 16 | high << 24)) == Status::kSuccess);
  }
  // Fills these queues at one instant and gives the order of the first `count` fetches.
  std::vector<int> order(const std::vector<std::uint16_t>& queues, std::size_t count,
                         int each = 40) {
    for (const std::uint16_t qid : queues) {
      for (int i = 0; i < each; ++i) put(qid, io(NvmOpcode::kFlush, 0, 1));
    }
    fetched.clear();
    for (const std::uint16_t qid : queues) ring(qid);
    run(2ms);
    REQUIRE(fetched.size() >= count);
    return {fetched.begin(), fetched.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  std::vector<std::uint16_t> fetched;
};

}  // namespace

TEST_CASE("weights share the fetches of the three classes") {
  Weighted bench;
  bench.create(1, kLow);
  bench.create(2, kMedium);
  bench.create(3, kHigh);
  bench.set(0, 3, 1, 0);
  CHECK(bench.order({1, 2, 3}, 14) == std::vector<int>{3, 3, 3, 3, 2, 2, 1, 3, 3, 3, 3, 2, 2, 1});
}
TEST_CASE("the urgent class goes before all weighted ones") {
  Weighted bench;
  bench.create(1, kHigh);
  bench.create(2, kUrgent);
  bench.create(3, kUrgent);
  bench.set(0, 255, 0, 0);
  const auto order = bench.order({1, 2, 3}, 24, 8);
  CHECK(std::vector<int>(order.begin(), order.begin() + 4) == std::vector<int>{2, 3, 2, 3});
  for (std::size_t i = 0; i < 16; ++i) CHECK(order[i] != 1);
  for (std::size_t i = 16; i < 24; ++i) CHECK(order[i] == 1);
}
TEST_CASE("the arbitration burst is the turn of a queue within its class") {
  Weighted bench;
  bench.create(1, kHigh);
  bench.create(2, kHigh);
  bench.create(3, kLow);
  bench.set(1, 5, 0, 1);
  CHECK(bench.order({1, 2, 3}, 16) ==
        std::vector<int>{1, 1, 2, 2, 1, 1, 3, 3, 2, 2, 1, 1, 2, 2, 3, 3});
}
TEST_CASE("admin commands go before urgent ones") {
  Weighted bench;
  bench.create(1, kUrgent);
  for (int i = 0; i < 20; ++i) bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  bench.put(0, identify(1, 0));
  bench.fetched.clear();
  bench.ring(1);
  bench.ring(0);
  bench.run(1ms);
  REQUIRE(bench.fetched.size() == 21);
  CHECK(bench.fetched[0] == 0);
}
TEST_CASE("a class that is idle leaves its share to the others") {
  Weighted bench;
  bench.create(1, kLow);
  bench.create(2, kHigh);
  bench.set(7, 0, 200, 0);
  CHECK(bench.order({1, 2}, 6) == std::vector<int>{2, 1, 2, 1, 2, 1});
}
TEST_CASE("with round robin chosen the priorities of queues mean nothing") {
  Weighted bench(weighted(), false);
  bench.create(1, kLow);
  bench.create(2, kUrgent);
  bench.set(0, 0, 0, 0);
  CHECK(bench.order({1, 2}, 6) == std::vector<int>{1, 2, 1, 2, 1, 2});
}
TEST_CASE("CAP tells of weighted arbitration") {
  Weighted bench;
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.ams() == 1);
}
TEST_CASE("enable with weighted arbitration that is not there is fatal") {
  Bench bench;
  bench.write32(spec::kRegAqa, 0x001F'001F);
  bench.write32(spec::kRegAsq, 0x100000);
  bench.write32(spec::kRegAcq, 0x110000);
  bench.write32(spec::kRegCc, 0x0046'0801);
  bench.run(1ms);
  CHECK(bench.csts().cfs());
}
TEST_CASE("enable with a vendor's arbitration is fatal") {
  Bench bench(weighted());
  bench.write32(spec::kRegAqa, 0x001F'001F);
  bench.write32(spec::kRegAsq, 0x100000);
  bench.write32(spec::kRegAcq, 0x110000);
  bench.write32(spec::kRegCc, 0x0046'3801);
  bench.run(1ms);
  CHECK(bench.csts().cfs());
}
