#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;

MediaConfig xpoint(std::uint64_t units = 4096) {
  MediaConfig config;
  config.kind = MediaKind::xpoint;
  config.capacity_bytes = units * kUnitBytes;
  config.xpoint.channels = 2;
  config.xpoint.dies_per_channel = 2;
  config.xpoint.read_mb_per_s = 4096;   // 1 us for a unit
  config.xpoint.write_mb_per_s = 2048;  // 2 us
  return config;
}

TEST_CASE("an XPoint write and read cost the sum of their parts") {
  Rig rig(xpoint());
  auto& write = rig.write(0);
  rig.run();
  CHECK(write.done == 50ns + 2us + 1500ns);
  auto& read = rig.read(0);
  rig.run();
  CHECK(read.done - read.started == 100ns + 50ns + 1us + 1us + 100ns);
  CHECK(Rig::version(read) == 1);
  const auto& stages = read.command.parts[0].stages;
  CHECK(stages.spent(Stage::kMapping) == 100ns);
  CHECK(stages.spent(Stage::kArray) == 1050ns);
  CHECK(stages.spent(Stage::kChannel) == 1us);
  CHECK(stages.spent(Stage::kEcc) == 100ns);
}

TEST_CASE("XPoint units on different channels do not wait for each other, on one die they do") {
  Rig rig(xpoint());
  rig.write(0, 8);
  rig.run();
  auto& apart = rig.read(0, 2);
  rig.run();
  CHECK(apart.ready[0] == apart.ready[1]);
  auto& first = rig.read(0);
  auto& same_die = rig.read(4);
  rig.run();
  CHECK(same_die.done - first.done == 1050ns);
  CHECK(same_die.command.parts[0].stages.spent(Stage::kDieWaitRead) == 1050ns);
}

TEST_CASE("XPoint keeps data in place through writes, parts, zeroes and deallocation") {
  Rig rig(xpoint());
  struct Loop {
    base::Random random{9, "xpoint"};
    std::vector<std::uint32_t> shadow = std::vector<std::uint32_t>(4096 * 8);
    bool right = true;
  } loop;
  for (std::uint32_t i = 1; i <= 3000; ++i) {
    const std::uint64_t first = loop.random.below(200 * 8);
    const std::uint64_t sectors = 1 + loop.random.below(24);
    const std::uint64_t draw = loop.random.below(10);
    const MediaOp op = draw < 5   ? MediaOp::kWrite
                       : draw < 8 ? MediaOp::kRead
                       : draw < 9 ? MediaOp::kDeallocate
                                  : MediaOp::kWriteZeroes;
    auto& io = rig.make(op, first * 512, sectors * 512, i);
    rig.start(io);
    rig.run();
    CHECK(io.finished);
    for (std::uint64_t s = first; s < first + sectors; ++s) {
      const bool whole = s / 8 * 8 >= first && s / 8 * 8 + 8 <= first + sectors;
      if (op == MediaOp::kWrite) loop.shadow[s] = i;
      if (op == MediaOp::kWriteZeroes || (op == MediaOp::kDeallocate && whole)) loop.shadow[s] = 0;
      if (op != MediaOp::kRead) continue;
      const MediaPart& part = io.command.parts[s / 8 - first / 8];
      const auto at = static_cast<std::uint32_t>(s % 8 * 512);
      loop.right = loop.right && Rig::version_at(part, at) == loop.shadow[s];
    }
    CHECK(io.status == MediaStatus::kOk);
    rig.ios.clear();
  }
  CHECK(loop.right);
}

TEST_CASE("an XPoint read of another place is an integrity error") {
  Rig rig(xpoint());
  rig.write(0, 4);
  rig.run();
  rig.media->points().map_lookup.arm(
      [](UnitId, PhysicalUnit& place) { place = PhysicalUnit{place.value() ^ 1}; });
  auto& read = rig.read(0);
  rig.run();
  CHECK(read.status == MediaStatus::kIntegrity);
  CHECK(rig.statistic("xpoint.integrity_errors") == 1);
}

TEST_CASE("XPoint commands can be cancelled at any time and leave no slot taken") {
  MediaConfig config = xpoint();
  config.xpoint.write_slots = 4;
  Rig rig(config);
  rig.write(0, 4);
  rig.run();
  struct Cancel {
    Rig* rig;
    Rig::Io* io;
  };
  std::deque<Cancel> cancels;
  const auto begin = rig.scheduler.now();
  for (int i = 0; i < 90; ++i) {
    const MediaOp op = i % 3 == 0   ? MediaOp::kRead
                       : i % 3 == 1 ? MediaOp::kWrite
                                    : MediaOp::kWriteZeroes;
    auto& io = rig.make(op, static_cast<std::uint64_t>(i % 7) * 512, 3 * kUnitBytes);
    io.hold = i % 2 == 0;
    rig.start(io);
    cancels.push_back({&rig, &io});
    rig.scheduler.at(begin + std::chrono::nanoseconds(i * 130),
                     base::Callback(
                         [](void* object, std::uint64_t) {
                           auto* what = static_cast<Cancel*>(object);
                           if (!what->io->finished) what->rig->media->cancel(what->io->command);
                           what->io->started = base::kTimeMax;
                         },
                         &cancels.back(), 0));
  }
  rig.run();
  auto& write = rig.write(100, 12, 8);
  rig.run();
  CHECK(write.finished);
  auto& read = rig.read(100, 12);
  rig.run();
  CHECK(Rig::version(read, 11) == 8);
}

TEST_CASE("XPoint jitter and tail stay within their bounds and depend on the seed alone") {
  MediaConfig config = xpoint();
  config.xpoint.jitter_ns = 500;
  config.xpoint.tail_per_million = 100'000;
  config.xpoint.tail_ns = 20'000;
  Rig rig(config);
  rig.write(0);
  rig.run();
  int tails = 0;
  base::Time least = base::kTimeMax;
  for (int i = 0; i < 2000; ++i) {
    auto& read = rig.read(0);
    rig.run();
    const base::Time extra = read.done - read.started - 2250ns;
    CHECK(extra >= 0ns);
    CHECK((extra <= 500ns || (extra >= 20us && extra <= 20500ns)));
    if (extra > 500ns) ++tails;
    least = std::min(least, extra);
    rig.ios.clear();
  }
  CHECK(least < 10ns);
  CHECK(tails > 140);
  CHECK(tails < 260);
}

std::string refused(const MediaConfig& config) {
  try {
    check_media(config);
  } catch (const base::UserError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("parameters that the medium has no use for are refused by name") {
  MediaConfig config;
  CHECK(refused(config).empty());
  config.xpoint.read_ns = 900;
  CHECK(refused(config).starts_with("xpoint.read_ns: "));
  config.kind = MediaKind::xpoint;
  CHECK(refused(config).empty());
  config.ftl.prefill_percent = config.xpoint.prefill_percent = 90;
  config.ftl.precondition = Precondition::random;
  CHECK(refused(config).empty());
  const auto with = [&](auto change) {
    MediaConfig changed = config;
    change(changed);
    const std::string text = refused(changed);
    return text.substr(0, text.find(':'));
  };
  CHECK(with([](auto& c) { c.nand.read_ns = {30'000, 40'000}; }) == "nand.read_ns");
  CHECK(with([](auto& c) { c.reliability.bit_errors = true; }) == "reliability.bit_errors");
  CHECK(with([](auto& c) { c.ftl.gc_policy = "fifo"; }) == "ftl.gc_policy");
  CHECK(with([](auto& c) { c.write_buffer.power_loss_protection = false; }) ==
        "write_buffer.power_loss_protection");
  CHECK(with([](auto& c) { c.read_cache.bytes = 1 << 20; }) == "read_cache.bytes");
  CHECK(with([](auto& c) { c.dram.mb_per_s = 1000; }) == "dram.mb_per_s");
  CHECK(with([](auto& c) { c.map_cache.bytes = 1 << 20; }).empty());
}

TEST_CASE("a feature without what it needs is refused") {
  MediaConfig back;
  back.map_cache.write_back = true;
  CHECK(refused(back).starts_with("map_cache.write_back: "));
  MediaConfig copy;
  copy.ftl.copyback = true;
  CHECK(refused(copy).empty());
  copy.nand.one_shot = true;
  CHECK(refused(copy).starts_with("ftl.copyback: "));
}

}  // namespace
}  // namespace nvmesim::models
