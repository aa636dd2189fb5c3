// The read cache, reading ahead, and the DRAM that they share with the write buffer.
#include "models/cache/read_cache.hpp"
#include "models/cache/read_streams.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Time;

constexpr Time kHit = 200ns + 500ns;  // look-up and read_cache.hit_ns

MediaConfig cached(std::uint64_t units) {
  MediaConfig config = small_drive();
  config.ftl.prefill_percent = 100;
  config.read_cache.bytes = units * kUnitBytes;
  return config;
}

Time time_of(Rig& rig, std::uint64_t unit, std::uint64_t units = 1) {
  auto& read = rig.read(unit, units);
  rig.run();
  CHECK(read.status == MediaStatus::kOk);
  return read.done - read.started;
}

TEST_CASE("what was read is served from the read cache until it is written or deallocated") {
  Rig rig(cached(64));
  CHECK(time_of(rig, 5) > 40us);
  CHECK(time_of(rig, 5) == kHit);
  rig.write(5, 1, 9);
  rig.run();
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.done - read.started > 40us);
  CHECK(Rig::version(read) == 9);
  auto& again = rig.read(5);
  rig.run();
  CHECK(again.done - again.started == kHit);
  CHECK(Rig::version(again) == 9);
  rig.command(MediaOp::kDeallocate, 5, 1);
  rig.run();
  auto& gone = rig.read(5);
  rig.run();
  CHECK(gone.done - gone.started == 200ns);
  CHECK(Rig::version(gone) == 0);
  CHECK(rig.statistic("read_cache.hits") == 2);
}

TEST_CASE("the read cache lets go what was used least recently") {
  Rig rig(cached(4));
  for (std::uint64_t unit : {0, 10, 20, 30, 0, 40}) time_of(rig, unit);
  CHECK(time_of(rig, 0) == kHit);
  CHECK(time_of(rig, 30) == kHit);
  CHECK(time_of(rig, 10) > 40us);
}

TEST_CASE("a read cache behaves like a list in the order of use") {
  ReadCacheConfig config;
  config.bytes = 8 * kUnitBytes;
  base::StatisticsRegistry statistics;
  ReadCache cache(config, statistics, "m");
  std::vector<std::uint64_t> model;  // present ones, oldest first
  base::Random random(3, "cache");
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t unit = random.below(20);
    const auto at = std::find(model.begin(), model.end(), unit);
    const std::uint32_t slot = cache.find(unit);
    REQUIRE((slot != ReadCache::kNone) == (at != model.end()));
    if (random.chance(1, 10)) {
      const std::uint64_t count = 1 + random.below(12);
      cache.forget(unit, count);
      std::erase_if(model, [&](std::uint64_t each) { return each - unit < count; });
    } else if (slot != ReadCache::kNone) {
      cache.use(slot);
      model.erase(at);
      model.push_back(unit);
    } else {
      const std::uint32_t taken = cache.take(unit, false);
      REQUIRE(taken != ReadCache::kNone);
      const bool stale = random.chance(1, 20);
      if (stale) cache.forget(unit, 1);
      if (model.size() == 8) model.erase(model.begin());
      const bool good = random.chance(9, 10);
      cache.loaded(taken, good);
      if (good && !stale) model.push_back(unit);
    }
  }
}

MediaConfig ahead() {
  MediaConfig config = cached(64);
  config.read_cache.keep_reads = false;
  config.read_cache.ahead_units = 8;
  return config;
}

TEST_CASE("a sequential stream is read ahead, and its reads cost the hit alone") {
  Rig rig(ahead());
  CHECK(time_of(rig, 100) > 40us);
  CHECK(time_of(rig, 101) > 40us);  // the second in sequence: 102 to 109 are read ahead
  CHECK(rig.statistic("read_cache.ahead_units") == 8);
  for (std::uint64_t unit = 102; unit < 106; ++unit) CHECK(time_of(rig, unit) == kHit);
  CHECK(rig.statistic("read_cache.ahead_units") == 12);  // half of them used: 110 to 113
  for (std::uint64_t unit = 106; unit < 140; ++unit) CHECK(time_of(rig, unit) == kHit);
  CHECK(rig.statistic("read_cache.ahead_hits") == 38);
}

TEST_CASE("reads that are not in sequence are not read ahead, two streams side by side are") {
  Rig rig(ahead());
  for (std::uint64_t unit : {7, 9, 5, 300, 200, 100}) time_of(rig, unit);
  CHECK(rig.statistic("read_cache.ahead_units") == 0);
  for (std::uint64_t unit = 1000; unit < 1002; ++unit) {
    time_of(rig, unit);
    time_of(rig, unit + 1000);
  }
  CHECK(rig.statistic("read_cache.ahead_units") == 16);
  CHECK(time_of(rig, 1002) == kHit);
  CHECK(time_of(rig, 2002) == kHit);
}

TEST_CASE("a read of what is just being read ahead waits for that and reads nothing twice") {
  Rig rig(ahead());
  time_of(rig, 0);
  auto& second = rig.read(1);
  const Time began = second.started;
  rig.scheduler.simulate(began + 10us);
  auto& read = rig.read(4, 4);
  rig.run();
  // Look-up, command, array, four units over the channel with one poll, ECC; from the start of the
  // read that made the stream.
  const Time unit_time = base::Pace::bytes_per_second(1'200'000'000)(kUnitBytes);
  CHECK(read.done == began + 200ns + 500ns + 40us + 300ns + 4 * unit_time + 2us);
  CHECK(read.command.parts[0].stages.spent(base::Stage::kArray) == 0us);
  CHECK(rig.statistic("read.media_units") == 2 + 8);
  CHECK(rig.statistic("nand.reads") == 2 + 3);  // units 2 and 3, 4 to 7, 8 and 9
}

TEST_CASE("a read that comes just before what was read ahead waits for its own look-up") {
  Rig rig(ahead());
  time_of(rig, 0);
  const Time began = rig.read(1).started;
  const Time unit_time = base::Pace::bytes_per_second(1'200'000'000)(kUnitBytes);
  const Time there = began + 200ns + 500ns + 40us + 300ns + unit_time + 2us;  // unit 4
  rig.scheduler.simulate(there - 100ns);
  auto& read = rig.read(4);
  rig.run();
  CHECK(read.done == there + 100ns);
  CHECK(rig.statistic("read_cache.ahead_hits") == 1);
}

TEST_CASE("a write makes what is being read ahead worthless") {
  Rig rig(ahead());
  time_of(rig, 0);
  rig.read(1);
  rig.scheduler.simulate(rig.scheduler.now() + 10us);
  rig.write(4, 1, 3);
  rig.run();
  auto& read = rig.read(4);
  rig.run();
  CHECK(read.done - read.started > 40us);
  CHECK(Rig::version(read) == 3);
}

TEST_CASE("the DRAM's bandwidth holds up what passes it") {
  MediaConfig config = small_drive();
  config.ftl.prefill_percent = 100;
  config.dram.mb_per_s = 100;
  Rig rig(config);
  const Time unit_time = base::Pace::bytes_per_second(100'000'000)(kUnitBytes);
  const Time access = base::Pace::bytes_per_second(100'000'000)(64);
  auto& first = rig.write(1);
  auto& second = rig.write(2);
  auto& read = rig.read(3);  // asks for the mapping before the data of the writes comes
  rig.run();
  CHECK(first.done - first.started == access + unit_time + 1us);
  CHECK(second.done - second.started == access + 2 * unit_time + 1us);
  CHECK(read.command.parts[0].stages.spent(base::Stage::kMapping) == access + 200ns);
  // In and out of the buffer, with a look-up for the read and an update for each write.
  CHECK(rig.statistic("dram.bytes") == 4 * kUnitBytes + 3 * 64);
}

TEST_CASE("without a bandwidth the DRAM costs nothing") {
  MediaConfig config = small_drive();
  Rig rig(config);
  auto& write = rig.write(1);
  rig.run();
  CHECK(write.done - write.started == 400ns + 1us);
}

}  // namespace
}  // namespace nvmesim::models
