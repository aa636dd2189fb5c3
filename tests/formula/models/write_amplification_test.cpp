// Write amplification under uniform random writes against the known forms. Greedy collection of
// large superblocks and collection in the order of closing share the limit (Desnoyers 2012)
//   WA = alpha / (alpha + W(-alpha e^-alpha)), alpha = (physical - free and open) / logical.
// One write frontier, 4 KiB pages, superblocks of 256 pages.
#include <cmath>

#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// The principal branch of Lambert's W on (-1/e, 0), by Newton's method.
double lambert_w(double x) {
  double w = x;
  for (int i = 0; i < 500; ++i) w -= (w * std::exp(w) - x) / (std::exp(w) * (w + 1));
  return w;
}

double known_form(double alpha) {
  return alpha / (alpha + lambert_w(-alpha * std::exp(-alpha)));
}

MediaConfig one_frontier(std::uint32_t percent, const char* policy) {
  MediaConfig config;
  config.nand.channels = 1;
  config.nand.dies_per_channel = 1;
  config.nand.planes_per_die = 1;
  config.nand.page_bytes = 32768;  // eight 4 KiB pages at a time: fewer events, the same drive
  config.nand.pages_per_block = 32;
  config.nand.program_ns = {10'000};
  config.nand.erase_ns = 20'000;
  config.capacity_bytes = std::uint64_t{1000} * 256 * kUnitBytes;
  config.keep_data = false;
  config.ftl.over_provisioning_percent = percent;
  config.ftl.separate_streams = false;
  config.ftl.gc_policy = policy;
  config.ftl.gc_start_superblocks = 2;
  config.ftl.gc_stop_superblocks = 3;
  config.ftl.gc_window_stripes = 4;
  config.ftl.prefill_percent = 100;
  config.ftl.precondition = Precondition::random;
  config.write_buffer.bytes = 32 * kUnitBytes;
  config.write_buffer.per_unit_ns = 1;
  return config;
}

struct Measured {
  double ours = 0;
  double known = 0;
};

// Superblocks that hold nothing, times two: of the open one half is written, of a victim half
// moved.
std::uint64_t halves_kept(const Superblocks& blocks) {
  std::uint64_t halves = 0;
  for (std::uint32_t i = 0; i < blocks.count(); ++i) {
    const SuperblockState state = blocks[i].state;
    if (state == SuperblockState::kFree || state == SuperblockState::kErasing) halves += 2;
    if (state == SuperblockState::kOpen || state == SuperblockState::kCollecting) halves += 1;
  }
  return halves;
}

// Random writes to units [0, range): `settle` of them first, then `count` that are measured.
Measured run(Rig& rig, std::uint64_t range, std::uint64_t settle, std::uint64_t count) {
  base::Random random(17, "writes");
  std::uint64_t left = settle + count;
  std::uint64_t host = 0;
  std::uint64_t moved = 0;
  std::uint64_t half_kept = 0;
  std::uint64_t looks = 0;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (left == 0) return;
    if (--left == count) {
      host = rig.statistic("ftl.host_units");
      moved = rig.statistic("ftl.gc_units");
    }
    if (left < count && left % 256 == 0) {
      half_kept += halves_kept(rig.nand().ftl().superblocks());
      ++looks;
    }
    io.command.parts[0].unit = UnitId{random.below(range)};
    rig.start(io);
  };
  for (int i = 0; i < 16; ++i) rig.write(random.below(range)).then = more;
  rig.run();
  host = rig.statistic("ftl.host_units") - host;
  moved = rig.statistic("ftl.gc_units") - moved;
  rig.nand().ftl().check_invariants();
  const Geometry& shape = rig.nand().geometry();
  const double kept = static_cast<double>(half_kept) / static_cast<double>(looks) / 2;
  const double alpha =
      (shape.superblocks - kept) * shape.superblock_units / static_cast<double>(range);
  return {static_cast<double>(host + moved) / static_cast<double>(host), known_form(alpha)};
}

void check(std::uint32_t percent, const char* policy, std::uint64_t turns_percent = 100) {
  Rig rig(one_frontier(percent, policy), ConstructionOrder::kForward, 1s);
  const std::uint64_t units = rig.media->capacity_units();
  REQUIRE(rig.nand().geometry().superblocks >= 1000);
  const Measured result = run(rig, units, units * turns_percent / 300, units * turns_percent / 100);
  INFO("padding " << rig.statistic("ftl.padding_units") << " of " << rig.statistic("ftl.host_units")
                  << " + " << rig.statistic("ftl.gc_units") << ", runs "
                  << rig.statistic("ftl.gc_runs"));
  INFO(policy << ", over-provisioning " << percent << " %: ours " << result.ours << ", known "
              << result.known);
  CHECK(result.ours > result.known * 0.97);
  CHECK(result.ours < result.known * 1.03);
}

TEST_CASE("write amplification of greedy collection at 7 % over-provisioning") {
  check(7, "greedy");
}
TEST_CASE("write amplification of greedy collection at 12 % over-provisioning") {
  check(12, "greedy");
}
TEST_CASE("write amplification of greedy collection at 28 % over-provisioning") {
  check(28, "greedy");
}
TEST_CASE("write amplification of fifo collection at 7 % over-provisioning") {
  check(7, "fifo");
}
TEST_CASE("write amplification of fifo collection at 12 % over-provisioning") {
  check(12, "fifo");
}
TEST_CASE("write amplification of fifo collection at 28 % over-provisioning") {
  check(28, "fifo");
}

TEST_CASE("trim of half the drive lowers write amplification as the form says") {
  Rig rig(one_frontier(7, "greedy"), ConstructionOrder::kForward, 1s);
  const std::uint64_t units = rig.media->capacity_units();
  rig.command(MediaOp::kDeallocate, units / 2, units - units / 2);
  rig.run();
  const Measured result = run(rig, units / 2, units, units);
  INFO("ours " << result.ours << ", known " << result.known);
  CHECK(result.known < 1.3);
  CHECK(result.ours > result.known * 0.97);
  CHECK(result.ours < result.known * 1.03);
}

TEST_CASE("drawing ten or choosing in a window lies between fifo and greedy") {
  // One simulation per case: the bounds are the known form and what more it may cost.
  Rig rig(one_frontier(28, "d_choices"), ConstructionOrder::kForward, 1s);
  const std::uint64_t units = rig.media->capacity_units();
  const Measured result = run(rig, units, units / 2, units / 2);
  CHECK(result.ours > result.known * 0.97);
  CHECK(result.ours < result.known * 1.10);
}

}  // namespace
}  // namespace nvmesim::models
