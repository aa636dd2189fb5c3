// Where programs go: the orders over channels, ways, dies and planes against their closed form,
// made drives against written ones, the idle die, homes by address, and what is refused.
#include <algorithm>
#include <string>

#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// 3 channels of 2 ways of 2 dies of 2 planes; a row of pages is 48 units, a superblock 768.
MediaConfig array_drive(const std::string& order, Allocation allocation = Allocation::in_order) {
  MediaConfig config = small_drive(2000);
  config.keep_data = false;
  config.nand.channels = 3;
  config.nand.dies_per_channel = 4;
  config.nand.dies_per_way = 2;
  config.nand.pages_per_block = 16;
  config.ftl.allocation = allocation;
  config.ftl.allocation_order = order;
  return config;
}

struct Position {
  std::uint32_t channel = 0;
  std::uint32_t way = 0;
  std::uint32_t die = 0;
  std::uint32_t plane = 0;
  bool operator==(const Position&) const = default;
};

// The page number in the mixed radix that the order spells.
Position expected(const std::string& order, std::uint64_t page, const NandConfig& nand) {
  Position at;
  for (const char level : order) {
    const auto digit = [&page](std::uint32_t base) {
      const auto value = static_cast<std::uint32_t>(page % base);
      page /= base;
      return value;
    };
    if (level == 'C') at.channel = digit(nand.channels);
    if (level == 'W') at.way = digit(nand.dies_per_channel / nand.dies_per_way);
    if (level == 'D') at.die = digit(nand.dies_per_way);
    if (level == 'P') at.plane = digit(nand.planes_per_die);
  }
  return at;
}

Position position(const NandMedia& media, std::uint64_t unit, const NandConfig& nand) {
  const Geometry& shape = media.geometry();
  const Place place = media.ftl().look_up(UnitId{unit}).place;
  const std::uint32_t die = shape.die_of_stripe(shape.stripe_of(place));
  const std::uint32_t in_channel = die / shape.channels;
  return {die % shape.channels, in_channel / nand.dies_per_way, in_channel % nand.dies_per_way,
          shape.plane_of(place)};
}

// Writes [0, units) in order, one command after the other.
void write_in_order(Rig& rig, std::uint64_t units) {
  std::uint64_t next = 0;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (next == units) return;
    const std::uint64_t count = std::min<std::uint64_t>(units - next, 7);
    rig.set(io, MediaOp::kWrite, next * kUnitBytes, count * kUnitBytes, 1);
    next += count;
    rig.start(io);
  };
  auto& io = rig.ios.emplace_back();
  io.then = more;
  more(io);
  rig.run();
}

// Each order: a drive written in order, and one made so, have every page where the order says.
std::uint64_t wrong_positions(Allocation allocation, bool one_shot) {
  std::uint64_t wrong = 0;
  std::string order = "CDPW";
  Rig rig(array_drive(order));
  do {
    MediaConfig config = array_drive(order, allocation);
    if (one_shot) {
      config.nand.one_shot = true;
      config.nand.pages_per_block = 18;
      config.write_buffer.bytes = 200 * kUnitBytes;
    }
    base::StatisticsRegistry of_written;
    const auto written = make_media(config, rig.scheduler, 1, of_written, "written" + order);
    config.ftl.prefill_percent = 100;
    base::StatisticsRegistry of_made;
    const auto made = make_media(config, rig.scheduler, 1, of_made, "made" + order);
    std::swap(rig.media, const_cast<std::unique_ptr<Media>&>(written));
    write_in_order(rig, 2000);
    auto& ours = rig.nand();
    const auto& theirs = dynamic_cast<const NandMedia&>(*made);
    for (std::uint64_t unit = 0; unit < 1920; ++unit) {  // the rest of a row is left over
      const bool right =
          position(ours, unit, config.nand) == expected(order, unit / 2, config.nand) &&
          ours.ftl().look_up(UnitId{unit}).place == theirs.ftl().look_up(UnitId{unit}).place;
      if (!right) ++wrong;
    }
    ours.ftl().check_invariants();
    theirs.ftl().check_invariants();
    std::swap(rig.media, const_cast<std::unique_ptr<Media>&>(written));
  } while (std::next_permutation(order.begin(), order.end()));
  return wrong;
}

TEST_CASE("in each of 24 orders consecutive pages go round the array as the order spells it") {
  CHECK(wrong_positions(Allocation::in_order, false) == 0);
}
TEST_CASE("by address they do, whatever the size of a program") {
  CHECK(wrong_positions(Allocation::by_address, true) == 0);
}
TEST_CASE("to idle dies they do while all dies are idle") {
  std::uint64_t wrong = 0;
  MediaConfig config = array_drive("PWDC", Allocation::idle_die);
  Rig rig(config);
  for (std::uint64_t unit = 0; unit < 400; unit += 4) {  // a program at a time
    rig.write(unit, 4);
    rig.run();
  }
  for (std::uint64_t unit = 0; unit < 400; ++unit) {
    if (!(position(rig.nand(), unit, config.nand) == expected("PWDC", unit / 2, config.nand))) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("by address, written in random order, only what is counted as strayed is not at home") {
  MediaConfig config = array_drive("CWDP", Allocation::by_address);
  Rig rig(config);
  std::vector<std::uint64_t> units(2000);
  for (std::uint64_t i = 0; i < units.size(); ++i) units[i] = i;
  base::Random random(3, "order");
  for (std::uint64_t i = units.size(); i > 1; --i) std::swap(units[i - 1], units[random.below(i)]);
  for (const std::uint64_t unit : units) {
    rig.write(unit);
    if (unit % 16 == 0) rig.run();
  }
  rig.run();
  std::uint64_t away = 0;
  for (std::uint64_t unit = 0; unit < 2000; ++unit) {
    Position at = position(rig.nand(), unit, config.nand);
    const Position home = expected("CWDP", unit / 2, config.nand);
    at.plane = home.plane;  // within a program data lies in the order in which it came
    if (!(at == home)) ++away;
  }
  CHECK(away == rig.statistic("ftl.strayed_units"));
  CHECK(away > 0);
  CHECK(away < 400);
}

TEST_CASE("by address a write of one die's pages only goes on when that die's share is full") {
  MediaConfig config = array_drive("CWDP", Allocation::by_address);
  config.nand.blocks_per_plane = 20;
  Rig rig(config);
  // Pages of die 0: every twelfth, of the first plane; 83 of them on this drive, over and over.
  for (int round = 0; round < 60; ++round) {
    for (std::uint64_t page = 0; page < 1000; page += 12) rig.write(2 * page, 2);
    rig.run();
  }
  CHECK(rig.statistic("ftl.host_units") > 1000);
  CHECK(rig.statistic("ftl.strayed_units") > 0);
  rig.nand().ftl().check_invariants();
}

TEST_CASE("by address collection leaves data at home") {
  MediaConfig config = array_drive("CWDP", Allocation::by_address);
  config.nand.pages_per_block = 64;
  config.capacity_bytes = 20'000 * kUnitBytes;
  config.ftl.prefill_percent = 100;
  config.ftl.over_provisioning_percent = 30;
  Rig rig(config);
  base::Random random(5, "mix");
  std::uint64_t left = 60'000;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (left == 0) return;
    --left;
    rig.set(io, MediaOp::kWrite, random.below(20'000) * kUnitBytes, kUnitBytes, 1);
    rig.start(io);
  };
  for (int i = 0; i < 8; ++i) {
    auto& io = rig.ios.emplace_back();
    io.then = more;
    more(io);
  }
  rig.run();
  CHECK(rig.statistic("ftl.gc_units") > 20'000);
  std::uint64_t home = 0;
  for (std::uint64_t unit = 0; unit < 20'000; ++unit) {
    Position at = position(rig.nand(), unit, config.nand);
    at.plane = expected("CWDP", unit / 2, config.nand).plane;
    if (at == expected("CWDP", unit / 2, config.nand)) ++home;
  }
  CHECK(home > 17'000);
  rig.nand().ftl().check_invariants();
}

// How many of 400 units (100 programs) that are written while die 0 is kept reading are programmed
// on die 1, and when all are.
std::pair<std::uint64_t, base::Time> beside_a_busy_die(Allocation allocation) {
  MediaConfig config = small_drive(2000);
  config.keep_data = false;
  config.nand.channels = 2;
  config.nand.dies_per_channel = 1;
  config.ftl.prefill_percent = 100;
  config.ftl.allocation = allocation;
  config.nand.age_limit_us = 100'000;
  config.nand.pages_per_block = 256;  // in a superblock each die gets as much in the end
  Rig rig(config);
  // Stripes of 4 units go to die 0 and 1 in turn.
  std::uint64_t reads = 600;
  std::function<void(Rig::Io&)> again = [&](Rig::Io& io) {
    if (reads == 0) return;
    --reads;
    rig.set(io, MediaOp::kRead, (1000 + reads % 100 * 8) * kUnitBytes, kUnitBytes, 0);
    rig.start(io);
  };
  for (int i = 0; i < 4; ++i) {
    auto& io = rig.ios.emplace_back();
    io.then = again;
    again(io);
  }
  base::Time last{0};
  for (std::uint64_t unit = 0; unit < 400; unit += 4) {
    auto& io = rig.write(unit, 4);
    io.then = [&](Rig::Io& done) { last = std::max(last, done.done); };
  }
  rig.run();
  std::uint64_t on_one = 0;
  for (std::uint64_t unit = 0; unit < 400; ++unit) {
    if (position(rig.nand(), unit, config.nand).channel == 1) ++on_one;
  }
  return {on_one, last};
}

TEST_CASE("in order a busy die gets its turn like any other") {
  const auto [on_one, last] = beside_a_busy_die(Allocation::in_order);
  CHECK(on_one == 200);
  // 16 programs fit into the buffer: 34 of die 0 end before, all behind 600 reads.
  CHECK(last > 600 * 40us + 34 * 400us);
}
TEST_CASE("a busy die is passed over by allocation to the idle one and writes end sooner") {
  const auto [on_one, last] = beside_a_busy_die(Allocation::idle_die);
  CHECK(on_one > 300);
  CHECK(last < 600 * 40us + 16 * 400us);
}

// Units that the collector moves within their die when every fourth stripe has a hole.
std::uint64_t copied_back(Allocation allocation) {
  MediaConfig config = small_drive(4096);
  config.keep_data = false;
  config.ftl.copyback = true;
  config.ftl.prefill_percent = 100;
  config.ftl.over_provisioning_percent = 10;
  config.ftl.gc_policy = "fifo";  // what was there first is moved, all but the holes
  config.ftl.allocation = allocation;
  Rig rig(config);
  base::Random random(1, "holes");
  for (int i = 0; i < 1500; ++i) {
    rig.write(random.below(256) * 16);
    if (i % 8 == 0) rig.run();
  }
  rig.run();
  rig.nand().ftl().check_invariants();
  CHECK(rig.statistic("ftl.gc_units") > 2000);
  return rig.statistic("ftl.copyback_units") * 100 / rig.statistic("ftl.gc_units");
}
TEST_CASE("in order a copyback waits for the turn of its die") {
  CHECK(copied_back(Allocation::in_order) < 25);
}
TEST_CASE("to idle dies a copyback waits only for programs of its die") {
  CHECK(copied_back(Allocation::idle_die) > 30);
}

TEST_CASE("what is buffered for a stream is still of that stream after save and load") {
  MediaConfig config = array_drive("PCWD", Allocation::idle_die);
  config.ftl.host_streams = 3;
  Rig rig(config);
  for (std::uint64_t unit = 0; unit < 3; ++unit) {
    auto& io = rig.make(MediaOp::kWrite, unit * kUnitBytes, kUnitBytes, 1);
    io.command.stream = 2;
    rig.start(io);
  }
  rig.scheduler.simulate(100us);
  CHECK(rig.statistic("ftl.stream_units") == 0);
  rig.media->power_cut();
  const std::string file = rig.media->save();
  base::StatisticsRegistry statistics;
  auto copy = make_media(config, rig.scheduler, 1, statistics, "copy");
  copy->load(file, "file");
  CHECK(copy->save() == file);
  copy->power_on();
  rig.run();
  for (const auto& each : statistics.statistics()) {
    if (each.name == "copy.ftl.stream_units") CHECK(each.value() == 3);
  }
}

std::string refused(base::Scheduler& scheduler, const MediaConfig& config) {
  base::StatisticsRegistry statistics;
  try {
    make_media(config, scheduler, 1, statistics, "media");
  } catch (const base::UserError& error) {
    return error.what();
  }
  return {};
}
TEST_CASE("an order that is none, a home without a die and a buffer without room are refused") {
  base::Scheduler clock("scheduler", base::kTimeZero);
  for (const char* order : {"", "CWD", "CWDD", "cwdp", "CWDPC", "CWDX"}) {
    CHECK(refused(clock, array_drive(order)).starts_with("ftl.allocation_order: "));
  }
  MediaConfig ways = array_drive("CWDP");
  ways.nand.dies_per_way = 3;
  CHECK(refused(clock, ways).starts_with("nand.dies_per_way: 3 does not divide"));
  MediaConfig parity = array_drive("CWDP", Allocation::by_address);
  parity.ftl.parity = true;
  CHECK(refused(clock, parity).starts_with("ftl.allocation: by_address"));
  MediaConfig buffer = array_drive("CWDP");
  buffer.write_buffer.bytes = 51 * kUnitBytes;
  CHECK(refused(clock, buffer).starts_with("write_buffer.bytes: "));
  buffer.write_buffer.bytes = 52 * kUnitBytes;
  CHECK(refused(clock, buffer).empty());
}

}  // namespace
}  // namespace nvmesim::models
