// Power goes at seeded moments: what was acknowledged as durable is there afterwards, and every
// sector is a version that was really written. A volatile buffer without Flush does lose data.
#include <algorithm>
#include <map>

#include "models/state/state_io.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

class Cutter {
 public:
  Cutter(const MediaConfig& config, std::uint64_t seed, bool flushes)
      : rig_(config),
        units_(config.capacity_bytes / kUnitBytes),
        random_(seed, "cuts"),
        flushes_(flushes),
        durable_(units_),
        done_(units_),
        sent_(units_),
        busy_(units_) {}

  void run(int cuts) {
    for (int i = 0; i < cuts; ++i) {
      for (int k = 0; k < 12; ++k) next();
      const std::uint64_t length = 1 + random_.below(i % 3 == 0 ? 400'000 : 6'000'000);
      rig_.scheduler.simulate(rig_.scheduler.now() +
                              base::Time{static_cast<std::int64_t>(length) * 1000});
      cut();
      check();
    }
    rig_.nand().ftl().check_invariants();
  }
  std::uint64_t lost() const { return lost_; }
  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t checked() const { return checked_; }
  Rig& rig() { return rig_; }

 private:
  void next() {
    Rig::Io* io = nullptr;
    if (idle_.empty()) {
      io = &rig_.ios.emplace_back();
      io->then = [this](Rig::Io& done) { ended(done); };
    } else {
      io = idle_.back();
      idle_.pop_back();
    }
    if (flushes_ && random_.chance(1, 12)) {
      rig_.set(*io, MediaOp::kFlush, 0, 0, 0);
      flushed_[io] = done_;
    } else {
      std::uint64_t first = 0;
      std::uint64_t count = 0;
      do {
        count = 1 + random_.below(6);
        first = random_.below(units_ - count);
      } while (overlaps(first, count));
      rig_.set(*io, MediaOp::kWrite, first * kUnitBytes, count * kUnitBytes, ++version_);
      io->command.force_unit_access = flushes_ && random_.chance(1, 8);
      if (rig_.nand().ftl().lanes() > 1) {
        io->command.stream = static_cast<std::uint16_t>(random_.below(4));
      }
      for (std::uint64_t unit = first; unit < first + count; ++unit) {
        busy_[unit] = true;
        sent_[unit] = version_;
      }
    }
    open_.push_back(io);
    rig_.start(*io);
  }
  bool overlaps(std::uint64_t first, std::uint64_t count) const {
    for (std::uint64_t unit = first; unit < first + count; ++unit) {
      if (busy_[unit]) return true;
    }
    return false;
  }
  void ended(Rig::Io& io) {
    open_.erase(std::find(open_.begin(), open_.end(), &io));
    if (io.command.op == MediaOp::kFlush) {
      for (std::uint64_t unit = 0; unit < units_; ++unit) {
        durable_[unit] = std::max(durable_[unit], flushed_[&io][unit]);
      }
    }
    for (const MediaPart& part : io.command.parts) {
      const std::uint64_t unit = part.unit.value();
      busy_[unit] = false;
      done_[unit] = io.version;
      const bool durable = io.command.force_unit_access || !rig_.media->volatile_cache();
      if (durable) durable_[unit] = io.version;
    }
    idle_.push_back(&io);
    next();
  }
  void cut() {
    for (Rig::Io* io : open_) {
      rig_.media->cancel(io->command);
      idle_.push_back(io);
    }
    open_.clear();
    rig_.media->power_cut();
    rig_.nand().ftl().check_invariants();
    busy_.assign(units_, false);
    rig_.scheduler.simulate(rig_.scheduler.now() + 10us);
    rig_.media->power_on();
  }
  void check() {
    auto& read = rig_.make(MediaOp::kRead, 0, units_ * kUnitBytes);
    rig_.start(read);
    rig_.scheduler.simulate(rig_.scheduler.now() + 50ms);
    REQUIRE(read.finished);
    REQUIRE(read.status == MediaStatus::kOk);
    for (std::uint64_t unit = 0; unit < units_; ++unit) {
      const std::uint32_t found = Rig::version_at(read.command.parts[unit], 0);
      ++checked_;
      if (found < durable_[unit] || found > sent_[unit]) ++wrong_;
      if (found < done_[unit]) ++lost_;
      // From now on this is what the unit is.
      durable_[unit] = done_[unit] = sent_[unit] = found;
    }
    rig_.ios.pop_back();
  }

  Rig rig_;
  std::uint64_t units_;
  base::Random random_;
  bool flushes_;
  std::vector<std::uint32_t> durable_;
  std::vector<std::uint32_t> done_;
  std::vector<std::uint32_t> sent_;
  std::vector<bool> busy_;
  std::vector<Rig::Io*> open_;
  std::vector<Rig::Io*> idle_;
  std::map<Rig::Io*, std::vector<std::uint32_t>> flushed_;
  std::uint32_t version_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t wrong_ = 0;
  std::uint64_t checked_ = 0;
};

MediaConfig tiny() {
  MediaConfig config = small_drive(1024);
  config.nand.program_ns = {60'000};
  config.nand.erase_ns = 200'000;
  config.write_buffer.idle_flush_us = 100;
  return config;
}

TEST_CASE("five hundred power cuts of a protected drive lose nothing that was acknowledged") {
  Cutter cutter(tiny(), 1, true);
  cutter.run(500);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.lost() == 0);
  CHECK(cutter.rig().statistic("ftl.gc_runs") > 50);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("five hundred power cuts of a volatile drive keep all that was flushed or forced") {
  MediaConfig config = tiny();
  config.write_buffer.power_loss_protection = false;
  Cutter cutter(config, 2, true);
  cutter.run(500);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.rig().statistic("ftl.gc_runs") > 50);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("two hundred power cuts in cache programs, copybacks and reading ahead lose nothing") {
  MediaConfig config = tiny();
  config.nand.cache_program = true;
  config.nand.command_on_bus = true;
  config.ftl.copyback = true;
  config.read_cache.bytes = 64 * kUnitBytes;
  config.read_cache.ahead_units = 8;
  config.dram.mb_per_s = 1000;
  Cutter cutter(config, 4, true);
  cutter.run(200);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.lost() == 0);
  CHECK(cutter.rig().statistic("nand.cache_programs") > 20);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("two hundred power cuts with streams, a dynamic SLC cache and reads by planes") {
  MediaConfig config = tiny();
  config.nand.independent_plane_reads = true;
  config.nand.program_suspend = true;
  config.ftl.host_streams = 3;
  config.ftl.slc_dynamic_superblocks = 4;
  config.write_buffer.power_loss_protection = false;
  Cutter cutter(config, 5, true);
  cutter.run(200);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.rig().statistic("ftl.stream_units") > 1'000);
  CHECK(cutter.rig().statistic("ftl.folds") > 5);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("two hundred power cuts with data at home by address lose nothing") {
  MediaConfig config = tiny();
  config.ftl.allocation = Allocation::by_address;
  config.ftl.allocation_order = "CWDP";
  config.ftl.copyback = true;
  Cutter cutter(config, 6, true);
  cutter.run(200);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.lost() == 0);
  CHECK(cutter.rig().statistic("ftl.gc_runs") > 20);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("two hundred power cuts of a volatile drive that writes to idle dies, with parity") {
  MediaConfig config = tiny();
  config.ftl.allocation = Allocation::idle_die;
  config.ftl.parity = true;
  config.write_buffer.power_loss_protection = false;
  Cutter cutter(config, 7, true);
  cutter.run(200);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.rig().statistic("ftl.gc_runs") > 20);
  CHECK(cutter.rig().statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("a volatile drive without Flush loses data in a power cut") {
  MediaConfig config = tiny();
  config.write_buffer.power_loss_protection = false;
  Cutter cutter(config, 3, false);
  cutter.run(40);
  CHECK(cutter.wrong() == 0);
  CHECK(cutter.lost() > 0);
}

TEST_CASE("a state that is saved and loaded is the same drive, down to what is in its buffer") {
  MediaConfig config = tiny();
  config.ftl.prefill_percent = 80;
  config.ftl.precondition = Precondition::random;
  config.ftl.slc_superblocks = 3;
  config.ftl.host_streams = 3;
  Cutter cutter(config, 4, true);
  cutter.run(40);
  Rig& rig = cutter.rig();
  rig.write(17, 3, 4711);
  rig.scheduler.simulate(rig.scheduler.now() + 20us);
  rig.media->power_cut();
  const std::string file = rig.media->save();

  base::StatisticsRegistry statistics;
  auto copy = make_media(config, rig.scheduler, 77, statistics, "copy");
  copy->load(file, "file");
  auto& loaded = dynamic_cast<NandMedia&>(*copy);
  loaded.ftl().check_invariants();
  CHECK(copy->used_units() == rig.media->used_units());
  CHECK(copy->save() == file);
  copy->power_on();
  rig.media->power_on();
  auto& before = rig.read(0, 1024);
  std::swap(rig.media, copy);
  auto& after = rig.read(0, 1024);
  rig.run();
  for (std::size_t i = 0; i < 1024; ++i) {
    CHECK(Rig::version(before, i) == Rig::version(after, i));
  }
  CHECK(Rig::version(after, 18) == 4711);
  std::swap(rig.media, copy);
}

TEST_CASE("a damaged state is a user error wherever the damage is, never a wrong drive") {
  MediaConfig config = small_drive(512);
  config.keep_data = false;
  config.ftl.prefill_percent = 100;
  Rig rig(config);
  for (std::uint64_t i = 0; i < 300; ++i) rig.write(i * 7 % 500, 2);
  rig.run();
  rig.media->power_cut();
  const std::string good = rig.media->save();
  base::Random random(8, "damage");
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    switch (random.below(3)) {
      case 0:
        bad.resize(random.below(bad.size()));
        break;
      case 1:
        bad[random.below(bad.size())] ^= static_cast<char>(1 + random.below(255));
        break;
      default:
        bad.insert(random.below(bad.size()), 1, static_cast<char>(random.below(256)));
    }
    base::StatisticsRegistry statistics;
    const auto media = make_media(config, rig.scheduler, 1, statistics, "bad");
    bool refused = false;
    try {
      media->load(bad, "bad.state");
    } catch (const base::UserError& error) {
      refused = std::string(error.what()).starts_with("bad.state: ");
    }
    const bool right = refused || media->save() == good;
    CHECK(right);
  }
  MediaConfig other = small_drive(1024);
  base::StatisticsRegistry statistics;
  const auto media = make_media(other, rig.scheduler, 1, statistics, "other");
  CHECK_THROWS_AS(media->load(good, "x"), base::UserError);
}

// Numbers that a checksum does not guard: every one is changed in turn.
TEST_CASE("a state with a right checksum and wrong numbers is refused or is a sound drive") {
  MediaConfig config = small_drive(512);
  config.keep_data = false;
  config.ftl.prefill_percent = 50;
  Rig rig(config);
  for (std::uint64_t i = 0; i < 200; ++i) rig.write(i * 7 % 500, 2);
  rig.run();
  rig.media->power_cut();
  const std::string good = rig.media->save();
  StateReader reader(good, "good");
  const std::string payload = reader.rest();
  base::Random random(9, "numbers");
  int refused = 0;
  for (int i = 0; i < 600; ++i) {
    std::string bad = payload;
    const std::size_t at =
        i < 200 ? static_cast<std::size_t>(i) % bad.size() : random.below(bad.size());
    bad[at] = static_cast<char>((bad[at] & 0x80) | static_cast<char>(random.below(128)));
    StateWriter writer;
    writer.bytes(std::as_bytes(std::span(bad)));
    base::StatisticsRegistry statistics;
    const auto media = make_media(config, rig.scheduler, 1, statistics, "bad");
    try {
      media->load(writer.finish(), "bad.state");
      dynamic_cast<NandMedia&>(*media).ftl().check_invariants();
    } catch (const base::UserError&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
}

}  // namespace
}  // namespace nvmesim::models
