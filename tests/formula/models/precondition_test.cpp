// The steady state in closed form against a drive that was really written full and then over at
// random: how many valid units superblocks have, how much is free, what writes cost from there on.
#include <unistd.h>
#include <algorithm>
#include <fstream>

#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

MediaConfig drive(std::uint32_t fill, std::uint32_t over_provisioning) {
  MediaConfig config;
  config.nand.channels = 2;
  config.nand.dies_per_channel = 2;
  config.nand.planes_per_die = 2;
  config.nand.page_bytes = 16384;
  config.nand.pages_per_block = 16;  // superblocks of 512 units
  config.nand.program_ns = {20'000};
  config.nand.erase_ns = 50'000;
  config.capacity_bytes = std::uint64_t{300} * 512 * kUnitBytes;
  config.keep_data = false;
  config.ftl.over_provisioning_percent = over_provisioning;
  config.ftl.gc_start_superblocks = 2;
  config.ftl.gc_stop_superblocks = 3;
  config.ftl.prefill_percent = fill;
  config.write_buffer.bytes = 64 * kUnitBytes;
  config.write_buffer.per_unit_ns = 1;
  return config;
}

class Writer {
 public:
  Writer(Rig& rig, std::uint64_t units) : rig_(rig), units_(units) {}
  // Random writes below `units`; returns their write amplification.
  double random(std::uint64_t count) {
    const std::uint64_t host = rig_.statistic("ftl.host_units");
    const std::uint64_t moved = rig_.statistic("ftl.gc_units");
    left_ = count;
    for (int i = 0; i < 16; ++i) {
      auto& io = rig_.write(random_.below(units_));
      io.then = [this](Rig::Io& done) {
        if (left_ == 0) return;
        --left_;
        done.command.parts[0].unit = UnitId{random_.below(units_)};
        rig_.start(done);
      };
    }
    rig_.run();
    const double written = static_cast<double>(rig_.statistic("ftl.host_units") - host);
    return (written + static_cast<double>(rig_.statistic("ftl.gc_units") - moved)) / written;
  }

 private:
  Rig& rig_;
  std::uint64_t units_;
  std::uint64_t left_ = 0;
  base::Random random_{3, "writer"};
};

// Valid units of the closed superblocks, fewest first, as shares at ten quantiles.
std::vector<double> quantiles(const Ftl& ftl, const Geometry& shape) {
  std::vector<std::uint32_t> valid;
  for (std::uint32_t i = 0; i < ftl.superblocks().count(); ++i) {
    if (ftl.superblocks()[i].state == SuperblockState::kClosed) {
      valid.push_back(ftl.superblocks()[i].valid);
    }
  }
  std::sort(valid.begin(), valid.end());
  std::vector<double> shares;
  for (std::size_t i = 0; i < 10; ++i) {
    shares.push_back(static_cast<double>(valid[valid.size() * (2 * i + 1) / 20]) /
                     shape.superblock_units);
  }
  return shares;
}

void compare(std::uint32_t fill, std::uint32_t over_provisioning) {
  // Both drives in one simulation: one written, one made.
  MediaConfig config = drive(fill, over_provisioning);
  Rig written(config, ConstructionOrder::kForward, 1s);
  const std::uint64_t units = written.media->capacity_units() * fill / 100;
  Writer writer(written, units);
  writer.random(units * 5);
  const double written_amplification = writer.random(units * 2);
  const std::vector<double> real = quantiles(written.nand().ftl(), written.nand().geometry());

  config.ftl.precondition = Precondition::random;
  base::StatisticsRegistry statistics;
  const auto media = make_media(config, written.scheduler, 9, statistics, "made");
  const auto& made = dynamic_cast<NandMedia&>(*media);
  made.ftl().check_invariants();
  CHECK(made.used_units() == units);
  const std::vector<double> closed_form = quantiles(made.ftl(), made.geometry());
  for (std::size_t i = 0; i < real.size(); ++i) {
    INFO("fill " << fill << " %, quantile " << i << ": written " << real[i] << ", made "
                 << closed_form[i]);
    CHECK(closed_form[i] > real[i] - 0.03);
    CHECK(closed_form[i] < real[i] + 0.03);
  }
  const double t = static_cast<double>(InitialLayout::lifetime_q32(
                       (made.geometry().superblocks - config.ftl.gc_stop_superblocks) *
                           std::uint64_t{made.geometry().data_units},
                       units)) /
                   4294967296.0;
  const double alpha = (made.geometry().superblocks - config.ftl.gc_stop_superblocks) *
                       static_cast<double>(made.geometry().data_units) / static_cast<double>(units);
  INFO("write amplification: written " << written_amplification << ", form " << alpha / t);
  CHECK(alpha / t > written_amplification * 0.97);
  CHECK(alpha / t < written_amplification * 1.03);
}

TEST_CASE("a drive made in its random steady state is like one that was written: 28 % spare") {
  compare(100, 28);
}
TEST_CASE("a drive made in its random steady state is like one that was written: 14 % spare") {
  compare(100, 14);
}
TEST_CASE("a drive made in its random steady state is like one that was written: filled to 80 %") {
  compare(80, 12);
}

void compare_early_with_late(std::uint32_t over_provisioning) {
  MediaConfig config = drive(100, over_provisioning);
  config.ftl.precondition = Precondition::random;
  Rig rig(config, ConstructionOrder::kForward, 1s);
  const std::uint64_t units = rig.media->capacity_units();
  Writer writer(rig, units);
  writer.random(units / 20);  // the first free superblocks are used up
  const double early = writer.random(units / 2);
  writer.random(units * 3);
  const double late = writer.random(units);
  INFO("early " << early << ", late " << late);
  CHECK(early > late * 0.97);
  CHECK(early < late * 1.03);
  rig.nand().ftl().check_invariants();
}
TEST_CASE("writes to a drive made in its steady state cost from the start what they cost later") {
  compare_early_with_late(28);
}
TEST_CASE("the same at the over-provisioning of p5510") {
  compare_early_with_late(14);
}

TEST_CASE("a drive made by sequential overwriting has nothing to move") {
  MediaConfig config = drive(90, 12);
  config.ftl.precondition = Precondition::sequential;
  Rig rig(config, ConstructionOrder::kForward, 1s);
  rig.nand().ftl().check_invariants();
  const std::uint64_t units = rig.media->capacity_units() * 9 / 10;
  CHECK(rig.media->used_units() == units);
  std::uint64_t next = 0;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (next >= units) return;
    io.command.parts[0].unit = UnitId{next++};
    rig.start(io);
  };
  for (int i = 0; i < 16; ++i) rig.write(next++).then = more;
  rig.run();
  CHECK(rig.statistic("ftl.gc_runs") > 50);
  CHECK(rig.statistic("ftl.gc_units") < units / 100);
  rig.nand().ftl().check_invariants();
}

std::uint64_t resident() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t pages = 0;
  file >> total >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_CASE("a drive of 8 TB in its random steady state takes less than 500 MB, also when written") {
  MediaConfig config;
  config.capacity_bytes = 8'000'000'000'000;
  config.keep_data = false;
  config.nand.channels = 16;
  config.nand.dies_per_channel = 8;
  config.ftl.prefill_percent = 90;
  config.ftl.precondition = Precondition::random;
  const std::uint64_t before = resident();
  Rig rig(config, ConstructionOrder::kForward, 1s);
  CHECK(rig.media->used_units() == rig.media->capacity_units() * 9 / 10);
  Writer writer(rig, rig.media->used_units());
  writer.random(50'000);
  auto& read = rig.read(1'000'000'000);
  rig.run();
  CHECK(read.status == MediaStatus::kOk);
  CHECK(read.done - read.started > 40us);
  CHECK(rig.statistic("ftl.integrity_errors") == 0);
  CHECK(resident() - before < 500'000'000);
}

TEST_CASE("both directions of the mapping take less than ten bytes for 4 KiB written") {
  MediaConfig config;
  config.capacity_bytes = 24ull << 30;
  config.keep_data = false;
  config.nand.channels = 4;
  config.nand.dies_per_channel = 2;
  config.nand.pages_per_block = 256;
  config.ftl.over_provisioning_percent = 20;
  config.write_buffer.bytes = 256 * kUnitBytes;
  Rig rig(config, ConstructionOrder::kForward, 1s);
  constexpr std::uint64_t kAtOnce = 64;
  constexpr std::uint64_t kHugePages = 4 << 20;  // memory comes and goes by 2 MiB
  std::uint64_t next = 0;
  const auto write_up_to = [&](std::uint64_t end) {
    rig.write(next, kAtOnce).then = [&, end](Rig::Io& io) {
      next += kAtOnce;
      if (next >= end) return;
      rig.set(io, MediaOp::kWrite, next * kUnitBytes, kAtOnce * kUnitBytes, 1);
      rig.start(io);
    };
    rig.run();
  };
  write_up_to(rig.media->capacity_units() / 8);  // all that is there once is there now
  const std::uint64_t before = resident();
  const std::uint64_t from = next;
  write_up_to(rig.media->capacity_units());
  const std::uint64_t grown = resident() - before;
  INFO(grown << " bytes for " << next - from << " units");
  CHECK(grown < (next - from) * 10 + kHugePages);
  CHECK(grown + kHugePages > (next - from) * 8);  // nothing was there already
}

}  // namespace
}  // namespace nvmesim::models
