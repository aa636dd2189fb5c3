#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Stage;
using base::Time;

MediaConfig unprotected() {
  MediaConfig config = small_drive();
  config.write_buffer.power_loss_protection = false;
  return config;
}

TEST_CASE("a write is done after the buffer's latency, long before the program") {
  Rig rig(small_drive());
  auto& write = rig.write(10, 3);
  rig.run();
  // Three units through the entry of the buffer, one after the other, then its latency.
  CHECK(write.done == Time{(3 * 400 + 1000) * 1000});
  CHECK(write.command.parts[2].stages.spent(Stage::kBuffer) == write.done);
  CHECK(rig.statistic("ftl.host_units") == 3);  // by the idle timer
  CHECK(rig.statistic("ftl.padding_units") == 1);
}

TEST_CASE("data is read from the buffer before, and from the NAND after it was programmed") {
  Rig rig(small_drive());
  auto& write = rig.write(7, 1, 42);
  Rig::Io* early = nullptr;
  write.then = [&](Rig::Io&) { early = &rig.read(7); };
  rig.run();
  REQUIRE(early != nullptr);
  CHECK(Rig::version(*early) == 42);
  CHECK(early->done - early->started == 200ns + 500ns);
  auto& late = rig.read(7);
  rig.run();
  CHECK(Rig::version(late) == 42);
  CHECK(late.done - late.started > 40us);
  CHECK(rig.statistic("read.buffer_hits") == 1);
  CHECK(rig.statistic("read.media_units") == 1);
}

TEST_CASE("a unit written again while it waits in the buffer is programmed once") {
  Rig rig(small_drive());
  rig.write(3, 1, 1);
  rig.write(3, 1, 2);
  rig.write(3, 1, 3);
  rig.run();
  CHECK(rig.statistic("write_buffer.coalesced") == 2);
  CHECK(rig.statistic("ftl.host_units") == 1);
  auto& read = rig.read(3);
  rig.run();
  CHECK(Rig::version(read) == 3);
  CHECK(rig.nand().buffer().free_slots() == rig.nand().buffer().slots());
}

TEST_CASE("a full stripe goes to the NAND at once, less only when the buffer has been idle") {
  Rig rig(small_drive());
  rig.write(0, 5);
  bool four = false;
  rig.scheduler.at(500us, base::Callback(
                              [](void* object, std::uint64_t) {
                                auto* self = static_cast<std::pair<Rig*, bool*>*>(object);
                                *self->second = self->first->statistic("ftl.host_units") == 4;
                              },
                              new std::pair<Rig*, bool*>(&rig, &four), 0));
  rig.run();
  CHECK(four);
  CHECK(rig.statistic("ftl.host_units") == 5);
}

TEST_CASE("a full buffer holds writes back until programs make room") {
  Rig rig(small_drive());
  auto& write = rig.write(0, 200);  // three times the buffer
  rig.run();
  CHECK(write.finished);
  CHECK(rig.statistic("write_buffer.waits_for_room") == 200 - 64);
  // The parts beyond the buffer waited for a program.
  CHECK(write.ready[63] == 0ns);
  CHECK(write.ready[64] > 400us);
  CHECK(write.command.parts[199].stages.spent(Stage::kBuffer) == write.done);
  CHECK(std::is_sorted(write.ready.begin(), write.ready.end()));
}

TEST_CASE("flush and FUA cost nothing with power-loss protection") {
  Rig rig(small_drive());
  auto& plain = rig.write(0);
  plain.then = [&](Rig::Io& io) {
    if (&io == &plain) rig.command(MediaOp::kFlush);
  };
  rig.run();
  CHECK_FALSE(rig.media->volatile_cache());
  CHECK(rig.ios[1].done == rig.ios[1].started);
  auto& forced = rig.make(MediaOp::kWrite, 0, kUnitBytes, 2);
  forced.command.force_unit_access = true;
  rig.start(forced);
  rig.run();
  CHECK(forced.done - forced.started == plain.done);
}

// Page in: command 500 + 8192 B at 1.2 GB/s; one page for one unit.
constexpr Time kOneUnitProgram = 500ns + Time{6'826'667} + 400us + 300ns;

TEST_CASE("a flush of a volatile buffer waits for the program of what was written before") {
  Rig rig(unprotected());
  CHECK(rig.media->volatile_cache());
  auto& write = rig.write(9);
  Rig::Io* flush = nullptr;
  write.then = [&](Rig::Io&) { flush = &rig.command(MediaOp::kFlush); };
  rig.run();
  REQUIRE(flush != nullptr);
  CHECK(flush->done - flush->started == kOneUnitProgram);
  CHECK(flush->command.stages.spent(Stage::kBuffer) == kOneUnitProgram);
  auto& empty = rig.command(MediaOp::kFlush);
  rig.run();
  CHECK(empty.done == empty.started);
}

TEST_CASE("a forced write to a volatile buffer is done when it is programmed") {
  Rig rig(unprotected());
  auto& write = rig.make(MediaOp::kWrite, 0, kUnitBytes, 5);
  write.command.force_unit_access = true;
  rig.start(write);
  rig.run();
  CHECK(write.done == kOneUnitProgram);
  CHECK(write.command.parts[0].stages.total() == kOneUnitProgram);
}

TEST_CASE("a flush ends although what it waits for is deallocated") {
  Rig rig(unprotected());
  auto& write = rig.write(9);
  Rig::Io* flush = nullptr;
  write.then = [&](Rig::Io& io) {
    if (&io != &write) return;
    flush = &rig.command(MediaOp::kFlush);
    rig.write(11, 2);
    rig.command(MediaOp::kDeallocate, 0, 100);
    rig.command(MediaOp::kFlush);
  };
  rig.run();
  for (const auto& io : rig.ios) CHECK(io.finished);
  CHECK(rig.media->used_units() <= 2);
}

TEST_CASE("quiesce calls back when nothing volatile is left") {
  Rig rig(unprotected());
  auto& write = rig.write(0, 6);
  struct Seen {
    Rig* rig;
    Time when;
    std::uint64_t programmed;
  } seen{&rig, {}, 0};
  write.then = [&](Rig::Io&) {
    rig.media->quiesce(base::Callback(
        [](void* object, std::uint64_t) {
          auto* what = static_cast<Seen*>(object);
          what->when = what->rig->scheduler.now();
          what->programmed = what->rig->nand().store().units_kept();
        },
        &seen, 0));
  };
  rig.run();
  CHECK(seen.when > 400us);
  CHECK(seen.programmed == 6);
}

TEST_CASE("a write of a part of a unit keeps the rest, and reads it from the NAND first") {
  Rig rig(small_drive());
  rig.write(4, 1, 1);
  rig.run();
  const auto start = rig.scheduler.now();
  auto& partial = rig.make(MediaOp::kWrite, 4 * kUnitBytes + 512, 1024, 2);
  rig.start(partial);
  rig.run();
  CHECK(partial.done - start == 1400ns);
  CHECK(rig.statistic("write_buffer.merges") == 1);
  CHECK(rig.statistic("read.media_units") == 1);
  auto& read = rig.read(4);
  rig.run();
  const MediaPart& part = read.command.parts[0];
  CHECK(Rig::version_at(part, 0) == 1);
  CHECK(Rig::version_at(part, 512) == 2);
  CHECK(Rig::version_at(part, 1024) == 2);
  CHECK(Rig::version_at(part, 1536) == 1);
}

TEST_CASE("write zeroes unmaps whole units and rewrites parts of units") {
  Rig rig(small_drive());
  rig.write(0, 8, 1);
  rig.run();
  auto& zeroes = rig.make(MediaOp::kWriteZeroes, 1 * kUnitBytes + 512, 3 * kUnitBytes);
  rig.start(zeroes);
  rig.run();
  CHECK(zeroes.finished);
  CHECK(rig.media->used_units() == 6);
  auto& read = rig.read(0, 8);
  rig.run();
  for (std::uint32_t unit = 0; unit < 8; ++unit) {
    for (std::uint32_t at = 0; at < kUnitBytes; at += 512) {
      const std::uint64_t byte = unit * kUnitBytes + at;
      const bool zero = byte >= kUnitBytes + 512 && byte < 4 * kUnitBytes + 512;
      CHECK(Rig::version_at(read.command.parts[unit], at) == (zero ? 0u : 1u));
    }
  }
  rig.nand().ftl().check_invariants();
}

TEST_CASE("a cancelled write gives its room back and is never called again") {
  Rig rig(small_drive());
  auto& held = rig.make(MediaOp::kWrite, 0, 64 * kUnitBytes, 1);
  held.hold = true;
  rig.start(held);
  auto& waiting = rig.write(100, 8, 2);
  auto& behind = rig.write(200, 8, 3);
  rig.run();
  CHECK(held.ready.size() == 64);
  CHECK_FALSE(waiting.finished);
  CHECK(rig.nand().buffer().free_slots() == 0);
  rig.media->cancel(waiting.command);
  rig.media->cancel(held.command);
  rig.run();
  CHECK_FALSE(held.finished);
  CHECK_FALSE(waiting.finished);
  CHECK(behind.finished);
  CHECK(rig.nand().buffer().free_slots() == 64);
  CHECK(rig.media->used_units() == 8);
}

TEST_CASE("a write may be cancelled from within its own ready") {
  Rig rig(small_drive());
  struct Canceller : MediaClient {
    Media* media = nullptr;
    int calls = 0;
    void media_ready(MediaPart& part) override {
      ++calls;
      media->cancel(*part.command);
    }
    void media_done(MediaCommand&, MediaStatus) override { calls += 100; }
  } canceller;
  canceller.media = rig.media.get();
  for (const MediaOp op : {MediaOp::kWrite, MediaOp::kRead}) {
    auto& io = rig.make(op, 0, 4 * kUnitBytes);
    io.command.client = &canceller;
    rig.media->start(io.command);
  }
  rig.run();
  CHECK(canceller.calls == 2);
  CHECK(rig.nand().buffer().free_slots() == rig.nand().buffer().slots());
}

}  // namespace
}  // namespace nvmesim::models
