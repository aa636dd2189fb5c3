// Write amplification under uniform random writes against the known form for greedy collection:
// WA = alpha / (alpha + W(-alpha e^-alpha)), alpha = (physical - free and open) / logical.
#include <cmath>

#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// The principal branch of Lambert's W on (-1/e, 0), by Newton's method.
double lambert_w(double x) {
  double w = x;
  for (int i = 0; i < 200; ++i) w -= (w * std::exp(w) - x) / (std::exp(w) * (w + 1));
  return w;
}

// Writes one unit at a time at random until the drive is `turns` times overwritten.
double measured(std::uint32_t percent, const char* policy, double& alpha) {
  MediaConfig config;
  config.nand.channels = 2;
  config.nand.dies_per_channel = 1;
  config.nand.planes_per_die = 2;
  config.nand.page_bytes = 8192;
  config.nand.pages_per_block = 64;  // superblocks of 512 units
  config.nand.program_ns = 10'000;
  config.nand.erase_ns = 20'000;
  const std::uint64_t units = 400 * 512;
  config.capacity_bytes = units * kUnitBytes;
  config.keep_data = false;
  config.ftl.over_provisioning_percent = percent;
  config.ftl.gc_policy = policy;
  config.ftl.gc_start_superblocks = 2;
  config.ftl.gc_stop_superblocks = 3;
  config.ftl.prefill_percent = 100;
  config.write_buffer.bytes = 32 * kUnitBytes;
  config.write_buffer.per_unit_ns = 1;
  Rig rig(config, ConstructionOrder::kForward, 1s);
  base::Random random(17, "writes");
  std::uint64_t left = units * 6;
  std::uint64_t host = 0;
  std::uint64_t moved = 0;
  std::function<void(Rig::Io&)> more = [&](Rig::Io& io) {
    if (left == 0) return;
    if (--left == units * 3) {
      host = rig.statistic("ftl.host_units");
      moved = rig.statistic("ftl.gc_units");
    }
    io.command.parts[0].unit = UnitId{random.below(units)};
    rig.start(io);
  };
  for (int i = 0; i < 16; ++i) rig.write(random.below(units)).then = more;
  rig.run();
  host = rig.statistic("ftl.host_units") - host;
  moved = rig.statistic("ftl.gc_units") - moved;
  rig.nand().ftl().check_invariants();
  const auto& shape = rig.nand().geometry();
  const double used = shape.superblocks - 3.0 - 1.0;  // kept free; two open, half written
  alpha = used * shape.superblock_units / static_cast<double>(units);
  return static_cast<double>(host + moved) / static_cast<double>(host);
}

void check_greedy(std::uint32_t percent) {
  double alpha = 0;
  const double ours = measured(percent, "greedy", alpha);
  const double known = alpha / (alpha + lambert_w(-alpha * std::exp(-alpha)));
  INFO("over-provisioning " << percent << " %: ours " << ours << ", known " << known);
  CHECK(ours > known * 0.9);
  CHECK(ours < known * 1.1);
}

TEST_CASE("write amplification of greedy collection at 12 % over-provisioning") {
  check_greedy(12);
}
TEST_CASE("write amplification of greedy collection at 28 % over-provisioning") {
  check_greedy(28);
}

}  // namespace
}  // namespace nvmesim::models
