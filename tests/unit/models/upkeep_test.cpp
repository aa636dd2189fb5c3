// What an FTL does to stay well: refresh, wear levelling, bad blocks, giving way to reads.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

TEST_CASE("a superblock that was read too often is written anew and reads on as before") {
  MediaConfig config = small_drive();
  config.reliability.refresh_reads = 50;
  Rig rig(config);
  rig.write(0, 256, 7);
  rig.run();
  for (int i = 0; i < 40; ++i) {
    rig.read(5);
    rig.run();
  }
  CHECK(rig.statistic("ftl.refreshes") == 0);
  const Place before = rig.nand().ftl().look_up(UnitId{5}).place;
  for (int i = 0; i < 20; ++i) {
    rig.read(5);
    rig.run();
  }
  CHECK(rig.statistic("ftl.refreshes") == 1);
  CHECK(rig.statistic("ftl.refresh_units") == 256);
  CHECK(rig.nand().ftl().look_up(UnitId{5}).place != before);
  auto& read = rig.read(5);
  rig.run();
  CHECK(Rig::version(read) == 7);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("with copyback a superblock without a hole is moved within its dies") {
  MediaConfig config = small_drive();
  config.reliability.refresh_reads = 50;
  config.ftl.copyback = true;
  config.nand.read_nj = config.nand.program_nj = config.nand.erase_nj = 0;
  config.nand.transfer_pj_per_byte = 1'000'000;  // energy is bytes on the channels
  Rig rig(config);
  rig.write(0, 256, 7);
  rig.run();
  for (int i = 0; i < 50; ++i) {
    rig.read(5);
    rig.run();
  }
  CHECK(rig.statistic("ftl.refresh_units") == 256);
  CHECK(rig.statistic("ftl.copyback_units") == 256);
  CHECK(rig.statistic("nand.copybacks") == 64);
  CHECK(rig.statistic("nand.energy_uj") == (256 + 50) * kUnitBytes);  // the writes and the reads
  auto& all = rig.read(0, 256);
  rig.run();
  for (std::size_t i = 0; i < 256; ++i) CHECK(Rig::version(all, i) == 7);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("data that is too old is written anew when it is read") {
  MediaConfig config = small_drive();
  config.ftl.prefill_percent = 50;
  config.reliability.initial_retention_days = 100;
  config.reliability.refresh_days = 90;
  Rig rig(config);
  rig.read(5);
  rig.run();
  CHECK(rig.statistic("ftl.refreshes") == 1);
  rig.read(5);
  rig.run();
  CHECK(rig.statistic("ftl.refreshes") == 1);
  rig.nand().ftl().check_invariants();
}

std::uint64_t wear_gap(std::uint32_t static_wear_gap, bool dynamic) {
  MediaConfig config = small_drive();
  config.keep_data = false;
  config.ftl.prefill_percent = 100;
  config.ftl.static_wear_gap = static_wear_gap;
  config.ftl.dynamic_wear_levelling = dynamic;
  Rig rig(config);
  base::Random random(5, "hot");
  std::uint64_t left = 60'000;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (left-- == 0) return;
    io.command.parts[0].unit = UnitId{random.below(400)};
    rig.start(io);
  };
  rig.write(1).then = more;
  rig.run();
  rig.nand().ftl().check_invariants();
  if (static_wear_gap != 0) CHECK(rig.statistic("ftl.wear_moves") > 0);
  return rig.statistic("ftl.wear_most") - rig.statistic("ftl.wear_least");
}

TEST_CASE("without static wear levelling what never changes is never erased") {
  CHECK(wear_gap(0, true) > 15);
}
TEST_CASE("static wear levelling holds the gap between least and most worn") {
  CHECK(wear_gap(4, true) <= 8);
}

TEST_CASE("factory bad blocks take spares; a die without spares retires superblocks, data stays") {
  MediaConfig config = small_drive();
  config.ftl.over_provisioning_percent = 150;
  config.reliability.factory_bad_per_million = 20'000;
  config.reliability.spare_blocks_per_plane = 1;
  config.reliability.erase_fail_per_million = 20'000;
  config.reliability.program_fail_per_million = 5'000;
  Rig rig(config);
  base::Random random(6, "writes");
  std::vector<std::uint32_t> version(4096);
  std::uint32_t next = 0;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (next >= 40'000) return;
    const std::uint64_t unit = random.below(4096);
    rig.set(io, MediaOp::kWrite, unit * kUnitBytes, kUnitBytes, ++next);
    version[unit] = next;
    rig.start(io);
  };
  rig.write(0, 1, 0).then = more;
  rig.run();
  CHECK(rig.statistic("reliability.factory_bad_blocks") > 0);
  CHECK(rig.statistic("reliability.grown_bad_blocks") > 5);
  CHECK(rig.statistic("ftl.failed_programs") > 10);
  CHECK(rig.statistic("ftl.retired_superblocks") > 0);
  rig.nand().ftl().check_invariants();
  auto& all = rig.read(1, 4095);
  rig.run();
  bool right = true;
  for (std::size_t i = 0; i < 4095; ++i) right &= Rig::version(all, i) == version[i + 1];
  CHECK(right);
}

TEST_CASE("collection that yields begins no move while a read is open, unless space is short") {
  MediaConfig config = small_drive();
  config.keep_data = false;
  config.ftl.prefill_percent = 100;
  config.ftl.gc_yields_to_reads = true;
  config.ftl.gc_start_superblocks = 6;
  config.ftl.gc_stop_superblocks = 7;
  Rig rig(config);
  base::Random random(5, "both");
  std::uint64_t left = 20'000;
  std::uint32_t least_free = 100;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    least_free = std::min(least_free, rig.nand().ftl().superblocks().free_count());
    if (left == 0) return;
    --left;
    io.command.parts[0].unit = UnitId{random.below(4096)};
    rig.start(io);
  };
  rig.write(1).then = more;
  for (std::uint64_t i = 0; i < 32; ++i) rig.read(i * 4).then = more;
  rig.run();
  rig.nand().ftl().check_invariants();
  CHECK(rig.statistic("ftl.gc_runs") > 5);
  // Reads are open all the time, so it moves nothing before no more than gc_urgent_superblocks are
  // left; its threshold of 6 means nothing until then.
  CHECK(least_free <= 1);
}

// Time until 240 units, written in order, are in the buffer, which holds 64.
base::Time time_to_write(std::uint32_t slc_superblocks, std::uint64_t& slc_units) {
  MediaConfig config = small_drive();
  config.nand.program_ns = {600'000};
  config.nand.slc_program_ns = 100'000;
  config.ftl.slc_superblocks = slc_superblocks;  // of 80 units in SLC mode
  config.ftl.slc_fold_start = 3;
  Rig rig(config);
  auto& write = rig.write(0, 240, 3);
  rig.run();
  slc_units = rig.statistic("ftl.slc_units");
  CHECK(rig.statistic("ftl.folds") == (slc_superblocks == 3 ? 1 : 0));
  CHECK(rig.statistic("ftl.fold_units") == (slc_superblocks == 3 ? 80 : 0));
  rig.nand().ftl().check_invariants();
  auto& read = rig.read(0, 240);
  rig.run();
  for (std::size_t i = 0; i < 240; ++i) CHECK(Rig::version(read, i) == 3);
  return write.done - write.started;
}

TEST_CASE("an SLC cache takes writes at its own speed and is folded when it is full") {
  std::uint64_t slc_units = 0;
  // 44 programs of 4 units on 4 dies must have ended: 11 of 115 us each.
  const base::Time time = time_to_write(3, slc_units);
  CHECK(slc_units == 240);
  CHECK(time > 11 * 115us);
  CHECK(time < 13 * 115us);
}

TEST_CASE("without SLC cache the same writes take the time of full cells") {
  std::uint64_t slc_units = 0;
  const base::Time time = time_to_write(0, slc_units);
  CHECK(slc_units == 0);
  CHECK(time > 11 * 615us);
  CHECK(time < 13 * 615us);
}

TEST_CASE("a dynamic SLC cache takes a burst while superblocks are free, and no capacity") {
  MediaConfig config = small_drive();
  config.nand.program_ns = {600'000};
  config.nand.slc_program_ns = 100'000;
  config.ftl.slc_dynamic_superblocks = 3;
  config.ftl.slc_fold_start = 100;
  Rig rig(config);
  auto& write = rig.write(0, 240, 3);
  rig.run();
  CHECK(rig.statistic("ftl.slc_units") == 240);
  CHECK(rig.statistic("ftl.slc_in_use") == 3);
  CHECK(write.done - write.started < 13 * 115us);
  base::StatisticsRegistry statistics;
  config.ftl.slc_dynamic_superblocks = 0;
  const auto without = make_media(config, rig.scheduler, 1, statistics, "without");
  CHECK(dynamic_cast<NandMedia&>(*without).geometry().superblocks ==
        rig.nand().geometry().superblocks);
}

TEST_CASE("a dynamic SLC cache gives way as the drive fills, and nothing is lost") {
  MediaConfig config = small_drive();
  config.ftl.slc_dynamic_superblocks = 12;
  config.ftl.slc_fold_start = 100;  // only for want of space
  Rig rig(config);
  std::uint32_t most = 0;
  for (std::uint64_t unit = 0; unit < 4096; unit += 64) {
    rig.write(unit, 64, 5);
    rig.run();
    most = std::max(most, rig.nand().ftl().superblocks().slc_used());
  }
  CHECK(most == 12);
  for (std::uint64_t unit = 0; unit < 4096; unit += 64) {
    rig.write(unit, 64, 6);
    rig.run();
  }
  CHECK(rig.statistic("ftl.folds") >= 12);
  CHECK(rig.statistic("ftl.slc_in_use") <= 2);
  CHECK(rig.statistic("ftl.mapped_units") == 4096);
  rig.nand().ftl().check_invariants();
  auto& all = rig.read(0, 4096);
  rig.run();
  bool right = true;
  for (std::size_t i = 0; i < 4096; ++i) right &= Rig::version(all, i) == 6;
  CHECK(right);
}

// Data that ends together (a log of 512 units, written round and round) beside data that stays:
// four units of the first for each of the second. Returns what the collector moved.
std::uint64_t moved_beside_a_log(std::uint32_t host_streams) {
  MediaConfig config = small_drive();
  config.keep_data = false;
  config.ftl.host_streams = host_streams;
  config.write_buffer.bytes = 128 * kUnitBytes;
  Rig rig(config);
  const auto write = [&](std::uint64_t unit, std::uint16_t stream) {
    auto& io = rig.make(MediaOp::kWrite, unit * kUnitBytes, kUnitBytes, 1);
    io.command.stream = stream;
    rig.start(io);
  };
  std::uint64_t log = 0;
  for (std::uint64_t unit = 0; unit < 3'000; ++unit) {
    write(unit, 2);
    for (int i = 0; i < 4; ++i) write(3'500 + log++ % 512, 1);
    rig.scheduler.simulate(rig.scheduler.now() + 300us);  // never idle: programs are full
  }
  rig.run();
  rig.nand().ftl().check_invariants();
  CHECK(rig.statistic("ftl.gc_runs") > 20);
  CHECK(rig.statistic("ftl.stream_units") == (host_streams > 1 ? 15'000 : 0));
  return rig.statistic("ftl.gc_units");
}
TEST_CASE("a log and data that stays in one open superblock: what stays is moved") {
  CHECK(moved_beside_a_log(1) > 1'000);
}
TEST_CASE("a log and data that stays in streams of their own: nothing is moved") {
  CHECK(moved_beside_a_log(3) == 0);
}

TEST_CASE("writes of one stream share programs, those of different ones never") {
  MediaConfig config = small_drive();
  config.ftl.host_streams = 3;
  Rig rig(config);
  for (std::uint64_t unit = 0; unit < 32; ++unit) {
    auto& io = rig.make(MediaOp::kWrite, unit * kUnitBytes, kUnitBytes, 1);
    io.command.stream = static_cast<std::uint16_t>(unit % 4);  // 3 goes where 1 goes
    rig.start(io);
  }
  rig.run();
  const auto superblock_of = [&](std::uint64_t unit) {
    return rig.nand().geometry().superblock_of(rig.nand().ftl().look_up(UnitId{unit}).place);
  };
  for (std::uint64_t unit = 4; unit < 32; ++unit) {
    CHECK(superblock_of(unit) == superblock_of(unit % 4));
  }
  CHECK(superblock_of(0) != superblock_of(1));
  CHECK(superblock_of(0) != superblock_of(2));
  CHECK(superblock_of(1) != superblock_of(2));
  CHECK(superblock_of(1) == superblock_of(3));
  CHECK(rig.statistic("nand.programs") == 8);
  config.ftl.separate_streams = false;
  base::StatisticsRegistry statistics;
  CHECK_THROWS_AS(make_media(config, rig.scheduler, 1, statistics, "other"), base::UserError);
}

TEST_CASE("energy is the sum over operations") {
  MediaConfig config = small_drive();
  config.nand.read_nj = 1'000'000;
  config.nand.program_nj = 5'000'000;
  config.nand.transfer_pj_per_byte = 0;
  Rig rig(config);
  rig.write(0, 8);
  rig.run();
  rig.read(0);
  rig.run();
  CHECK(rig.statistic("nand.programs") == 2);
  CHECK(rig.statistic("nand.energy_uj") == 2 * 5'000 + 1'000);
}

// A drive in its steady state whose superblocks of 4096 units each yield a quarter or so.
MediaConfig steady_drive(std::uint32_t gc_idle_us) {
  MediaConfig config = small_drive(10 * 4096);
  config.keep_data = false;
  config.nand.pages_per_block = 256;
  config.ftl.over_provisioning_percent = 28;
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::random;
  config.ftl.gc_idle_us = gc_idle_us;
  return config;
}

// One random unit every 100 us; returns valid units of the victim.
std::uint32_t write_slowly(Rig& rig, int units) {
  std::uint32_t least = ~0u;
  for (std::uint32_t i = 0; i < rig.nand().ftl().superblocks().count(); ++i) {
    const Superblock& block = rig.nand().ftl().superblocks()[i];
    if (block.state == SuperblockState::kClosed) least = std::min(least, block.valid);
  }
  base::Random random(8, "slow");
  for (int i = 0; i < units; ++i) {
    rig.write(random.below(10 * 4096));
    rig.scheduler.simulate(rig.scheduler.now() + 100us);
  }
  return least;
}

TEST_CASE("collection keeps the host's pace: as far ahead as its window, no further behind") {
  Rig rig(steady_drive(1000));
  const std::uint64_t valid = write_slowly(rig, 800);
  const std::uint64_t host = rig.statistic("ftl.host_units");
  const std::uint64_t moved = rig.statistic("ftl.gc_units");
  const std::uint64_t due = host * valid / (4096 - valid);
  CHECK(host > 700);
  CHECK(moved < valid);
  // A window is two stripes of 4 units for each of 4 dies; a stripe more may be begun.
  CHECK(moved <= due + 32 + 4);
  CHECK(moved + 4 + 4 >= due);
}
TEST_CASE("a host that stays idle lets collection come to its end") {
  MediaConfig config = steady_drive(1000);
  Rig rig(config);
  write_slowly(rig, 100);
  const std::uint64_t before = rig.statistic("ftl.gc_units");
  rig.scheduler.simulate(rig.scheduler.now() + 900us);
  CHECK(rig.statistic("ftl.gc_units") < before + 40);
  rig.run();
  CHECK(rig.statistic("ftl.gc_units") > before + 1000);
  CHECK(rig.statistic("ftl.free_superblocks") >= config.ftl.gc_stop_superblocks);
}
TEST_CASE("without a pace collection is as fast as the dies are") {
  Rig rig(steady_drive(0));
  const std::uint64_t valid = write_slowly(rig, 800);
  const std::uint64_t due = rig.statistic("ftl.host_units") * valid / (4096 - valid);
  CHECK(rig.statistic("ftl.gc_units") > due + 500);
}

// Keeps `writes` random writes below `span` units going, eight at a time, beside one read at a time
// of `read_unit`. True if all writes ended before 200,000 reads had.
bool write_beside_reads(Rig& rig, std::uint64_t writes, std::uint64_t span,
                        std::uint64_t read_unit) {
  base::Random random(8, "beside");
  std::uint64_t open = 0;
  std::uint64_t reads = 200'000;
  std::function<void(Rig::Io&)> next_write = [&](Rig::Io& io) {
    --open;
    if (writes == 0) return;
    --writes;
    ++open;
    rig.set(io, MediaOp::kWrite, random.below(span) * kUnitBytes, kUnitBytes, 1);
    rig.start(io);
  };
  std::function<void(Rig::Io&)> next_read = [&](Rig::Io& io) {
    if ((open == 0 && writes == 0) || reads == 0) return;
    --reads;
    rig.set(io, MediaOp::kRead, read_unit * kUnitBytes, kUnitBytes, 0);
    rig.start(io);
  };
  for (int i = 0; i < 8; ++i) {
    auto& io = rig.ios.emplace_back();
    io.then = next_write;
    ++open;
    next_write(io);
  }
  auto& io = rig.ios.emplace_back();
  io.then = next_read;
  next_read(io);
  rig.run();
  return writes == 0 && open == 0 && reads > 0;
}

TEST_CASE("a victim that the host has emptied is let go, whatever the pace and the reads") {
  Rig rig(steady_drive(1000));
  write_slowly(rig, 200);
  rig.command(MediaOp::kDeallocate, 0, 10 * 4096 - 1);  // but for the unit that is read
  CHECK(write_beside_reads(rig, 30'000, 256, 10 * 4096 - 1));
  rig.nand().ftl().check_invariants();
}

TEST_CASE("wear is levelled and what is read often is written anew beside steady writes") {
  MediaConfig config = small_drive();
  config.keep_data = false;
  config.ftl.prefill_percent = 100;
  config.ftl.static_wear_gap = 2;
  config.reliability.refresh_reads = 1000;
  Rig rig(config);
  CHECK(write_beside_reads(rig, 60'000, 256, 4000));
  CHECK(rig.statistic("ftl.wear_most") - rig.statistic("ftl.wear_least") <= 6);
  CHECK(rig.statistic("ftl.wear_moves") > 10);
  CHECK(rig.statistic("ftl.refreshes") >= rig.statistic("nand.reads") / 20'000);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("what is read often is written anew beside reads alone, with a victim half moved") {
  MediaConfig config = steady_drive(1000);
  config.reliability.refresh_reads = 3000;
  Rig rig(config);
  write_slowly(rig, 200);
  CHECK(rig.nand().ftl().collector().moving());
  std::uint64_t reads = 30'000;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (reads == 0) return;
    --reads;
    rig.start(io);
  };
  for (int i = 0; i < 4; ++i) rig.read(1 + 1000 * i).then = more;
  std::uint64_t refreshes = 0;
  rig.ios.back().then = [&](Rig::Io& io) {
    if (reads > 0) refreshes = rig.statistic("ftl.refreshes");
    more(io);
  };
  rig.run();
  CHECK(refreshes > 0);  // while reads went on
  rig.nand().ftl().check_invariants();
}

}  // namespace
}  // namespace nvmesim::models
