// Where the time of a command goes: each stage has its closed form, and nothing remains.
#include "device/spec/command_key.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using base::Stage;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Stamped : Bench {
  explicit Stamped(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
    stages.clear();
  }
  // The device's record of one command, appended to an empty one.
  base::StageRecord record_of(const spec::SubmissionEntry& entry) {
    base::StageRecord record;
    record.open(scheduler.now());
    const Completion completion = run_command(1, entry);
    REQUIRE(completion.status() == Status::kSuccess);
    REQUIRE(stages.join(spec::command_key(port.id().value(), completion.entry), record,
                        scheduler.now()));
    return record;
  }
};

base::Time device_total(const base::StageRecord& record) {
  return record.total() - record.spent(Stage::kInterrupt) - record.spent(Stage::kDoorbell);
}

}  // namespace

TEST_CASE("the stages of a read are the configured times") {
  Stamped bench;
  const auto record = bench.record_of(io(NvmOpcode::kRead, 0, 8));
  CHECK(record.spent(Stage::kDoorbell) == base::kTimeZero);
  CHECK(record.spent(Stage::kArbitration) == 100ns);  // 40 + 40 cycles of 1.25 ns
  CHECK(record.spent(Stage::kFetch) == FakePort::kReadTime);
  CHECK(record.spent(Stage::kDecode) == 200ns);
  CHECK(record.spent(Stage::kArray) == 10us);
  CHECK(record.spent(Stage::kData) == FakePort::kWriteTime);
  CHECK(record.spent(Stage::kCompletion) == 50ns);  // 150 ns, 100 of them during the transfer
  CHECK(device_total(record) == 100ns + 500ns + 200ns + 10us + 100ns + 50ns);
}
TEST_CASE("the stages of a write are the configured times") {
  Stamped bench;
  const auto record = bench.record_of(io(NvmOpcode::kWrite, 0, 8));
  CHECK(record.spent(Stage::kBuffer) == 100ns);
  CHECK(record.spent(Stage::kData) == FakePort::kReadTime);
  CHECK(record.spent(Stage::kArray) == 2us);
  CHECK(record.spent(Stage::kCompletion) == base::kTimeZero);  // built during the transfer
  CHECK(device_total(record) == 100ns + 500ns + 200ns + 100ns + 500ns + 2us);
}
TEST_CASE("fixed latencies of a kind come on top of decode") {
  device::ControllerConfig config = small_config();
  config.pipeline.read_latency_ns = 21'500;
  config.pipeline.large_read_latency_ns = 30'500;
  config.pipeline.write_latency_ns = 4'000;
  Stamped bench(config);
  CHECK(bench.record_of(io(NvmOpcode::kRead, 0, 8)).spent(Stage::kDecode) == 21'700ns);
  CHECK(bench.record_of(io(NvmOpcode::kRead, 0, 9, kData, kData + 4096)).spent(Stage::kDecode) ==
        30'700ns);
  CHECK(bench.record_of(io(NvmOpcode::kWrite, 0, 8)).spent(Stage::kDecode) == 4'200ns);
}
TEST_CASE("a PRP list is read in the decode stage") {
  Stamped bench;
  bench.port.store(kLists, std::array<std::uint64_t, 2>{0x40'0000, 0x40'1000});
  const auto record = bench.record_of(io(NvmOpcode::kRead, 0, 24, kData, kLists));
  CHECK(record.spent(Stage::kDecode) == 200ns + FakePort::kReadTime);
}
TEST_CASE("fixed latencies do not limit throughput, decode intervals do") {
  device::ControllerConfig config = small_config();
  config.pipeline.read_latency_ns = 50'000;
  Stamped bench(config);
  const base::Time begin = bench.scheduler.now();
  for (int i = 0; i < 50; ++i) bench.put(1, io(NvmOpcode::kRead, i, 1));
  bench.ring(1);
  std::size_t done = 0;
  while (done < 50) {
    bench.run(500ns);
    done += bench.reap(1).size();
  }
  const base::Time took = bench.scheduler.now() - begin;
  CHECK(took >= 50us + 10us + 49 * 200ns);
  CHECK(took < 50us + 10us + 49 * 200ns + 3us);
}
TEST_CASE("a held interrupt shows as coalescing") {
  Stamped bench;
  REQUIRE(bench.status(0, admin(spec::AdminOpcode::kSetFeatures, 8, 9 | (1u << 8))) ==
          Status::kSuccess);
  base::StageRecord record;
  record.open(bench.scheduler.now());
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(300us);
  REQUIRE(bench.port.interrupts(1) == 1);
  REQUIRE(bench.stages.join(spec::command_key(bench.port.id().value(), 1, cid), record,
                            bench.scheduler.now()));
  CHECK(record.spent(Stage::kCoalescing) == 100us);
}
TEST_CASE("a command that takes many parts has the stages of the one that ended last") {
  Stamped bench;
  for (std::uint64_t i = 0; i < 31; ++i) bench.port.store(kLists + i * 8, 0x40'0000 + i * 4096);
  const auto record = bench.record_of(io(NvmOpcode::kWrite, 3, 248, kData, kLists));
  base::Time sum{0};
  for (std::size_t i = 0; i < base::kStageCount; ++i) sum += record.spent(static_cast<Stage>(i));
  CHECK(sum == record.total());
  CHECK(record.spent(Stage::kArray) == 2us);
}
TEST_CASE("a read costs the controller three scheduler entries beside link and media") {
  Stamped bench;
  bench.record_of(io(NvmOpcode::kRead, 0, 8));
  const std::uint64_t before = bench.scheduler.entries_run();
  bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(100us);
  CHECK(bench.reap(1).size() == 1);
  // Fetch decision, entry arrival, decode, media, data sent, completion built: the last one only
  // because this port sends faster than the completion unit builds.
  CHECK(bench.scheduler.entries_run() - before == 6);
}
