#include <sys/resource.h>

#include <fstream>

#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// Resident memory of this process now, in bytes.
std::uint64_t resident() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t pages = 0;
  file >> total >> pages;
  return pages * 4096;
}

TEST_CASE("units never written or deallocated read as zeroes at the cost of a look-up") {
  Rig rig(small_drive());
  auto& never = rig.read(17, 2);
  rig.run();
  CHECK(never.done == 200ns);
  CHECK_FALSE(never.command.parts[0].data);
  rig.write(17, 2);
  rig.run();
  CHECK(rig.media->used_units() == 2);
  rig.command(MediaOp::kDeallocate, 16, 2);
  rig.run();
  CHECK(rig.media->used_units() == 1);
  auto& after = rig.read(17);
  rig.run();
  CHECK(after.done - after.started == 200ns);
  CHECK(Rig::version(after) == 0);
}

TEST_CASE("a read that is cancelled is never called back, at whatever stage it is") {
  Rig rig(small_drive());
  rig.write(0, 4);
  rig.run();
  struct Cancel {
    Rig* rig;
    Rig::Io* io;
  };
  std::deque<Cancel> cancels;
  const auto begin = rig.scheduler.now();
  for (int i = 0; i < 60; ++i) {
    auto& io = rig.read(static_cast<std::uint64_t>(i) % 4, 1 + static_cast<std::uint64_t>(i) % 5);
    cancels.push_back({&rig, &io});
    rig.scheduler.at(begin + std::chrono::microseconds(i * 7),
                     base::Callback(
                         [](void* object, std::uint64_t) {
                           auto* what = static_cast<Cancel*>(object);
                           if (!what->io->finished) what->rig->media->cancel(what->io->command);
                           what->io->started = base::kTimeMax;  // any later call-back fails
                         },
                         &cancels.back(), 0));
  }
  rig.run();
  auto& still_works = rig.read(2);
  rig.run();
  CHECK(Rig::version(still_works) == 1);
  CHECK(rig.nand().nand().jobs_open() == 0);
}

TEST_CASE("a flipped mapping entry is found by the record in the spare area") {
  Rig rig(small_drive());
  rig.write(0, 8, 1);
  rig.run();
  rig.media->points().map_lookup.arm([](UnitId unit, PhysicalUnit& place) {
    if (unit == UnitId{2}) place = PhysicalUnit{place.value() ^ 1};
  });
  auto& good = rig.read(1);
  auto& bad = rig.read(2);
  rig.run();
  CHECK(good.status == MediaStatus::kOk);
  CHECK(bad.status == MediaStatus::kIntegrity);
  CHECK(Rig::version(bad) != 1);  // it is unit 3's data
  CHECK(rig.statistic("ftl.integrity_errors") == 1);
}

TEST_CASE("a mapping to an older place of the same unit is found by its sequence") {
  Rig rig(small_drive());
  PhysicalUnit old{0};
  rig.write(5, 1, 1);
  rig.run();
  rig.media->points().map_lookup.arm([&](UnitId, PhysicalUnit& place) { old = place; });
  rig.read(5);
  rig.run();
  rig.write(5, 1, 2);
  rig.run();
  rig.media->points().map_lookup.arm([&](UnitId, PhysicalUnit& place) { place = old; });
  auto& stale = rig.read(5);
  rig.run();
  CHECK(stale.status == MediaStatus::kIntegrity);
}

TEST_CASE("a dropped write leaves the old data, a flipped bit changes what is read") {
  Rig rig(small_drive());
  rig.write(0, 2, 1);
  rig.run();
  rig.media->points().store_write.arm([](UnitId unit, bool& drop) { drop = unit == UnitId{1}; });
  rig.write(0, 2, 2);
  rig.run();
  rig.media->points().store_write.disarm();
  auto& read = rig.read(0, 2);
  rig.run();
  CHECK(Rig::version(read, 0) == 2);
  CHECK(Rig::version(read, 1) == 1);
  rig.media->points().store_read.arm(
      [](UnitId, std::span<std::byte> bytes) { bytes[100] ^= std::byte{4}; });
  auto& flipped = rig.read(0);
  rig.run();
  CHECK(Rig::version(flipped) == ~0u);
  rig.media->points().store_read.disarm();
  auto& whole = rig.read(0);
  rig.run();
  CHECK(Rig::version(whole) == 2);
}

TEST_CASE("a run without data keeps none and behaves the same in time") {
  MediaConfig config = small_drive();
  config.keep_data = false;
  Rig rig(config);
  auto& write = rig.write(0, 4);
  rig.run();
  CHECK(write.done == 2600ns);
  auto& read = rig.read(0, 4);
  rig.run();
  CHECK(read.status == MediaStatus::kOk);
  CHECK_FALSE(read.command.parts[0].data);
  CHECK(rig.nand().store().units_kept() == 0);
}

TEST_CASE("an empty drive of 8 TB takes less than 200 MB") {
  MediaConfig config;
  config.capacity_bytes = 8'000'000'000'000;
  const std::uint64_t before = resident();
  Rig rig(config);
  rig.read(1'000'000'000);
  rig.write(1'900'000'000, 8);
  rig.run();
  CHECK(resident() - before < 200'000'000);
  CHECK(rig.media->capacity_units() == 8'000'000'000'000 / 4096);
}

TEST_CASE("a full drive of 8 TB takes less than 200 MB, and its units are on the NAND") {
  MediaConfig config;
  config.capacity_bytes = 8'000'000'000'000;
  config.ftl.prefill_percent = 100;
  const std::uint64_t before = resident();
  Rig rig(config);
  CHECK(rig.media->used_units() == rig.media->capacity_units());
  auto& read = rig.read(1'000'000'000);
  rig.run();
  CHECK(read.done > 40us);
  CHECK(read.status == MediaStatus::kOk);
  rig.write(1'000'000'000, 8);
  rig.run();
  CHECK(rig.media->used_units() == rig.media->capacity_units());
  CHECK(resident() - before < 200'000'000);
}

TEST_CASE("a prefilled drive has a consistent mapping before and after trim and writes") {
  MediaConfig config = small_drive(3000);
  config.ftl.prefill_percent = 90;
  Rig rig(config);
  rig.nand().ftl().check_invariants();
  CHECK(rig.media->used_units() == 2700);
  rig.command(MediaOp::kDeallocate, 100, 1000);
  rig.run();
  CHECK(rig.media->used_units() == 1700);
  rig.nand().ftl().check_invariants();
  auto& gone = rig.read(500);
  auto& there = rig.read(1200);
  rig.run();
  CHECK(gone.done - gone.started == 200ns);
  CHECK(there.status == MediaStatus::kOk);
  CHECK(there.done - there.started > 40us);
  for (std::uint64_t unit = 0; unit < 3000; unit += 8) rig.write(unit, 8, 7);
  rig.run();
  rig.nand().ftl().check_invariants();
  CHECK(rig.media->used_units() == 3000);
  CHECK(rig.statistic("ftl.gc_runs") > 0);
}

TEST_CASE("what cannot be built is a user error that names the parameter") {
  base::Scheduler scheduler("scheduler");
  base::StatisticsRegistry statistics;
  const auto fails = [&](const char* parameter, auto change) {
    MediaConfig config = small_drive();
    change(config);
    try {
      make_media(config, scheduler, 1, statistics);
    } catch (const base::UserError& error) {
      return std::string(error.what()).find(parameter) != std::string::npos;
    }
    return false;
  };
  CHECK(fails("nand.page_bytes", [](auto& c) { c.nand.page_bytes = 5000; }));
  CHECK(fails("nand.blocks_per_plane", [](auto& c) { c.nand.blocks_per_plane = 3; }));
  CHECK(fails("nand.read_ns", [](auto& c) { c.nand.read_ns.clear(); }));
  CHECK(fails("nand.die_policy", [](auto& c) { c.nand.die_policy = "lifo"; }));
  CHECK(fails("ftl.gc_policy", [](auto& c) { c.ftl.gc_policy = "lazy"; }));
  CHECK(fails("ftl.gc_stop_superblocks", [](auto& c) { c.ftl.gc_stop_superblocks = 3; }));
  CHECK(fails("write_buffer.bytes", [](auto& c) { c.write_buffer.bytes = 8192; }));
  CHECK(fails("capacity_bytes", [](auto& c) { c.capacity_bytes = 100; }));
  CHECK(fails("nand.pages_per_block", [](auto& c) {
    c.capacity_bytes = 100'000'000;
    c.nand.pages_per_block = 1;
    c.ftl.over_provisioning_percent = 7;
  }));
}

}  // namespace
}  // namespace nvmesim::models
