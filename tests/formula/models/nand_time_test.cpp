// Times of the NAND medium against hand sums, to the picosecond.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;
using base::Time;

// One channel at 1024 MB/s: 4 us for a unit, 8 us for a page.
constexpr Time kMapping = 200ns;
constexpr Time kCommand = 500ns;
constexpr Time kRead = 40us;
constexpr Time kUnitOut = 4us;
constexpr Time kPageIn = 8us + kCommand;
constexpr Time kStatus = 300ns;
constexpr Time kEcc = 2us;
constexpr Time kProgram = 400us;
constexpr Time kErase = 3500us;
constexpr Time kIdleRead = kMapping + kCommand + kRead + kStatus + kUnitOut + kEcc;

MediaConfig one_die() {
  MediaConfig config = small_drive(256);
  config.nand.channels = 1;
  config.nand.dies_per_channel = 1;
  config.nand.channel_mb_per_s = 1024;
  config.nand.pages_per_block = 16;  // superblocks of 64 units
  return config;
}

struct At {
  Rig* rig;
  std::function<void()> what;
};
void at(Rig& rig, Time when, std::function<void()> what) {
  rig.scheduler.at(when, base::Callback(
                             [](void* object, std::uint64_t) {
                               auto* later = static_cast<At*>(object);
                               later->what();
                               delete later;
                             },
                             new At{&rig, std::move(what)}, 0));
}

TEST_CASE("an idle read costs mapping, command, tR, status, transfer and ECC") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  const std::uint64_t entries = rig.scheduler.entries_run();
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.done == kIdleRead);
  CHECK(rig.scheduler.entries_run() - entries == 2);
  const auto& stages = read.command.parts[0].stages;
  CHECK(stages.spent(Stage::kMapping) == kMapping);
  CHECK(stages.spent(Stage::kChannel) == kCommand + kStatus + kUnitOut);
  CHECK(stages.spent(Stage::kArray) == kRead);
  CHECK(stages.spent(Stage::kEcc) == kEcc);
  CHECK(stages.total() == kIdleRead);
}

TEST_CASE("read times follow the page type") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  config.nand.read_ns = {30'000, 50'000, 70'000};
  Rig rig(config);
  for (std::uint64_t row = 0; row < 6; ++row) {
    auto& read = rig.read(row * 4);
    rig.run();
    CHECK(read.done - read.started ==
          kIdleRead - kRead + std::chrono::microseconds(30 + 20 * (row % 3)));
  }
}

TEST_CASE("units of one stripe are read by one array operation and leave one by one") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  auto& read = rig.read(4, 4);
  rig.run();
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(read.ready[i] == kIdleRead + static_cast<std::int64_t>(i) * kUnitOut);
    CHECK(read.command.parts[i].stages.spent(Stage::kChannelWait) ==
          (i == 0 ? Time{0} : kStatus + static_cast<std::int64_t>(i) * kUnitOut));
  }
  CHECK(rig.statistic("nand.reads") == 1);
}

TEST_CASE("with cache read the array reads on while data leaves, without it waits") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  auto& first = rig.read(0);
  auto& second = rig.read(4);
  rig.run();
  CHECK(first.done == kIdleRead);
  CHECK(second.done == kIdleRead + kCommand + kRead);
  const auto& stages = second.command.parts[0].stages;
  CHECK(stages.spent(Stage::kDieWaitRead) == kCommand + kRead);
  CHECK(stages.total() == second.done);
}

TEST_CASE("without cache read the die is taken until its data has left") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  config.nand.cache_read = false;
  Rig rig(config);
  rig.read(0);
  auto& second = rig.read(4);
  rig.run();
  CHECK(second.done == kIdleRead + kCommand + kRead + kStatus + kUnitOut);
  CHECK(second.command.parts[0].stages.spent(Stage::kDieWaitRead) ==
        kCommand + kRead + kStatus + kUnitOut);
}

TEST_CASE("with cache read the third read waits for the registers behind a slow channel") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  config.nand.channel_mb_per_s = 32;  // 128 us for a unit
  Rig rig(config);
  auto& first = rig.read(0);
  auto& second = rig.read(4);
  auto& third = rig.read(8);
  auto& fourth = rig.read(12);
  rig.run();
  const Time out = kStatus + 128us;
  CHECK(first.done == kMapping + kCommand + kRead + out + kEcc);
  // The channel never rests: each follows the one before.
  CHECK(second.done - first.done == out);
  CHECK(third.done - second.done == out);
  CHECK(fourth.done - third.done == out);
  // The fourth's array work began when the second's data had left.
  const auto& stages = fourth.command.parts[0].stages;
  CHECK(stages.spent(Stage::kDieWaitRead) == second.done - kEcc - kMapping);
  CHECK(stages.total() == fourth.done);
}

TEST_CASE("a program costs its pages on the channel, tPROG and status; a read behind it waits") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  rig.write(200, 4);  // a whole stripe: two pages
  Rig::Io* behind = nullptr;
  at(rig, 100us, [&] { behind = &rig.read(0); });
  rig.run();
  constexpr Time kProgrammed = 2 * kPageIn + kProgram + kStatus;
  CHECK(behind->done == kProgrammed - kMapping + kIdleRead);
  const auto& stages = behind->command.parts[0].stages;
  CHECK(stages.spent(Stage::kDieWaitProgram) == kProgrammed - 100us - kMapping);
  CHECK(stages.spent(Stage::kDieWaitRead) == 0ns);
  CHECK(stages.total() == behind->done - 100us);
}

TEST_CASE("reads go before programs and a read behind both waits for both by cause") {
  MediaConfig config = one_die();
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  rig.write(200, 8);  // two stripes on the one die
  Rig::Io* early = nullptr;
  Rig::Io* late = nullptr;
  at(rig, 10us, [&] { early = &rig.read(0); });
  at(rig, 20us, [&] { late = &rig.read(8); });
  rig.run();
  constexpr Time kProgrammed = 2 * kPageIn + kProgram + kStatus;
  CHECK(early->done == kProgrammed - kMapping + kIdleRead);
  CHECK(late->done == early->done + kCommand + kRead);
  const auto& stages = late->command.parts[0].stages;
  CHECK(stages.spent(Stage::kDieWaitProgram) == kProgrammed - 20us - kMapping);
  CHECK(stages.spent(Stage::kDieWaitRead) == kCommand + kRead);
}

TEST_CASE("a read behind an erase and behind a move of the collector waits for them by cause") {
  MediaConfig config = one_die();
  config.write_buffer.bytes = 8 * kUnitBytes;
  config.nand.age_limit_us = 10'000'000;  // a read waits for one other operation at most
  config.ftl.over_provisioning_percent = 0;
  Rig rig(config);
  Time erase_wait{0};
  Time gc_wait{0};
  std::uint32_t version = 0;
  base::Random random(23, "behind");
  std::function<void(Rig::Io&)> more = [&](Rig::Io& done) {
    for (const MediaPart& part : done.command.parts) {
      erase_wait = std::max(erase_wait, part.stages.spent(Stage::kDieWaitErase));
      gc_wait = std::max(gc_wait, part.stages.spent(Stage::kDieWaitGc));
    }
    if (++version > 4000) return;
    const std::uint64_t unit = random.below(64) * 4;
    const bool read = version % 8 == 0;
    rig.set(done, read ? MediaOp::kRead : MediaOp::kWrite, unit * kUnitBytes, 4 * kUnitBytes,
            version);
    rig.start(done);
  };
  for (int i = 0; i < 3; ++i) {
    auto& io = rig.write(static_cast<std::uint64_t>(i) * 4, 4);
    io.then = more;
  }
  rig.run();
  rig.nand().ftl().check_invariants();
  CHECK(erase_wait > 0ns);
  CHECK(erase_wait <= kCommand + kErase + kStatus);
  CHECK(gc_wait > 0ns);
  CHECK(gc_wait <= 2 * kPageIn + kProgram + kStatus + kCommand + kRead + 4 * kUnitOut);
  // Busy time is the sum over all operations of their times.
  const auto count = [&](const char* name) {
    return static_cast<std::int64_t>(rig.statistic(std::string("nand.") + name));
  };
  Time busy{0};
  for (const auto& each : rig.statistics.utilisations()) {
    if (each.group == "die") busy += each.busy();
  }
  const Time least = count("reads") * (kCommand + kRead) +
                     count("programs") * (kPageIn + kProgram + kStatus) +
                     count("erases") * (kCommand + kErase + kStatus);
  CHECK(busy >= least);
  CHECK(busy <= rig.scheduler.now());
}

TEST_CASE("dies on one channel work at the same time and share the channel in order") {
  MediaConfig config = one_die();
  config.nand.dies_per_channel = 4;
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  std::vector<Rig::Io*> reads;
  for (std::uint64_t die = 0; die < 4; ++die) reads.push_back(&rig.read(die * 4));
  rig.run();
  for (std::int64_t die = 0; die < 4; ++die) {
    CHECK(reads[static_cast<std::size_t>(die)]->done == kIdleRead + die * (kStatus + kUnitOut));
    CHECK(reads[static_cast<std::size_t>(die)]->command.parts[0].stages.spent(
              Stage::kChannelWait) == die * (kStatus + kUnitOut));
  }
}

}  // namespace
}  // namespace nvmesim::models
