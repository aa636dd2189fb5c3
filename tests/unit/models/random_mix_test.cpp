// Seeded random mixes on small drives with collection running: what is read is what was written,
// everything ends, and the FTL's books are right all along.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// Keeps several commands going on ranges that do not overlap, and a shadow of every sector.
class Mix {
 public:
  Mix(Rig& rig, std::uint64_t seed, std::uint64_t commands, std::uint64_t units)
      : rig_(rig), random_(seed, "mix"), left_(commands), shadow_(units * 8), busy_(units) {}

  void run() {
    for (int i = 0; i < 12; ++i) {
      auto& io = rig_.ios.emplace_back();
      io.then = [this](Rig::Io& done) { finished(done); };
      next(io);
    }
    rig_.run();
    CHECK(left_ == 0);
    CHECK(open_ == 0);
    rig_.nand().ftl().check_invariants();
    CHECK(rig_.nand().buffer().free_slots() == rig_.nand().buffer().slots());
    CHECK(rig_.nand().nand().jobs_open() == 0);
    check_everything();
  }
  std::uint64_t reads_checked() const { return checked_; }

 private:
  void next(Rig::Io& io) {
    if (left_ == 0) return;
    const std::uint64_t units = busy_.size();
    std::uint64_t first = 0;
    std::uint64_t bytes = 0;
    do {
      const bool long_one = random_.chance(1, 30);
      first = random_.below(units * 8) * 512;
      bytes = (1 + random_.below(long_one ? 300 : 24)) * 512;
      if (random_.chance(3, 5)) {  // whole units
        first = first / kUnitBytes * kUnitBytes;
        bytes = base::ceil_div(bytes, kUnitBytes) * kUnitBytes;
      }
      bytes = std::min(bytes, units * kUnitBytes - first);
    } while (overlaps(first, bytes));
    --left_;
    ++open_;
    const std::uint64_t draw = random_.below(100);
    const MediaOp op = draw < 55   ? MediaOp::kWrite
                       : draw < 85 ? MediaOp::kRead
                       : draw < 91 ? MediaOp::kDeallocate
                       : draw < 96 ? MediaOp::kWriteZeroes
                                   : MediaOp::kFlush;
    rig_.set(io, op, first, op == MediaOp::kFlush ? 0 : bytes, ++version_);
    io.command.force_unit_access = op == MediaOp::kWrite && random_.chance(1, 10);
    if (rig_.nand().ftl().lanes() > 1) {
      io.command.stream = static_cast<std::uint16_t>(random_.below(5));
    }
    mark(io, true);
    rig_.start(io);
  }

  bool overlaps(std::uint64_t first, std::uint64_t bytes) const {
    for (std::uint64_t unit = first / kUnitBytes; unit * kUnitBytes < first + bytes; ++unit) {
      if (busy_[unit]) return true;
    }
    return false;
  }
  void mark(const Rig::Io& io, bool busy) {
    const std::uint64_t end = io.command.first_byte + io.command.bytes;
    for (std::uint64_t unit = io.command.first_byte / kUnitBytes; unit * kUnitBytes < end; ++unit) {
      busy_[unit] = busy;
    }
  }

  void finished(Rig::Io& io) {
    --open_;
    const std::uint64_t first = io.command.first_byte / 512;
    const std::uint64_t end = first + io.command.bytes / 512;
    switch (io.command.op) {
      case MediaOp::kWrite:
        for (std::uint64_t i = first; i < end; ++i) shadow_[i] = io.version;
        break;
      case MediaOp::kWriteZeroes:
        for (std::uint64_t i = first; i < end; ++i) shadow_[i] = 0;
        break;
      case MediaOp::kDeallocate:
        for (std::uint64_t i = base::ceil_div(first, 8) * 8; i + 8 <= end; i += 8) {
          std::fill_n(shadow_.begin() + static_cast<std::ptrdiff_t>(i), 8, 0);
        }
        break;
      case MediaOp::kRead:
        check(io);
        break;
      case MediaOp::kFlush:
        break;
    }
    mark(io, false);
    if (left_ % 512 == 0) rig_.nand().ftl().check_invariants();
    next(io);
  }

  void check(const Rig::Io& io) {
    CHECK(io.status == MediaStatus::kOk);
    bool right = true;
    for (const MediaPart& part : io.command.parts) {
      for (std::uint32_t at = part.offset; at < part.offset + part.bytes; at += 512) {
        right = right && Rig::version_at(part, at) == shadow_[part.unit.value() * 8 + at / 512];
      }
    }
    CHECK(right);
    ++checked_;
  }
  void check_everything() {
    auto& all = rig_.make(MediaOp::kRead, 0, busy_.size() * kUnitBytes);
    rig_.start(all);
    rig_.run();
    check(all);
  }

  Rig& rig_;
  base::Random random_;
  std::uint64_t left_;
  std::vector<std::uint32_t> shadow_;
  std::vector<bool> busy_;
  std::uint32_t version_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t checked_ = 0;
};

void run_mix(const MediaConfig& config, std::uint64_t seed) {
  const std::uint64_t units = config.capacity_bytes / kUnitBytes;
  Rig rig(config);
  Mix mix(rig, seed, 12'000, units);
  mix.run();
  CHECK(mix.reads_checked() > 3'000);
  CHECK(rig.statistic("ftl.gc_runs") > 8);
  CHECK(rig.statistic("ftl.integrity_errors") == 0);
}

TEST_CASE("random mix on a protected buffer") {
  run_mix(small_drive(), 1);
}

TEST_CASE("random mix on a volatile buffer") {
  MediaConfig config = small_drive();
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 2);
}

TEST_CASE("random mix on a prefilled drive with little room") {
  MediaConfig config = small_drive(4000);
  config.ftl.prefill_percent = 100;
  config.ftl.over_provisioning_percent = 0;  // only what the FTL cannot do without
  config.ftl.gc_start_superblocks = 1;
  config.ftl.gc_stop_superblocks = 2;
  run_mix(config, 3);
}

TEST_CASE("random mix with other policies and a shape that is no power of two") {
  MediaConfig config = small_drive(3210);
  config.nand.channels = 3;
  config.nand.planes_per_die = 3;
  config.nand.page_bytes = 12288;
  config.nand.pages_per_block = 7;
  config.nand.die_policy = "fifo";
  config.nand.cache_read = false;
  config.ftl.gc_policy = "fifo";
  config.ftl.erase_parallel_dies = 1;
  run_mix(config, 4);
}

TEST_CASE("random mix with a tiny age limit, one stripe in motion and stripes beyond 64 units") {
  MediaConfig config = small_drive(6000);
  config.nand.planes_per_die = 9;
  config.nand.page_bytes = 32768;
  config.nand.pages_per_block = 4;
  config.nand.age_limit_us = 1;
  config.ftl.gc_window_stripes = 1;
  config.write_buffer.bytes = 200 * kUnitBytes;
  run_mix(config, 5);
}

TEST_CASE("random mix with parity, ways first and one shared open superblock") {
  MediaConfig config = small_drive(3000);
  config.nand.dies_per_channel = 3;
  config.ftl.parity = true;
  config.ftl.allocation_order = "WDPC";
  config.ftl.separate_streams = false;
  config.ftl.gc_policy = "cost_benefit";
  run_mix(config, 7);
}

TEST_CASE("random mix with one-shot programs of two passes, suspends and bit errors") {
  MediaConfig config = small_drive(6000);
  config.nand.one_shot = true;
  config.nand.pages_per_block = 18;
  config.nand.program_passes = 2;
  config.nand.program_suspend = true;
  config.nand.erase_suspend = true;
  config.reliability.bit_errors = true;
  config.reliability.rber_ppb = 9'000'000;
  config.ftl.gc_policy = "d_choices";
  config.ftl.gc_yields_to_reads = true;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 8);
}

TEST_CASE("random mix on a drive in its random steady state, programs and erases failing") {
  MediaConfig config = small_drive(4000);
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::random;
  config.ftl.gc_policy = "windowed";
  config.ftl.dynamic_wear_levelling = true;
  config.ftl.static_wear_gap = 3;
  config.reliability.program_fail_per_million = 10'000;
  config.reliability.erase_fail_per_million = 10'000;
  config.reliability.refresh_reads = 2'000;
  run_mix(config, 9);
}

TEST_CASE("random mix through an SLC cache on a full drive") {
  MediaConfig config = small_drive(4000);
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::random;
  config.ftl.slc_superblocks = 4;
  config.ftl.slc_fold_start = 2;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 10);
}

MediaConfig everything() {
  MediaConfig config = small_drive(4000);
  config.ftl.prefill_percent = 80;
  config.ftl.copyback = true;
  config.nand.cache_program = true;
  config.nand.command_on_bus = true;
  config.nand.channel_policy = "read_first";
  config.read_cache.bytes = 100 * kUnitBytes;
  config.read_cache.ahead_units = 16;
  config.dram.mb_per_s = 800;
  return config;
}

TEST_CASE("random mix with read cache, reading ahead, cache programs and copybacks") {
  run_mix(everything(), 11);
}

TEST_CASE("random mix with all that, suspends, bit errors and a volatile buffer") {
  MediaConfig config = everything();
  config.nand.program_suspend = true;
  config.nand.erase_suspend = true;
  config.nand.program_passes = 2;
  config.reliability.bit_errors = true;
  config.reliability.rber_ppb = 9'000'000;
  config.reliability.program_fail_per_million = 10'000;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 12);
}

TEST_CASE("random mix with streams, a dynamic SLC cache and reads by planes") {
  MediaConfig config = everything();
  config.nand.independent_plane_reads = true;
  config.nand.program_suspend = true;
  config.nand.erase_suspend = true;
  config.ftl.host_streams = 3;
  config.ftl.slc_dynamic_superblocks = 6;
  config.ftl.slc_superblocks = 1;
  config.reliability.bit_errors = true;
  config.reliability.rber_ppb = 9'000'000;
  config.reliability.program_fail_per_million = 10'000;
  run_mix(config, 13);
}

TEST_CASE("random mix of reads by planes and copybacks, first come, first served") {
  MediaConfig config = small_drive(4000);
  config.nand.independent_plane_reads = true;
  config.nand.cache_read = false;
  config.nand.die_policy = "fifo";
  config.ftl.copyback = true;
  config.ftl.parity = true;
  config.ftl.host_streams = 2;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 14);
}

TEST_CASE("random mix by address, moved within dies, with streams and failing programs") {
  MediaConfig config = small_drive(4000);
  config.ftl.allocation = Allocation::by_address;
  config.ftl.allocation_order = "CWPD";
  config.nand.dies_per_channel = 4;
  config.nand.dies_per_way = 2;
  config.ftl.copyback = true;
  config.ftl.host_streams = 2;
  config.reliability.program_fail_per_million = 10'000;
  config.write_buffer.bytes = 120 * kUnitBytes;
  run_mix(config, 15);
}

TEST_CASE("random mix by address, one shared open superblock, one-shot and a volatile buffer") {
  MediaConfig config = small_drive(6000);
  config.ftl.allocation = Allocation::by_address;
  config.ftl.separate_streams = false;
  config.nand.one_shot = true;
  config.nand.pages_per_block = 18;
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::sequential;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 16);
}

TEST_CASE("random mix to idle dies with parity, an SLC cache and copybacks") {
  MediaConfig config = everything();
  config.ftl.allocation = Allocation::idle_die;
  config.ftl.parity = true;
  config.ftl.slc_dynamic_superblocks = 4;
  config.ftl.host_streams = 2;
  config.reliability.program_fail_per_million = 10'000;
  run_mix(config, 17);
}

TEST_CASE("random mix dealt to all dies before the plane, parity, a volatile buffer") {
  MediaConfig config = everything();
  config.ftl.allocation_order = "CWDP";
  config.ftl.parity = true;
  config.write_buffer.power_loss_protection = false;
  run_mix(config, 18);
}

TEST_CASE("random mix to idle dies, dealt to channels first, with no room to spare") {
  MediaConfig config = small_drive(4000);
  config.ftl.allocation = Allocation::idle_die;
  config.ftl.allocation_order = "CPWD";
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::random;
  config.ftl.over_provisioning_percent = 0;
  config.ftl.gc_start_superblocks = 1;
  config.ftl.gc_stop_superblocks = 2;
  run_mix(config, 19);
}

TEST_CASE("the order in which channels are constructed changes nothing") {
  // Both drives in one simulation, each with its own host, must act alike at every instant.
  base::Scheduler scheduler("scheduler", base::kTimeZero);
  base::StatisticsRegistry statistics;
  struct Host : MediaClient {
    std::vector<std::int64_t> done;
    base::Scheduler* clock = nullptr;
    Media* media = nullptr;
    void media_ready(MediaPart& part) override {
      done.push_back(clock->now().count());
      if (part.command->op == MediaOp::kWrite) media->write_arrived(part);
    }
    void media_done(MediaCommand&, MediaStatus) override { done.push_back(-clock->now().count()); }
  } a, b;
  MediaConfig config = small_drive();
  config.nand.channels = 4;
  config.nand.dies_per_channel = 1;
  base::StatisticsRegistry first_statistics;
  auto first = make_media(config, scheduler, 1, first_statistics, "m", ConstructionOrder::kForward);
  auto second = make_media(config, scheduler, 1, statistics, "m", ConstructionOrder::kReverse);
  a.clock = b.clock = &scheduler;
  a.media = first.get();
  b.media = second.get();
  base::Random random(6, "order");
  std::deque<MediaCommand> commands;
  struct Start {
    Media* media;
    MediaCommand* command;
  };
  std::deque<Start> starts;
  for (int i = 0; i < 4'000; ++i) {
    const std::uint64_t unit = random.below(4'000);
    const MediaOp op = random.chance(2, 3) ? MediaOp::kWrite : MediaOp::kRead;
    const std::uint64_t parts = 1 + random.below(8);
    for (Host* client : {&a, &b}) {
      MediaCommand& command = commands.emplace_back();
      command.op = op;
      command.client = client;
      for (std::uint64_t k = 0; k < parts; ++k) {
        MediaPart part;
        part.unit = UnitId{unit + k};
        part.bytes = kUnitBytes;
        command.parts.push_back(part);
      }
      starts.push_back({client->media, &command});
      scheduler.at(std::chrono::microseconds(i * 40), base::Callback(
                                                          [](void* object, std::uint64_t) {
                                                            auto* start =
                                                                static_cast<Start*>(object);
                                                            start->media->start(*start->command);
                                                          },
                                                          &starts.back(), 0));
    }
  }
  scheduler.simulate();
  CHECK(a.done.size() > 8'000);
  CHECK(a.done == b.done);
  const auto of_first = first_statistics.statistics();
  const auto of_second = statistics.statistics();
  REQUIRE(of_first.size() == of_second.size());
  for (std::size_t i = 0; i < of_first.size(); ++i) {
    CHECK(of_first[i].name == of_second[i].name);
    CHECK(of_first[i].value() == of_second[i].value());
  }
  const auto busy_first = first_statistics.utilisations();
  const auto busy_second = statistics.utilisations();
  REQUIRE(busy_first.size() == busy_second.size());
  for (std::size_t i = 0; i < busy_first.size(); ++i) {
    CHECK(busy_first[i].name == busy_second[i].name);
    CHECK(busy_first[i].busy() == busy_second[i].busy());
  }
}

}  // namespace
}  // namespace nvmesim::models
