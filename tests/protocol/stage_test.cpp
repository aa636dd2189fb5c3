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

// Data time of a read of 128 KiB where a set-up occupies an engine for 1 us.
base::Time setup_of_32_units(std::uint32_t width) {
  device::ControllerConfig config = small_config();
  config.pipeline.dma_setup_interval_cycles = 800;
  config.pipeline.dma_setup_width = width;
  Stamped bench(config);
  for (std::uint64_t i = 0; i < 31; ++i) bench.port.store(kLists + i * 8, 0x40'0000 + i * 4096);
  return bench.record_of(io(NvmOpcode::kRead, 0, 256, kData, kLists)).spent(Stage::kData);
}

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
TEST_CASE("DMA set-up of read data delays it by its cycles and counts as data") {
  device::ControllerConfig config = small_config();
  config.pipeline.dma_setup_cycles = 80;
  Stamped bench(config);
  const auto record = bench.record_of(io(NvmOpcode::kRead, 0, 8));
  CHECK(record.spent(Stage::kData) == FakePort::kWriteTime + 100ns);
  CHECK(record.spent(Stage::kArray) == 10us);
  CHECK(bench.idle());
}
TEST_CASE("DMA set-up of write data comes before its fetch") {
  device::ControllerConfig config = small_config();
  config.pipeline.dma_setup_cycles = 80;
  Stamped bench(config);
  const auto record = bench.record_of(io(NvmOpcode::kWrite, 0, 8));
  CHECK(record.spent(Stage::kData) == FakePort::kReadTime + 100ns);
  CHECK(record.spent(Stage::kArray) == 2us);
}
TEST_CASE("a DMA engine sets up one unit at a time") {
  CHECK(setup_of_32_units(1) == 31us + FakePort::kWriteTime);
}
TEST_CASE("a wider DMA engine sets up more units at a time") {
  CHECK(setup_of_32_units(4) == 7us + FakePort::kWriteTime);
}
TEST_CASE("Compare and reads with protection information pass the DMA set-up too") {
  device::ControllerConfig config = small_config();
  config.oncs |= spec::kOncsCompare;
  config.pipeline.dma_setup_cycles = 80;
  config.namespaces[0].metadata_bytes = 8;
  config.namespaces[0].protection_type = 1;
  Stamped bench(config);
  constexpr std::uint32_t kAction = 1u << 29;
  auto write = io(NvmOpcode::kWrite, 0, 8);
  auto compare = io(NvmOpcode::kCompare, 0, 8);
  auto read = io(NvmOpcode::kRead, 0, 8);
  for (auto* entry : {&write, &compare, &read}) entry->cdw12 |= kAction;
  bench.record_of(write);
  CHECK(bench.record_of(compare).spent(Stage::kData) == FakePort::kReadTime + 100ns);
  CHECK(bench.record_of(read).spent(Stage::kData) == FakePort::kWriteTime + 100ns);
  CHECK(bench.idle());
}
TEST_CASE("a reset during DMA set-up leaves nothing behind") {
  device::ControllerConfig config = small_config();
  config.pipeline.dma_setup_cycles = 80'000;  // 100 us
  config.pipeline.interrupt_cycles = 80'000;
  Stamped bench(config);
  for (int i = 0; i < 8; ++i) bench.submit(1, io(NvmOpcode::kRead, 8 * i, 8));
  bench.run(60us);
  bench.disable();
  const std::uint64_t writes = bench.port.writes();
  const std::uint64_t interrupts = bench.port.interrupts(1);
  bench.run(1ms);
  CHECK(bench.port.writes() == writes);
  CHECK(bench.port.interrupts(1) == interrupts);
  CHECK(bench.idle());
  REQUIRE(bench.enable());
  CHECK(bench.alive());
}
TEST_CASE("an aborted command waits for its DMA set-up and sends nothing") {
  device::ControllerConfig config = small_config();
  config.pipeline.dma_setup_cycles = 80'000;
  Stamped bench(config);
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8, kData));
  bench.run(60us);
  CHECK(bench.status(0, admin(spec::AdminOpcode::kAbort, 1u | (std::uint32_t{cid} << 16))) ==
        Status::kSuccess);
  const auto victim = bench.wait(1, cid);
  REQUIRE(victim);
  CHECK(victim->status() == Status::kAbortRequested);
  CHECK(bench.port.load<std::uint8_t>(kData) == 0xA5);
  CHECK(bench.idle());
}
TEST_CASE("an interrupt message takes its cycles, and no more at a time than are wide") {
  device::ControllerConfig config = small_config();
  config.pipeline.interrupt_cycles = 800;             // 1 us
  config.pipeline.interrupt_interval_cycles = 4'000;  // 5 us
  Stamped bench(config);
  const std::uint64_t before = bench.port.interrupts(1);
  bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.submit(1, io(NvmOpcode::kRead, 8, 8));
  base::Time first{0};
  base::Time second{0};
  const base::Time begin = bench.scheduler.now();
  while (second == base::kTimeZero && bench.scheduler.now() < begin + 100us) {
    bench.run(10ns);
    const std::uint64_t seen = bench.port.interrupts(1) - before;
    if (seen == 1 && first == base::kTimeZero) first = bench.scheduler.now();
    if (seen == 2) second = bench.scheduler.now();
  }
  // As without the stage, 10.95 us, and then 1 us; the other waits for the first to be made.
  CHECK(first - begin >= 11'950ns);
  CHECK(first - begin <= 11'960ns);
  CHECK(second - first == 5us);
}
TEST_CASE("decoders of doorbells serve one after the other") {
  device::ControllerConfig config = small_config();
  config.pipeline.doorbell_interval_cycles = 1'600;  // 2 us
  Bench bench(config);
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.create_pair(2);
  bench.run(10us);
  bench.stages.clear();
  base::StageRecord first;
  base::StageRecord second;
  first.open(bench.scheduler.now());
  second.open(bench.scheduler.now());
  const auto cid1 = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  const auto cid2 = bench.submit(2, io(NvmOpcode::kRead, 8, 8));
  bench.run(50us);
  const auto now = bench.scheduler.now();
  REQUIRE(bench.stages.join(spec::command_key(bench.port.id().value(), 1, cid1), first, now));
  REQUIRE(bench.stages.join(spec::command_key(bench.port.id().value(), 2, cid2), second, now));
  CHECK(first.spent(Stage::kArbitration) == 100ns);
  CHECK(second.spent(Stage::kArbitration) == 2'100ns);
}
TEST_CASE("the look-up serves I/O commands one after the other behind decode") {
  device::ControllerConfig config = small_config();
  config.pipeline.lookup_cycles = 80;
  config.pipeline.lookup_interval_cycles = 4'000;  // 5 us
  Stamped bench(config);
  CHECK(bench.record_of(io(NvmOpcode::kRead, 0, 8)).spent(Stage::kDecode) == 300ns);
  bench.run(10us);
  base::StageRecord second;
  second.open(bench.scheduler.now());
  bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  const auto cid = bench.submit(1, io(NvmOpcode::kRead, 8, 8));
  bench.run(50us);
  REQUIRE(bench.stages.join(spec::command_key(bench.port.id().value(), 1, cid), second,
                            bench.scheduler.now()));
  CHECK(second.spent(Stage::kDecode) == 5'300ns);
}
