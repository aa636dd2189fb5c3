// The cache of the mapping table, alone and with host memory behind it.
#include "models/borrowed_memory.hpp"
#include "models/spare.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;

constexpr std::uint64_t kFar = 1024;  // units of a segment

// Two segments in the controller; a page of the table is read in 10 us (9 in the array, 1 on the
// channel), and written in 300 us. Everything is written before.
MediaConfig cached(std::uint64_t units = 16 * kFar) {
  MediaConfig config;
  config.kind = MediaKind::xpoint;
  config.capacity_bytes = units * kUnitBytes;
  config.map_cache.bytes = 2 * 4096;
  config.xpoint.command_ns = 0;
  config.xpoint.ecc_ns = 0;
  config.xpoint.read_ns = 9'000;
  config.xpoint.write_ns = 299'000;
  config.xpoint.read_mb_per_s = config.xpoint.write_mb_per_s = 4'096;
  config.xpoint.prefill_percent = 100;
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
TEST_CASE("host memory that is dropped while it is read costs a read of the page") {
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
TEST_CASE("segments with fewer entries: several in a page, loaded one by one") {
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
  return config;
}
}  // namespace
TEST_CASE("without write-back writes do not wait for the table and it is not written again") {
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
TEST_CASE("a changed segment goes to host memory and to its page, and comes back from the host") {
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
TEST_CASE("a segment that was never written is not read; with its first unit its page is there") {
  MediaConfig config = cached();
  config.xpoint.prefill_percent = 0;
  Rig rig(config);
  CHECK(wait_of(rig, 5) == 0us);
  CHECK(rig.statistic("map_cache.misses") == 0);
  CHECK(write_wait(rig, 5) == 0us);
  CHECK(write_wait(rig, 6) == 0us);
  CHECK(rig.statistic("map_cache.write_backs") == 1);
  CHECK(rig.statistic("xpoint.writes") == 3);
  CHECK(wait_of(rig, 900) == 10us);
  CHECK(wait_of(rig, kFar) == 0us);
  CHECK(rig.statistic("map_cache.misses") == 1);
  CHECK(rig.media->used_units() == 2);  // the page is not the host's
}
TEST_CASE("with write-back the first write of a segment waits only for room") {
  MediaConfig config = written_back();
  config.xpoint.prefill_percent = 0;
  Rig rig(config);
  CHECK(write_wait(rig, 0) == 0us);
  CHECK(write_wait(rig, kFar) == 0us);
  CHECK(write_wait(rig, 2 * kFar) == 300us);  // two changed ones: the older is written
  CHECK(wait_of(rig, 0) == 310us);
  CHECK(rig.statistic("map_cache.misses") == 1);
}
TEST_CASE("a segment that is being written out is still there for reads, not for writes") {
  MediaConfig config = written_back();
  config.map_cache.bytes = 4096;
  Rig rig(config);
  CHECK(write_wait(rig, 0) == 10us);
  auto& load = rig.read(kFar);
  auto& hit = rig.read(1);
  auto& write = rig.write(2);
  rig.run();
  CHECK(load.command.parts[0].stages.spent(Stage::kMapping) == 310us + 100ns);
  CHECK(hit.command.parts[0].stages.spent(Stage::kMapping) == 100ns);
  CHECK(write.command.parts[0].stages.spent(Stage::kMapping) == 320us);  // once more from its page
}
TEST_CASE("of a page with several segments the unknown part is read before it is written") {
  MediaConfig config = written_back();
  config.map_cache.entries_per_page = 512;
  config.map_cache.bytes = 2 * 2048;
  Rig rig(config);
  CHECK(write_wait(rig, 0) == 10us);
  CHECK(write_wait(rig, kFar) == 10us);
  CHECK(write_wait(rig, 2 * kFar) == 320us);  // half of page 0 is read, all of it written
  CHECK(rig.statistic("map_cache.merges") == 1);
  CHECK(write_wait(rig, 2 * kFar + 512) == 320us);
  CHECK(write_wait(rig, 3 * kFar) == 310us);  // both halves of page 2 are here
  CHECK(rig.statistic("map_cache.merges") == 2);
  CHECK(rig.statistic("map_cache.write_backs") == 3);
  CHECK(write_wait(rig, 4 * kFar) == 10us);  // the other half of page 2 went with it
  CHECK(rig.statistic("map_cache.write_backs") == 3);
}
TEST_CASE("deallocation waits for segments that it covers in part; others go, and their pages") {
  Rig rig(written_back());
  const auto trim = [&rig](std::uint64_t unit, std::uint64_t units) {
    auto& io = rig.command(MediaOp::kDeallocate, unit, units);
    rig.run();
    return io.done - io.started - 100ns;
  };
  CHECK(trim(0, kFar) == 0us);
  CHECK(wait_of(rig, 5) == 0us);  // nothing is there
  CHECK(trim(kFar, kFar / 2) == 10us);
  CHECK(trim(2 * kFar - 1, 1 + kFar + 1) == 10us);  // the tail of 1 is cached, 2 goes, 3 is read
  CHECK(wait_of(rig, 2 * kFar) == 0us);
  CHECK(rig.statistic("map_cache.misses") == 2);
  CHECK(wait_of(rig, 5 * kFar) == 310us);  // 1 was changed, 3 was used after it
  CHECK(wait_of(rig, 6 * kFar) == 310us);
  CHECK(rig.statistic("map_cache.write_backs") == 2);
  CHECK(trim(0, 16 * kFar) == 0us);
  for (std::uint64_t segment = 0; segment < 16; ++segment) {
    CHECK(wait_of(rig, segment * kFar) == 0us);
  }
  CHECK(rig.media->used_units() == 0);
  CHECK(rig.map_cache().check_invariants() == 0);
}
TEST_CASE("with room for one segment, each write of another one writes a page") {
  MediaConfig config = written_back();
  config.map_cache.bytes = 4096;
  Rig rig(config);
  base::Random random(5, "segments");
  std::uint64_t before = 99;
  std::uint64_t changes = 0;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t segment = random.below(16);
    write_wait(rig, segment * kFar + random.below(kFar));
    if (segment != before) ++changes;
    before = segment;
  }
  CHECK(changes > 150);
  CHECK(rig.statistic("map_cache.write_backs") == changes - 1);
  CHECK(rig.statistic("map_cache.misses") == changes);
  CHECK(rig.statistic("xpoint.writes") == 200 + changes - 1);
  CHECK(rig.statistic("map_cache.most_segments") == 1);
}
TEST_CASE("many loads at once write no more than there is room for, and all end") {
  MediaConfig config = written_back();
  Rig rig(config);
  base::Random random(6, "storm");
  for (int i = 0; i < 300; ++i) {
    if (random.chance(1, 2)) {
      rig.write(random.below(16 * kFar - 4), 1 + random.below(4));
    } else {
      rig.read(random.below(16 * kFar - 4), 1 + random.below(4));
    }
  }
  rig.run();
  for (const Rig::Io& io : rig.ios) CHECK(io.finished);
  CHECK(rig.map_cache().check_invariants() == 2);
  CHECK(rig.statistic("map_cache.most_segments") == 2);
  CHECK(rig.statistic("xpoint.integrity_errors") == 0);
}

namespace {
// Pages that are read and written when the test says so.
class ManualPages : public TablePages {
 public:
  bool present(std::uint64_t) const override { return true; }
  void read(std::uint64_t page, base::Callback done) override { reads.push_back({page, done}); }
  void write(std::uint64_t page, base::Callback done) override { writes.push_back({page, done}); }
  void drop(std::uint64_t, std::uint64_t) override {}
  bool stuck() const override { return no_space && !writes.empty(); }
  void hold(std::uint32_t superblock) override { ++held[superblock]; }
  void release(std::uint32_t superblock) override { --held[superblock]; }
  void end(std::deque<std::pair<std::uint64_t, base::Callback>>& of) {
    const auto done = of.front().second;
    of.pop_front();
    done();
  }
  std::deque<std::pair<std::uint64_t, base::Callback>> reads;
  std::deque<std::pair<std::uint64_t, base::Callback>> writes;
  std::map<std::uint32_t, int> held;
  bool no_space = false;
};
struct CacheAlone {
  explicit CacheAlone(std::uint64_t segments) {
    config.bytes = segments * 4096;
    config.write_back = true;
    cache = std::make_unique<MapCache>(config, 16 * kFar, pages, scheduler, statistics, "m");
  }
  void moved(std::uint64_t unit, std::uint32_t superblock) {
    cache->unit_moved(unit, superblock);
    cache->updates_follow();
  }
  base::Scheduler scheduler{"scheduler"};
  base::StatisticsRegistry statistics;
  MapCacheConfig config;
  ManualPages pages;
  std::unique_ptr<MapCache> cache;
};
}  // namespace
TEST_CASE("a superblock is held until the segments of what was moved out of it are changed") {
  CacheAlone rig(2);
  rig.moved(5, 7);
  rig.moved(6, 7);     // the same segment, on its way
  rig.moved(6, 8);     // of another superblock
  rig.moved(kFar, 7);  // another segment: one at a time with so little room
  CHECK(rig.pages.held == std::map<std::uint32_t, int>{{7, 2}, {8, 1}});
  REQUIRE(rig.pages.reads.size() == 1);
  rig.pages.end(rig.pages.reads);
  CHECK(rig.pages.held == std::map<std::uint32_t, int>{{7, 1}, {8, 0}});
  REQUIRE(rig.pages.reads.size() == 1);
  CHECK(rig.pages.reads.front().first == 1);
  rig.pages.end(rig.pages.reads);
  CHECK(rig.pages.held == std::map<std::uint32_t, int>{{7, 0}, {8, 0}});
  rig.moved(7, 9);  // cached
  CHECK(rig.pages.held[9] == 0);
  CHECK(rig.pages.reads.empty());
  CHECK(rig.pages.writes.empty());
  struct Waits {
    void done() { ended = true; }
    bool ended = false;
  } host;  // the one of 1, used least recently, makes room for it first
  CHECK_FALSE(rig.cache->ready_or_wait({2 * kFar, 1}, MapCache::Use::kLookUp, 1,
                                       base::Callback::of<&Waits::done>(&host)));
  CHECK(rig.pages.reads.empty());
  REQUIRE(rig.pages.writes.size() == 1);
  CHECK(rig.pages.writes.front().first == 1);
  rig.moved(kFar, 10);  // still there while it leaves: it stays, and another one leaves
  CHECK(rig.pages.held[10] == 0);
  rig.pages.end(rig.pages.writes);
  REQUIRE(rig.pages.writes.size() == 1);
  CHECK(rig.pages.writes.front().first == 0);
  rig.pages.end(rig.pages.writes);
  REQUIRE(rig.pages.reads.size() == 1);
  rig.pages.end(rig.pages.reads);
  CHECK(host.ended);
  CHECK(rig.cache->check_invariants() == 2);
}
TEST_CASE("without space for pages only the collector's segments go beyond the cache") {
  CacheAlone rig(1);
  rig.pages.no_space = true;
  rig.moved(0, 1);
  rig.pages.end(rig.pages.reads);
  struct Waits {
    void done() { ended = true; }
    bool ended = false;
  } host;
  CHECK_FALSE(rig.cache->ready_or_wait({kFar, 1}, MapCache::Use::kChange, 1,
                                       base::Callback::of<&Waits::done>(&host)));
  CHECK(rig.pages.writes.size() == 1);
  CHECK(rig.pages.reads.empty());
  rig.moved(2 * kFar, 2);
  REQUIRE(rig.pages.reads.size() == 1);
  CHECK(rig.pages.reads.front().first == 2);
  rig.pages.end(rig.pages.reads);
  CHECK(rig.pages.held[2] == 0);
  CHECK_FALSE(host.ended);
  CHECK(rig.cache->check_invariants() == 2);
  rig.pages.no_space = false;
  while (!rig.pages.writes.empty()) rig.pages.end(rig.pages.writes);
  REQUIRE(rig.pages.reads.size() == 1);
  rig.pages.end(rig.pages.reads);
  CHECK(host.ended);
  CHECK(rig.cache->check_invariants() == 1);
}
TEST_CASE("power that goes lets go of every superblock, and no call-back of before counts") {
  CacheAlone rig(1);
  rig.moved(0, 1);
  rig.moved(kFar, 2);
  const auto before = rig.pages.reads.front();
  rig.cache->power_cut();
  CHECK(rig.pages.held == std::map<std::uint32_t, int>{{1, 0}, {2, 0}});
  before.second();
  CHECK(rig.cache->check_invariants() == 0);
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
