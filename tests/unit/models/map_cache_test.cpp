// The cache of the mapping table, alone and with host memory behind it.
#include "models/borrowed_memory.hpp"
#include "models/spare.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;

constexpr std::uint64_t kFar = 1024;  // units of a segment

// Two segments in the controller, 10 us for one from the NAND, one at a time.
MediaConfig cached(std::uint64_t units = 16 * kFar) {
  MediaConfig config;
  config.kind = MediaKind::xpoint;
  config.capacity_bytes = units * kUnitBytes;
  config.map_cache.bytes = 2 * 4096;
  config.map_cache.read_ns = 10'000;
  config.map_cache.reads = 1;
  return config;
}

// Host memory that answers after 1 us.
class HostMemory : public BorrowedMemory {
 public:
  HostMemory(base::Scheduler& scheduler, std::size_t pages)
      : scheduler_(scheduler), bytes_(pages * 4096) {}

  std::uint64_t bytes() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> into, base::BufferRef keep,
            base::Callback done) override {
    std::memcpy(into.data(), bytes_.data() + offset, into.size());
    ++reads;
    keep_.push_back(std::move(keep));
    answer(done);
  }
  void write(std::uint64_t offset, std::span<const std::byte> from, base::BufferRef keep,
             base::Callback done) override {
    std::memcpy(bytes_.data() + offset, from.data(), from.size());
    ++writes;
    keep_.push_back(std::move(keep));
    answer(done);
  }
  bool failed() const override { return false; }
  void spoil() { std::fill(bytes_.begin(), bytes_.end(), std::byte{0x55}); }
  void lose() { lost_ = true; }

  int reads = 0;
  int writes = 0;

 private:
  void answer(base::Callback done) {
    if (!lost_) scheduler_.at(scheduler_.now() + 1us, done);
  }
  base::Scheduler& scheduler_;
  std::vector<std::byte> bytes_;
  std::vector<base::BufferRef> keep_;
  bool lost_ = false;
};

// How much longer than with its mapping cached a read of `unit` takes.
base::Time wait_of(Rig& rig, std::uint64_t unit, std::uint64_t units = 1) {
  auto& read = rig.read(unit, units);
  rig.run();
  return read.command.parts.back().stages.spent(Stage::kMapping) - 100ns;
}

struct Withdrawal {
  void done() { ended = true; }
  bool ended = false;
};

}  // namespace

TEST_CASE("a mapping segment is read once and stays while it is used") {
  Rig rig(cached());
  CHECK(wait_of(rig, 5) == 10us);
  CHECK(wait_of(rig, 900) == 0us);
  CHECK(wait_of(rig, kFar) == 10us);
  CHECK(wait_of(rig, 6) == 0us);
  CHECK(wait_of(rig, 2 * kFar) == 10us);  // takes the place of the second, used before the first
  CHECK(wait_of(rig, 7) == 0us);
  CHECK(wait_of(rig, kFar + 1) == 10us);
}
TEST_CASE("a read over two mapping segments waits for both, its stages add up") {
  Rig rig(cached());
  auto& read = rig.read(kFar - 2, 4);
  rig.run();
  for (const MediaPart& part : read.command.parts) {
    CHECK(part.stages.start() == read.started);
    CHECK(part.stages.spent(Stage::kMapping) == 20us + 100ns);
    CHECK(part.stages.last() <= read.done);
  }
}
TEST_CASE("reads of one segment wait for one read of the table") {
  Rig rig(cached());
  auto& first = rig.read(1);
  auto& second = rig.read(2);
  rig.run();
  CHECK(first.command.parts[0].stages.spent(Stage::kMapping) == 10us + 100ns);
  CHECK(second.command.parts[0].stages.spent(Stage::kMapping) == 10us + 100ns);
}
TEST_CASE(
    "segments that leave the controller come back from host memory, and not when it is gone") {
  Rig rig(cached());
  HostMemory memory(rig.scheduler, 64);
  BorrowedMemoryUser& user = *rig.media->memory_user();
  user.lent(memory, false);
  for (std::uint64_t segment = 0; segment < 4; ++segment) {
    CHECK(wait_of(rig, segment * kFar) == 10us);
  }
  CHECK(memory.writes == 2);
  CHECK(wait_of(rig, 0) == 1us);
  CHECK(wait_of(rig, kFar) == 1us);
  CHECK(memory.reads == 2);
  memory.spoil();
  CHECK(wait_of(rig, 2 * kFar) == 11us);  // not what was written: read again
  Withdrawal withdrawal;
  user.withdraw(base::Callback::of<&Withdrawal::done>(&withdrawal));
  CHECK_FALSE(withdrawal.ended);
  rig.run();
  CHECK(withdrawal.ended);
  CHECK(wait_of(rig, 0) == 10us);
  const int accesses = memory.reads + memory.writes;
  CHECK(wait_of(rig, 3 * kFar) == 10us);
  CHECK(memory.reads + memory.writes == accesses);
}
TEST_CASE("host memory that is dropped while it is read costs a read of the NAND") {
  Rig rig(cached());
  HostMemory memory(rig.scheduler, 64);
  BorrowedMemoryUser& user = *rig.media->memory_user();
  user.lent(memory, false);
  for (std::uint64_t segment = 0; segment < 3; ++segment) wait_of(rig, segment * kFar);
  memory.lose();
  auto& read = rig.read(0);
  user.dropped();
  rig.run();
  CHECK(read.command.parts[0].stages.spent(Stage::kMapping) == 10us + 100ns);
}
TEST_CASE("pages of the table with fewer entries: more of them, loaded one by one") {
  MediaConfig config = cached();
  config.map_cache.entries_per_page = 256;  // 1 KiB each: eight of them
  Rig rig(config);
  for (std::uint64_t page = 0; page < 8; ++page) CHECK(wait_of(rig, page * 256) == 10us);
  CHECK(wait_of(rig, 255) == 0us);
  CHECK(wait_of(rig, 8 * 256) == 10us);  // takes the place of the second
  CHECK(wait_of(rig, 2 * 256) == 0us);
  CHECK(wait_of(rig, 256) == 10us);
  base::StatisticsRegistry statistics;
  config.map_cache.entries_per_page = 200;
  CHECK_THROWS_AS(make_media(config, rig.scheduler, 1, statistics, "other"), base::UserError);
  config.map_cache.entries_per_page = 1024;
  config.map_cache.bytes = 4095;
  CHECK_THROWS_AS(make_media(config, rig.scheduler, 1, statistics, "other"), base::UserError);
}
namespace {
// Until a write of `unit` has its room in the buffer.
base::Time write_wait(Rig& rig, std::uint64_t unit) {
  auto& write = rig.write(unit);
  rig.run();
  return write.command.parts[0].stages.spent(Stage::kMapping);
}
MediaConfig written_back() {
  MediaConfig config = cached();
  config.map_cache.write_back = true;
  config.map_cache.write_ns = 300'000;
  return config;
}
}  // namespace
TEST_CASE("without write-back writes do not wait for the table and it is never written") {
  Rig rig(cached());
  for (std::uint64_t segment = 0; segment < 8; ++segment) {
    CHECK(write_wait(rig, segment * kFar) == 0us);
  }
  CHECK(rig.statistic("map_cache.misses") == 0);
  CHECK(rig.statistic("map_cache.write_backs") == 0);
}
TEST_CASE("with write-back a changed segment is written before another takes its place") {
  Rig rig(written_back());
  CHECK(write_wait(rig, 0) == 10us);
  CHECK(write_wait(rig, 1) == 0us);
  CHECK(wait_of(rig, kFar) == 10us);       // both places are taken
  CHECK(wait_of(rig, 2 * kFar) == 310us);  // the changed one makes room
  CHECK(wait_of(rig, 3 * kFar) == 10us);   // that of a read needs no write
  CHECK(write_wait(rig, 3 * kFar) == 0us);
  CHECK(write_wait(rig, 4 * kFar) == 10us);
  CHECK(rig.statistic("map_cache.write_backs") == 1);
  CHECK(write_wait(rig, 5 * kFar) == 310us);
  CHECK(rig.statistic("map_cache.write_backs") == 2);
  CHECK(rig.statistic("map_cache.misses") == 6);
}
TEST_CASE("a changed segment goes to host memory and to the NAND, and comes back from the host") {
  Rig rig(written_back());
  HostMemory memory(rig.scheduler, 64);
  rig.media->memory_user()->lent(memory, false);
  CHECK(write_wait(rig, 0) == 10us);
  CHECK(wait_of(rig, kFar) == 10us);
  CHECK(wait_of(rig, 2 * kFar) == 310us);
  CHECK(memory.writes == 1);
  CHECK(wait_of(rig, 0) == 1us);
  CHECK(rig.statistic("map_cache.host_hits") == 1);
  CHECK(write_wait(rig, 0) == 0us);
  CHECK(wait_of(rig, 2 * kFar) == 0us);  // in the controller, used after it
  const int before = memory.writes;
  CHECK(wait_of(rig, 3 * kFar) == 310us);
  CHECK(memory.writes == before + 1);  // what the host had is old
}
TEST_CASE("after a power cut the table is not in the controller") {
  Rig rig(written_back());
  CHECK(write_wait(rig, 0) == 10us);
  rig.media->power_cut();
  rig.media->power_on();
  CHECK(wait_of(rig, 0) == 10us);
  CHECK(rig.statistic("map_cache.write_backs") == 0);
}
TEST_CASE("metadata is kept with its blocks, through parts of units") {
  MediaConfig config = cached();
  config.map_cache.bytes = 0;
  config.keep_metadata = true;
  Rig rig(config);
  CHECK(rig.media->keeps_spare());
  MediaPoints points;
  DataStore store(16, true, true, points);
  const base::BufferRef first = store.take_buffer();
  std::memset(first->data(), 1, kUnitBytes + kSpareBytes);
  const base::BufferRef second = store.take_buffer();
  std::memset(second->data(), 2, kUnitBytes + kSpareBytes);
  const base::BufferRef both = store.merged(first, second, 1024, 512);
  CHECK(*metadata_slot(both->data(), 512) == std::byte{1});
  CHECK(*metadata_slot(both->data(), 1024) == std::byte{2});
  CHECK(metadata_slot(both->data(), 1024)[63] == std::byte{2});
  CHECK(*metadata_slot(both->data(), 1536) == std::byte{1});
  CHECK(written_mark(both->data(), 1024) == std::byte{2});
  CHECK(written_mark(both->data(), 1536) == std::byte{1});
  const base::BufferRef fresh = store.merged({}, second, 0, 512);
  CHECK(written_mark(fresh->data(), 0) == std::byte{2});
  CHECK(written_mark(fresh->data(), 512) == std::byte{0});
  CHECK(fresh->data()[512] == std::byte{0});
}

}  // namespace nvmesim::models
