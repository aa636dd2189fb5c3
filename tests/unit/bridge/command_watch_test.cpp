// A driver and a drive by hand: what the watch makes of their doorbells, entries and interrupts.
#include "sim/bridge/command_watch.hpp"

#include <functional>

#include "device/spec/command_key.hpp"
#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

namespace spec = device::spec;
using base::Stage;

constexpr std::uint16_t kFunction = 0x100;
constexpr std::uint64_t kAdminSq = 0x1000, kAdminCq = 0x2000, kSq = 0x3000, kCq = 0x4000;
constexpr std::uint64_t kRanges = 0x5FE0;  // two of them, then a page's end
constexpr std::uint64_t kNextRanges = 0x8000;
constexpr std::uint32_t kTable = 0x2000;
constexpr std::uint32_t kEntries = 4;
constexpr std::uint32_t kIrq = 77;  // data of the I/O queue's vector

struct Bench {
  explicit Bench(bool shadow = false) : file(test::memory_file(1 << 16)) {
    memory.add({0, 1 << 16, 0x4000'0000, 0}, file);
    watch.connect(memory, kFunction);
    reg(0x24, 3u << 16 | 3u);
    reg(0x28, kAdminSq);
    reg(0x30, kAdminCq);
    reg(0x14, 0x460001);
    reg(kTable + 16 + 8, kIrq);  // entry 1
    spec::SubmissionEntry cq{};
    cq.opc = 0x05;
    cq.prp1 = kCq;
    cq.cdw10 = (kEntries - 1) << 16 | 1;
    cq.cdw11 = 1u << 16 | 3;
    fetch(kAdminSq, cq);
    spec::SubmissionEntry sq{};
    sq.opc = 0x01;
    sq.cid = 1;
    sq.prp1 = kSq;
    sq.cdw10 = (kEntries - 1) << 16 | 1;
    sq.cdw11 = 1u << 16 | 1;
    fetch(kAdminSq + 64, sq);
    if (!shadow) return;
    spec::SubmissionEntry shadows{};
    shadows.opc = 0x7C;
    fetch(kAdminSq + 128, shadows);
  }

  template <class Value>
  void reg(std::uint64_t offset, Value value) {
    watch.register_written(offset, std::as_bytes(std::span(&value, 1)));
  }
  void sq_tail(std::uint32_t tail) { reg(0x1008, tail); }
  void cq_head(std::uint32_t head) { reg(0x100C, head); }
  void fetch(std::uint64_t address, const spec::SubmissionEntry& entry) {
    watch.memory_read(address, std::as_bytes(std::span(&entry, 1)));
  }
  static spec::SubmissionEntry command(std::uint8_t opcode, std::uint16_t cid) {
    spec::SubmissionEntry entry{};
    entry.opc = opcode;
    entry.cid = cid;
    entry.nsid = 1;
    entry.cdw10 = 8;
    entry.cdw12 = 7;
    return entry;
  }
  // The device is through with it: noticed at `noticed`, its entry left at `left`.
  void device_says(std::uint16_t cid, base::Time noticed, base::Time left) {
    base::StageRecord record;
    record.open(noticed);
    record.stamp(Stage::kArray, left);
    stages.completed(spec::command_key(kFunction, 1, cid), record);
  }
  void complete(unsigned slot, std::uint16_t cid, std::uint16_t status = 0) {
    spec::CompletionEntry entry{};
    entry.sqid = 1;
    entry.cid = cid;
    entry.status = static_cast<std::uint16_t>(status << 1 | 1);
    watch.memory_written(kCq + 16 * slot, std::as_bytes(std::span(&entry, 1)));
  }
  void at(base::Time when, std::function<void()> step) {
    steps.push_back(std::move(step));
    scheduler.at<&Bench::step>(when, this, steps.size() - 1);
  }
  void step(std::uint64_t index) { steps[index](); }

  Fd file;
  GuestMemory memory;
  base::Scheduler scheduler{"scheduler"};
  base::StageJoin stages;
  std::vector<CommandWatch::Command> seen;
  std::vector<std::function<void()>> steps;
  CommandWatch watch{scheduler,
                     stages,
                     {0, kTable, 4, [](std::uint32_t nsid) { return nsid == 1 ? 512u : 0u; }},
                     [this](const CommandWatch::Command& one) { seen.push_back(one); }};
};

void check_stages(const CommandWatch::Command& command,
                  std::initializer_list<std::pair<Stage, base::Time>> expected) {
  base::Time sum{0};
  for (const auto& [stage, time] : expected) {
    INFO(base::name(stage));
    CHECK(command.stages.spent(stage) == time);
    sum += time;
  }
  CHECK(command.stages.total() == sum);
}

TEST_CASE("a command's record goes from the guest's work to the doorbell of its completion") {
  Bench bench;
  bench.at(1us, [&] { bench.watch.work_begins(); });
  bench.at(3us, [&] { bench.sq_tail(1); });
  bench.at(4us, [&] { bench.fetch(kSq, Bench::command(2, 5)); });
  bench.at(9us, [&] { bench.device_says(5, 3500ns, 9us); });
  bench.at(10us, [&] { bench.complete(0, 5); });
  bench.at(11us, [&] { bench.watch.interrupt(kIrq + 1); });  // another vector's
  bench.at(12us, [&] { bench.watch.interrupt(kIrq); });
  bench.at(14us, [&] { bench.cq_head(1); });
  bench.scheduler.simulate();
  REQUIRE(bench.seen.size() == 1);
  CHECK(bench.seen[0].opcode == 2);
  CHECK_FALSE(bench.seen[0].failed);
  CHECK(bench.seen[0].first_byte == 8 * 512);
  CHECK(bench.seen[0].bytes == 4096);
  check_stages(bench.seen[0], {{Stage::kSubmit, 2us},
                               {Stage::kDoorbell, 500ns},
                               {Stage::kArray, 5500ns},
                               {Stage::kInterrupt, 3us},
                               {Stage::kComplete, 2us}});
  CHECK(bench.watch.open_time() == 10us);
  CHECK(bench.watch.counts().completed == 1);
  CHECK(bench.watch.counts().admin == 2);
  CHECK(bench.stages.waiting() == 0);
}

TEST_CASE("one doorbell for two commands begins both, work between doorbells is the next one's") {
  Bench bench;
  bench.at(1us, [&] { bench.sq_tail(2); });
  bench.at(2us, [&] {
    const spec::SubmissionEntry both[] = {Bench::command(2, 5), Bench::command(1, 6)};
    bench.watch.memory_read(kSq, std::as_bytes(std::span(both)));
  });
  bench.at(4us, [&] { bench.sq_tail(3); });
  bench.at(5us, [&] { bench.fetch(kSq + 128, Bench::command(0, 7)); });
  for (unsigned i = 0; i < 3; ++i) {
    bench.at(8us, [&bench, i] {
      bench.device_says(static_cast<std::uint16_t>(5 + i), 5us, 8us);
      bench.complete(i, static_cast<std::uint16_t>(5 + i), i == 1 ? 0x281 : 0);
    });
  }
  bench.at(9us, [&] { bench.cq_head(3); });  // polled: no interrupt came
  bench.scheduler.simulate();
  REQUIRE(bench.seen.size() == 3);
  for (unsigned i = 0; i < 3; ++i) {
    CHECK(bench.seen[i].number == i);
    CHECK(bench.seen[i].failed == (i == 1));
    CHECK(bench.seen[i].stages.start() == (i < 2 ? 0us : 1us));
    CHECK(bench.seen[i].stages.spent(Stage::kSubmit) == (i < 2 ? 1us : 3us));
    CHECK(bench.seen[i].stages.spent(Stage::kComplete) == 0us);
    CHECK(bench.seen[i].stages.last() == 9us);
  }
  CHECK(bench.seen[2].bytes == 0);
  CHECK(bench.watch.counts().failed == 1);
}

TEST_CASE("queues go round") {
  Bench bench;
  for (unsigned i = 0; i < 11; ++i) {
    const auto cid = static_cast<std::uint16_t>(i);
    const base::Time at = std::chrono::microseconds(10 * i);
    bench.at(at + 1us, [&bench, i] { bench.sq_tail((i + 1) % kEntries); });
    bench.at(at + 2us, [&bench, i, cid] {
      bench.fetch(kSq + 64 * (i % kEntries), Bench::command(2, cid));
      // Fetched again: it is the same command.
      bench.fetch(kSq + 64 * (i % kEntries), Bench::command(2, cid));
    });
    bench.at(at + 4us, [&bench, at, i, cid] {
      bench.device_says(cid, at + 2us, at + 4us);
      bench.complete(i % kEntries, cid);
    });
    bench.at(at + 6us, [&bench, i] { bench.cq_head((i + 1) % kEntries); });
  }
  bench.scheduler.simulate();
  REQUIRE(bench.seen.size() == 11);
  CHECK(bench.watch.counts().fetched == 11);
  for (const auto& command : bench.seen) {
    CHECK(command.stages.spent(Stage::kDoorbell) == 1us);
    CHECK(command.stages.spent(Stage::kInterrupt) == 2us);
  }
}

TEST_CASE("a discard's bytes are those of its ranges, on whatever pages they lie") {
  Bench bench;
  const auto put = [&](std::uint64_t address, std::uint32_t blocks) {
    const spec::DsmRange range{0, blocks, 100};
    std::memcpy(bench.memory.at_guest(address, sizeof range).data(), &range, sizeof range);
  };
  put(kRanges, 8);
  put(kRanges + 16, 16);
  put(kNextRanges, 32);
  spec::SubmissionEntry entry = Bench::command(9, 5);
  entry.cdw10 = 2;
  entry.cdw11 = 4;
  entry.prp1 = kRanges;
  entry.prp2 = kNextRanges;
  bench.at(1us, [&] { bench.sq_tail(1); });
  bench.at(2us, [&] { bench.fetch(kSq, entry); });
  bench.at(4us, [&] {
    bench.device_says(5, 2us, 3us);
    bench.complete(0, 5);
    bench.cq_head(1);
  });
  bench.scheduler.simulate();
  REQUIRE(bench.seen.size() == 1);
  CHECK(bench.seen[0].deallocates);
  CHECK(bench.seen[0].bytes == 56 * 512);
}

TEST_CASE("what a reset finds open is cancelled, and the next life begins anew") {
  Bench bench;
  bench.at(1us, [&] { bench.sq_tail(2); });
  bench.at(2us, [&] {
    bench.fetch(kSq, Bench::command(2, 5));
    bench.fetch(kSq + 64, Bench::command(2, 6));
  });
  bench.at(4us, [&] {
    bench.device_says(5, 2us, 3us);
    bench.complete(0, 5);
  });
  bench.at(6us, [&] { bench.reg(0x14, 0x460000u); });
  bench.at(7us, [&] { bench.cq_head(1); });
  bench.scheduler.simulate();
  CHECK(bench.seen.empty());
  CHECK(bench.watch.counts().fetched == 2);
  CHECK(bench.watch.counts().completed == 1);
  CHECK(bench.watch.counts().cancelled == 1);
  CHECK(bench.watch.open_time() == 4us);
}

TEST_CASE("what waits at a completion queue that is deleted is open no longer") {
  Bench bench;
  bench.at(1us, [&] { bench.sq_tail(1); });
  bench.at(2us, [&] { bench.fetch(kSq, Bench::command(2, 5)); });
  bench.at(4us, [&] {
    bench.device_says(5, 2us, 3us);
    bench.complete(0, 5);
  });
  bench.at(7us, [&] {
    spec::SubmissionEntry entry{};
    entry.opc = static_cast<std::uint8_t>(spec::AdminOpcode::kDeleteIoCq);
    entry.cdw10 = 1;
    bench.fetch(kAdminSq + 128, entry);
  });
  bench.at(9us, [] {});
  bench.scheduler.simulate();
  CHECK(bench.watch.counts().completed == 1);
  CHECK(bench.watch.open_time() == 5us);
}

TEST_CASE("with shadow doorbells a record begins at the drive and ends with the interrupt") {
  Bench bench(true);
  bench.at(2us, [&] { bench.fetch(kSq, Bench::command(2, 5)); });
  bench.at(4us, [&] {
    bench.device_says(5, 1us, 4us);
    bench.complete(0, 5);
  });
  bench.at(5us, [&] { bench.watch.interrupt(kIrq); });
  bench.scheduler.simulate();
  REQUIRE(bench.seen.size() == 1);
  check_stages(bench.seen[0], {{Stage::kArray, 3us}, {Stage::kInterrupt, 1us}});
}

TEST_CASE("shadow doorbells change nothing for the admin queue: it is dealt with at its doorbell") {
  Bench bench(true);
  constexpr std::uint32_t kAdminIrq = 78;
  bench.reg(kTable + 8, kAdminIrq);
  const auto key = spec::command_key(kFunction, 0, 7);
  bench.at(2us, [&] {
    bench.reg(0x1000, 4u);
    bench.fetch(kAdminSq + 192, Bench::command(6, 7));
  });
  bench.at(3us, [&] {
    base::StageRecord record;
    record.open(2us);
    record.stamp(Stage::kArray, 3us);
    bench.stages.completed(key, record);
    spec::CompletionEntry entry{};
    entry.cid = 7;
    bench.watch.memory_written(kAdminCq, std::as_bytes(std::span(&entry, 1)));
  });
  bench.at(4us, [&] {
    bench.watch.interrupt(kAdminIrq);
    CHECK(bench.stages.find(key) != nullptr);
  });
  bench.at(5us, [&] {
    bench.reg(0x1004, 1u);
    CHECK(bench.stages.find(key) == nullptr);
  });
  bench.scheduler.simulate();
  CHECK(bench.seen.empty());
}

TEST_CASE("a CID that is used twice, and an entry of nobody, do no harm") {
  Bench bench;
  bench.at(1us, [&] { bench.sq_tail(2); });
  bench.at(2us, [&] {
    bench.fetch(kSq, Bench::command(2, 5));
    bench.fetch(kSq + 64, Bench::command(2, 5));
  });
  bench.at(4us, [&] {
    bench.device_says(5, 2us, 3us);
    bench.complete(0, 5);
    bench.complete(1, 5);
    bench.cq_head(2);
    bench.cq_head(77);  // beyond the queue
  });
  bench.scheduler.simulate();
  CHECK(bench.seen.size() == 1);
  CHECK(bench.watch.counts().cancelled == 1);
  CHECK(bench.watch.open_time() == 2us);
}

}  // namespace
}  // namespace nvmesim::bridge
