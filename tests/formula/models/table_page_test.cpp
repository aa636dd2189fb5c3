// Pages of the mapping table on NAND against hand sums, to the picosecond, and what the collector
// changes in the table against counts by hand.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;
using base::Time;

// One channel at 1024 MB/s: 4 us for a unit, 8 us for a page of two.
constexpr Time kMapping = 200ns;
constexpr Time kCommand = 500ns;
constexpr Time kRead = 40us;
constexpr Time kStatus = 300ns;
constexpr Time kUnitOut = 4us;
constexpr Time kEcc = 2us;
constexpr Time kPageRead = kCommand + kRead + kStatus + kUnitOut + kEcc;
constexpr Time kIdleRead = kMapping + kPageRead;
// Of four units.
constexpr Time kWholeProgram = 2 * (8us + kCommand) + 400us + kStatus;
constexpr Time kIntoBuffer = 4us;

constexpr std::uint64_t kFar = 1024;  // units of a segment

// Eight segments, room for one; superblocks of 64 units; nothing goes out for idleness.
MediaConfig one_die() {
  MediaConfig config = small_drive(8 * kFar);
  config.nand.channels = 1;
  config.nand.dies_per_channel = 1;
  config.nand.channel_mb_per_s = 1024;
  config.ftl.prefill_percent = 100;
  config.write_buffer.fixed_ns = 3'000;
  config.write_buffer.per_unit_ns = 1'000;
  config.write_buffer.idle_flush_us = 1'000'000;
  config.map_cache.bytes = 4096;
  return config;
}
MediaConfig written_back() {
  MediaConfig config = one_die();
  config.map_cache.write_back = true;
  return config;
}
void run(Rig& rig, Time length = 5ms) {
  rig.scheduler.simulate(rig.scheduler.now() + length);
}
Time mapping(const Rig::Io& io) {
  return io.command.parts[0].stages.spent(Stage::kMapping);
}

TEST_CASE("a read whose segment is not cached costs one read of its page more") {
  Rig rig(one_die());
  auto& miss = rig.read(5);
  run(rig);
  auto& hit = rig.read(900);
  run(rig);
  CHECK(miss.done - miss.started == kPageRead + kIdleRead);
  CHECK(mapping(miss) == kPageRead + kMapping);
  CHECK(hit.done - hit.started == kIdleRead);
  CHECK(rig.statistic("nand.reads") == 3);
}

TEST_CASE("a page is read behind a program of its die") {
  Rig rig(one_die());
  rig.write(0, 4);
  run(rig, 1us);
  auto& read = rig.read(5);
  run(rig);
  CHECK(read.done == kWholeProgram + kPageRead + kIdleRead);
}

TEST_CASE("with room for one, the next load waits for the room of the one before") {
  Rig rig(one_die());
  rig.read(5);
  run(rig);
  auto& miss = rig.read(kFar);
  run(rig, 10us);
  auto& hit = rig.read(6);  // the segment that is cached until the other one is there
  run(rig);
  CHECK(mapping(miss) == kPageRead + kMapping);
  CHECK(mapping(hit) == 2 * kPageRead + kMapping - 10us);
}

TEST_CASE("with room for two, a hit waits at the die for the read of a page") {
  MediaConfig config = one_die();
  config.map_cache.bytes = 2 * 4096;
  Rig rig(config);
  rig.read(5);
  run(rig);
  rig.read(kFar);
  run(rig, 10us);
  auto& hit = rig.read(6);
  run(rig);
  CHECK(mapping(hit) == kMapping);
  CHECK(hit.command.parts[0].stages.spent(Stage::kDieWaitRead) ==
        kCommand + kRead - 10us - kMapping);
}

TEST_CASE("a write that needs the room of a changed segment waits for the buffer and for a read") {
  Rig rig(written_back());
  auto& first = rig.write(0);
  run(rig);
  CHECK(mapping(first) == kPageRead);
  auto& second = rig.write(kFar);
  run(rig);
  CHECK(mapping(second) == kIntoBuffer + kPageRead);
  auto& clean = rig.read(2 * kFar);
  run(rig);
  CHECK(mapping(clean) == kIntoBuffer + kPageRead + kMapping);
  auto& after = rig.read(3 * kFar);  // nothing to write
  run(rig);
  CHECK(mapping(after) == kPageRead + kMapping);
  auto& back = rig.read(0);  // its page is in the buffer still
  run(rig);
  CHECK(mapping(back) == base::nanoseconds(WriteBufferConfig{}.hit_ns) + kMapping);
  CHECK(rig.statistic("map_cache.write_backs") == 2);
  CHECK(rig.statistic("ftl.table_units") == 0);
}

TEST_CASE("pages go out a program at a time, and what needs the die waits for it") {
  Rig rig(written_back());
  for (std::uint64_t segment = 0; segment < 4; ++segment) {
    rig.write(segment * kFar);
    run(rig);
  }
  CHECK(rig.statistic("ftl.table_units") == 0);
  auto& fifth = rig.write(4 * kFar);  // the fourth page fills the program
  run(rig);
  CHECK(rig.statistic("ftl.table_units") == 4);
  CHECK(mapping(fifth) == kWholeProgram + kPageRead);
  CHECK(rig.statistic("ftl.host_units") == 4);
  CHECK(rig.statistic("ftl.padding_units") == 0);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("pages that do not fill a program go out after idle_flush_us") {
  MediaConfig config = written_back();
  config.write_buffer.idle_flush_us = 1'000;
  Rig rig(config);
  rig.write(0);
  rig.run();
  rig.read(kFar);
  rig.run();
  CHECK(rig.statistic("ftl.table_units") == 1);
  CHECK(rig.statistic("ftl.padding_units") == 3 + 3);
  auto& back = rig.read(0);
  rig.run();
  CHECK(mapping(back) == kPageRead + kMapping);
  CHECK(rig.statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("the state at the start has the pages of what is prefilled, and no others") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 44;  // 3,604 units: in part of the fourth segment
  Rig rig(config);
  for (const Precondition kind :
       {Precondition::none, Precondition::sequential, Precondition::random}) {
    config.ftl.precondition = kind;
    base::StatisticsRegistry statistics;
    auto media = make_media(config, rig.scheduler, 1, statistics, "made");
    auto& nand = dynamic_cast<NandMedia&>(dynamic_cast<MapCacheMedia&>(*media).inner());
    for (std::uint64_t page = 0; page < 8; ++page) CHECK(nand.table().present(page) == (page < 4));
    nand.ftl().check_invariants();
    CHECK(nand.ftl().map().mapped() == 3'604 + 4);
    CHECK(media->used_units() == 3'604);
    CHECK(media->capacity_units() == 8 * kFar);
  }
  auto& nothing = rig.read(5 * kFar);
  run(rig);
  CHECK(nothing.done - nothing.started == kMapping);
  auto& in_part = rig.read(4 * kFar - 1);  // its page is there, it is not
  run(rig);
  CHECK(in_part.done - in_part.started == kPageRead + kMapping);
}

// A superblock of 64 units of segment 0 is written anew because it was read often.
TEST_CASE("what the collector moves changes its segments, each loaded once, before the erase") {
  MediaConfig config = written_back();
  config.reliability.refresh_reads = 40;
  Rig rig(config);
  for (int i = 0; i < 39; ++i) {
    rig.read(5);
    run(rig, 100us);
  }
  CHECK(rig.statistic("ftl.refreshes") == 0);
  rig.read(5);
  rig.read(3 * kFar);  // takes the room of segment 0
  run(rig, 50ms);
  CHECK(rig.statistic("ftl.refresh_units") == 64);
  CHECK(rig.statistic("ftl.gc_units") == 64);
  CHECK(rig.statistic("map_cache.update_loads") == 1);
  CHECK(rig.statistic("map_cache.updates") >= 1);
  CHECK(rig.statistic("map_cache.updates") <= 16);  // one a program
  CHECK(rig.statistic("map_cache.write_backs") == 0);
  CHECK(rig.statistic("nand.erases") == 1);
  auto& read = rig.read(3 * kFar);
  run(rig);
  CHECK(mapping(read) == kIntoBuffer + kPageRead + kMapping);
  CHECK(rig.statistic("map_cache.write_backs") == 1);
  CHECK(rig.map_cache().check_invariants() == 1);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("without write-back the collector changes no segment") {
  MediaConfig config = one_die();
  config.reliability.refresh_reads = 40;
  Rig rig(config);
  for (int i = 0; i < 40; ++i) {
    rig.read(5);
    run(rig, 100us);
  }
  run(rig, 50ms);
  CHECK(rig.statistic("ftl.gc_units") == 64);
  CHECK(rig.statistic("map_cache.updates") == 0);
}

// Uniform writes over eight segments with room for one: seven in eight write a page, and so do
// segments that the collector changes.
TEST_CASE("pages count in the write amplification") {
  std::uint64_t programmed = 0;
  MediaConfig config = small_drive(8 * kFar);
  config.ftl.prefill_percent = 100;
  config.map_cache.bytes = 4096;
  config.map_cache.write_back = true;
  Rig rig(config);
  base::Random random(3, "uniform");
  for (int i = 0; i < 20'000; ++i) {
    rig.write(random.below(8 * kFar));
    rig.run();
    rig.ios.clear();
  }
  const std::uint64_t pages = rig.statistic("ftl.table_units");
  const std::uint64_t written = rig.statistic("map_cache.write_backs");
  CHECK(pages < written);  // a page that is written again while it is in the buffer
  CHECK(pages > written * 98 / 100);
  CHECK(written > 20'000 * 7 / 8 - 400);
  CHECK(written < 20'000 * 7 / 8 + 400 + rig.statistic("map_cache.update_loads"));
  for (const char* part : {"host_units", "gc_units", "table_units", "padding_units"}) {
    programmed += rig.statistic(std::string("ftl.") + part);
  }
  CHECK(programmed == rig.statistic("nand.programs") * 4);
  rig.nand().ftl().check_invariants();
}

}  // namespace
}  // namespace nvmesim::models
