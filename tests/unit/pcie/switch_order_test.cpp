// Packets that pass a switch ahead of their request: the order of what is delivered, and that
// nothing stays behind of what was lost or cancelled on the way.
#include <fmt/format.h>

#include <cmath>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/switch_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::SwitchBench;

LinkConfig quick(LinkResolution resolution, std::uint32_t lanes) {
  LinkConfig config;
  config.training = {0, 5, 1, 1, 1, 1, 2};
  config.resolution = resolution;
  config.lanes = lanes;
  return config;
}

// Memory of one drive's writes, and of everybody's reads.
constexpr std::uint64_t region(std::size_t drive) {
  return 0x10000 * (drive + 1);
}
constexpr std::uint64_t kReads = 0x80000;

// What one drive does: writes and reads of random sizes at random times.
struct Traffic {
  test::Drive& drive;
  std::size_t number;
  base::Scheduler& scheduler;
  base::Random random;
  std::vector<std::uint64_t> written{};  // addresses, in order
  std::size_t reads = 0;
  std::uint32_t left = 1500;
  std::vector<unsigned char> data = std::vector<unsigned char>(4096, 0x5A);
  std::deque<std::vector<unsigned char>> into{};

  void go() {
    constexpr std::uint32_t kSizes[] = {8, 200, 256, 600, 1024, 4096};
    const std::uint32_t bytes = kSizes[random.below(std::size(kSizes))];
    const std::uint64_t offset = bytes == 4096 ? 0 : 4 * random.below((4096 - bytes) / 4);
    if (random.below(3) == 0) {
      into.emplace_back(bytes);
      drive.endpoint.dma_read(kReads + offset, bytes_of(into.back()), {},
                              drive.finished.callback());
      ++reads;
    } else {
      const std::uint64_t address = region(number) + 4096 * (written.size() % 16) + offset;
      written.push_back(address);
      const bool deferrable = bytes <= 256 && random.below(2) == 0;
      drive.endpoint.dma_write(address, std::as_bytes(std::span(data).first(bytes)), {},
                               {false, deferrable, false}, {});
    }
    if (--left == 0) return;
    scheduler.after<&Traffic::next>(Time(static_cast<std::int64_t>(random.below(1'200'000))), this);
  }
  void next(std::uint64_t) { go(); }
};

void check_order(std::uint64_t seed, const LinkConfig& up, const LinkConfig& down) {
  SwitchBench bench(3, up, down);
  std::deque<Traffic> traffic;
  bench.run([&] {
    for (std::size_t i = 0; i < 3; ++i) {
      traffic.push_back(
          {bench.drives[i], i, bench.scheduler, base::Random(seed, fmt::format("drive{}", i))});
    }
    for (Traffic& each : traffic) each.go();
    bench.host.sleep(20ms);
  });
  INFO("seed " << seed);
  for (const Traffic& each : traffic) {
    INFO("drive " << each.number);
    std::vector<std::uint64_t> arrived;
    for (const auto& access : bench.memory.accesses) {
      if (access.address >= region(each.number) && access.address < region(each.number + 1)) {
        arrived.push_back(access.address);
      }
    }
    CHECK(arrived == each.written);
    CHECK(each.drive.finished.statuses == std::vector<DmaStatus>(each.reads, DmaStatus::kOk));
  }
}

}  // namespace

TEST_CASE("writes of a drive behind a busy switch arrive in order, once each") {
  check_order(1, quick(LinkResolution::burst, 4), quick(LinkResolution::burst, 4));
}
TEST_CASE("the same with a narrow uplink, which is always behind") {
  check_order(2, quick(LinkResolution::burst, 1), quick(LinkResolution::burst, 4));
}
TEST_CASE("the same with narrow links, which the uplink runs ahead of") {
  check_order(3, quick(LinkResolution::burst, 4), quick(LinkResolution::burst, 1));
}
TEST_CASE("the same with each TLP simulated, and a narrow uplink") {
  check_order(4, quick(LinkResolution::tlp, 1), quick(LinkResolution::tlp, 4));
}
TEST_CASE("the same with each TLP simulated, and narrow links") {
  check_order(5, quick(LinkResolution::tlp, 4), quick(LinkResolution::tlp, 1));
}
TEST_CASE("the same with TLPs simulated on the uplink alone") {
  check_order(6, quick(LinkResolution::tlp, 2), quick(LinkResolution::burst, 4));
}
TEST_CASE("the same with TLPs simulated below the switch alone") {
  check_order(7, quick(LinkResolution::burst, 2), quick(LinkResolution::tlp, 4));
}
TEST_CASE("the same over an uplink with small buffers and wrong bits") {
  LinkConfig up = quick(LinkResolution::burst, 2);
  up.credits.posted_headers = 4;
  up.credits.posted_data = 32;
  up.credits.completion_data = 32;
  up.bit_errors_per_petabit = 1'000'000'000;
  check_order(8, up, quick(LinkResolution::burst, 4));
}

namespace {

// A function reset, a link that goes, a bus that is reset, in the middle of transfers.
void check_forgets(std::uint64_t seed, const LinkConfig& up, const LinkConfig& down,
                   double tolerance = 0) {
  SwitchBench bench(2, up, down);
  test::Drive& drive = bench.drives[0];
  base::Random random(seed, "trouble");
  std::vector<unsigned char> data(4096, 0x33);
  std::vector<unsigned char> into(4096);
  const auto alone = [&] {
    const Time before = bench.scheduler.now();
    const std::size_t ended = drive.finished.times.size();
    drive.endpoint.dma_read(kReads, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(50us);
    REQUIRE(drive.finished.times.size() == ended + 1);
    CHECK(drive.finished.statuses.back() == DmaStatus::kOk);
    return drive.finished.times.back() - before;
  };
  const auto bring_up = [&] {
    bench.functions = enumerate(bench.host, bench.root.config().window());
    for (const FunctionInfo& each : bench.functions) {
      bench.host.write32(each.id, 4, kCommandMemorySpace | kCommandBusMaster);
    }
    bench.host.sleep(100us);
  };
  bench.run([&] {
    bench.host.sleep(100us);
    const Time first = alone();
    for (int round = 0; round < 30; ++round) {
      for (int i = 0; i < 4; ++i) {
        drive.endpoint.dma_write(region(0) + 4096 * static_cast<unsigned>(i),
                                 std::as_bytes(std::span(data)), {}, {false, false, false}, {});
        drive.endpoint.dma_read(kReads, bytes_of(into), {}, {});
      }
      bench.host.sleep(Time(static_cast<std::int64_t>(random.below(4'000'000))));
      const RequesterId id = bench.functions[0].id;
      const auto what = random.below(3);
      if (what == 0) {
        const unsigned express = find_capability(bench.host, id, kCapabilityPciExpress);
        const std::uint32_t control = bench.host.read32(id, express + 8);
        bench.host.write32(id, express + 8, control | 1U << 15);
      } else if (what == 1) {
        drive.link.surprise_down();
      } else {
        bench.uplink.hot_reset();
      }
      bench.host.sleep(100us);
      bring_up();
      INFO("seed " << seed << ", round " << round << ", kind " << what);
      // Where TLPs are simulated, ACKs and ordered sets come when they come.
      const auto apart = static_cast<double>((alone() - first).count());
      CHECK(std::abs(apart) <= tolerance * static_cast<double>(first.count()));
    }
  });
}

}  // namespace

TEST_CASE("what was lost or cancelled before a switch leaves nothing on the wires behind it") {
  check_forgets(11, quick(LinkResolution::burst, 4), quick(LinkResolution::burst, 4));
}
TEST_CASE("the same behind a narrow uplink") {
  check_forgets(12, quick(LinkResolution::burst, 1), quick(LinkResolution::burst, 4));
}
TEST_CASE("the same where each TLP is simulated") {
  check_forgets(13, quick(LinkResolution::tlp, 1), quick(LinkResolution::tlp, 4), 0.01);
}

namespace {

LinkConfig small_buffers(LinkConfig config) {
  config.credits.posted_headers = 4;
  config.credits.posted_data = 32;
  config.credits.non_posted_headers = 2;
  config.credits.completion_headers = 4;
  config.credits.completion_data = 32;
  return config;
}

}  // namespace

TEST_CASE("the same over an uplink with small buffers") {
  check_forgets(14, small_buffers(quick(LinkResolution::burst, 2)), quick(LinkResolution::burst, 4),
                0.01);
}
TEST_CASE("the same with small buffers below the switch") {
  check_forgets(15, quick(LinkResolution::burst, 2), small_buffers(quick(LinkResolution::burst, 4)),
                0.01);
}
TEST_CASE("the same with small buffers everywhere") {
  check_forgets(16, small_buffers(quick(LinkResolution::burst, 4)),
                small_buffers(quick(LinkResolution::burst, 1)), 0.01);
}

namespace {

// The uplink goes at one moment after the other of several reads, the link below stays up: what was
// on its way there to receive buffers is cut short, and these are as empty afterwards as before.
void check_buffers_empty(const LinkConfig& up, const LinkConfig& down) {
  SwitchBench bench(1, up, down);
  test::Drive& drive = bench.drives[0];
  std::vector<unsigned char> into(4096);
  const auto alone = [&] {
    const Time before = bench.scheduler.now();
    const std::size_t ended = drive.finished.times.size();
    drive.endpoint.dma_read(kReads, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(50us);
    REQUIRE(drive.finished.times.size() == ended + 1);
    return drive.finished.times.back() - before;
  };
  bench.run([&] {
    bench.host.sleep(100us);
    const Time first = alone();
    for (int step = 0; step < 120; ++step) {
      for (const std::size_t bytes : {3000U, 4096U, 1234U}) {
        drive.endpoint.dma_read(kReads, bytes_of(into).first(bytes), {}, {});
      }
      bench.host.sleep(Time(step * 30'000));
      bench.uplink.hot_reset();
      bench.host.sleep(100us);
      bench.functions = enumerate(bench.host, bench.root.config().window());
      bench.host.write32(bench.functions[0].id, 4, kCommandMemorySpace | kCommandBusMaster);
      bench.host.sleep(100us);
      INFO("step " << step);
      const auto apart = static_cast<double>((alone() - first).count());
      CHECK(std::abs(apart) <= 0.01 * static_cast<double>(first.count()));
    }
  });
}

}  // namespace

TEST_CASE("what was cut short below a switch leaves its place in small buffers") {
  check_buffers_empty(quick(LinkResolution::burst, 4),
                      small_buffers(quick(LinkResolution::burst, 4)));
}

namespace {

// A peer's window is closed in the middle of a request of several packets, and opened again: the
// request goes up, and what went ahead of it to the peer is forgotten.
void check_moved_window(const LinkConfig& link, double tolerance = 0) {
  LinkConfig of_peer = link;
  of_peer.lanes = 1;  // so that what it is sent takes its wire long
  SwitchBench bench(2, link, of_peer, true, test::FullBench::root_config(1), {}, {link});
  test::Drive& drive = bench.drives[0];
  std::vector<unsigned char> data(4096, 0x33);
  std::vector<unsigned char> into(4096);
  unsigned refused = 0;
  unsigned taken = 0;
  bench.run([&] {
    const std::uint64_t peer = bench.functions[1].bars[0].address;
    ConfigSpace& port = bench.sw.ports[1].config_space();
    const std::uint32_t window = port.read(0x20, 4);
    const auto read = [&] {
      const Time before = bench.scheduler.now();
      drive.endpoint.dma_read(peer, bytes_of(into), {}, drive.finished.callback());
      bench.host.sleep(50us);
      REQUIRE(drive.finished.statuses.back() == DmaStatus::kOk);
      return drive.finished.times.back() - before;
    };
    read();
    const Time first = read();
    for (int step = 0; step < 80; ++step) {
      const std::size_t ended = drive.finished.statuses.size();
      if (step % 2 == 0) {
        drive.endpoint.dma_write(peer, std::as_bytes(std::span(data)), {}, {false, false, false},
                                 {});
      } else {
        drive.endpoint.dma_read(peer, bytes_of(into), {}, drive.finished.callback());
      }
      bench.host.sleep(Time(step * 25'000));
      port.write(0x20, 4, 0x0000'FFF0);
      bench.host.sleep(50us);
      port.write(0x20, 4, window);
      if (drive.finished.statuses.size() != ended) {
        ++(drive.finished.statuses.back() == DmaStatus::kOk ? taken : refused);
      }
      INFO("step " << step);
      const auto apart = static_cast<double>((read() - first).count());
      CHECK(std::abs(apart) <= tolerance * static_cast<double>(first.count()));
    }
  });
  CHECK(refused > 3);
  CHECK(taken > 3);
}

}  // namespace

TEST_CASE("a peer's window that moves in the middle of a request leaves nothing on its wire") {
  check_moved_window(quick(LinkResolution::burst, 4));
}
TEST_CASE("the same with each TLP simulated, and small buffers") {
  check_moved_window(small_buffers(quick(LinkResolution::tlp, 4)), 0.01);
}

}  // namespace nvmesim::pcie
