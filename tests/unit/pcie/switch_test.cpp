// Drives behind a switch: enumeration through bridges, routing, a shared uplink.
#include "pcie/switch.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/pcie/switch_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::link_of;
using test::SwitchBench;

// A stream of 4 KiB reads, so many open at a time.
struct Reader {
  Endpoint& endpoint;
  base::Scheduler& scheduler;
  std::vector<unsigned char> into = std::vector<unsigned char>(4096);
  std::uint64_t done = 0;
  Time until{0};
  void start() {
    endpoint.dma_read(0x10000, bytes_of(into), {}, base::Callback::of<&Reader::ended>(this));
  }
  void ended() {
    if (scheduler.now() >= until) return;
    ++done;
    start();
  }
};

}  // namespace

TEST_CASE("functions behind a switch are found, with buses and windows of their own") {
  SwitchBench bench(3);
  bench.run([&] {
    REQUIRE(bench.functions.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const FunctionInfo& function = bench.functions[i];
      CHECK(function.id == make_id(static_cast<unsigned>(3 + i), 0, 0));
      CHECK(function.bridges == std::vector<RequesterId>{make_id(0, 0, 0), make_id(1, 0, 0),
                                                         make_id(2, static_cast<unsigned>(i), 0)});
      CHECK(bench.drives[i].endpoint.id() == function.id);
      CHECK(function.max_payload_bytes == 256);
      const auto value = static_cast<std::uint32_t>(0x100 + i);
      bench.host.writel(function.bars[0].address + 0x1000, value);
      CHECK(bench.host.readl(function.bars[0].address + 0x14) == 0x0807'0605);
      REQUIRE(bench.drives[i].device.writes.size() == 1);
      CHECK(bench.drives[i].device.writes[0].data[0] == static_cast<std::byte>(i));
    }
    CHECK(bench.host.read32(make_id(2, 3, 0), 0) == ~0U);  // no such port
    CHECK(bench.host.read32(make_id(3, 1, 0), 0) == ~0U);  // a link has one end
    CHECK(bench.host.read32(make_id(1, 0, 0), 8) >> 8 == 0x060400);
    CHECK(bench.host.readl(bench.functions[2].bars[0].address + 0x8'0000) == ~0U);
  });
}

TEST_CASE("a register read through a switch takes both links and the switch twice") {
  SwitchBench bench(1);
  Time took{0};
  bench.run([&] {
    const Time before = bench.scheduler.now();
    bench.host.readl(bench.functions[0].bars[0].address);
    took = bench.scheduler.now() - before;
  });
  const auto pace = formula::tlp_pace(4, 4, 256);
  CHECK(took == 2 * (pace(20) + pace(24)) + 4 * Time(140ns) + 2 * Time(105ns) + Time(50ns));
}

TEST_CASE("data, interrupts and order pass a switch") {
  SwitchBench bench(2);
  auto& drive = bench.drives[1];
  std::vector<unsigned char> into(4096), from(4096, 0x3C);
  bench.run([&] {
    const FunctionInfo& function = bench.functions[1];
    for (std::size_t i = 0; i < 4096; ++i) {
      bench.memory.bytes[0x10000 + i] = static_cast<unsigned char>(i * 3);
    }
    const std::uint64_t entry = function.bars[0].address + function.msix.table_offset;
    bench.host.writel(entry, 0xFEE0'1000);
    bench.host.writel(entry + 8, 0x55);
    bench.host.writel(entry + 12, 0);
    bench.host.write32(function.id, function.msix.capability, 0x8000'0000);
    drive.endpoint.dma_read(0x10000, bytes_of(into), {}, drive.finished.callback());
    // As a device does: a completion entry when the data has left, and an interrupt behind it.
    struct Then {
      Endpoint& endpoint;
      void sent() {
        const std::array<std::byte, 16> completion{std::byte{9}};
        endpoint.dma_write(0x30000, completion, {}, {false, true, false}, {});
        endpoint.interrupt(VectorId(0));
      }
    } then{drive.endpoint};
    drive.endpoint.dma_write(0x20000, bytes_of(from), {}, {true, false, false},
                             base::Callback::of<&Then::sent>(&then));
    bench.host.sleep(50us);
    REQUIRE(bench.host.interrupts.size() == 1);
    CHECK(bench.host.interrupts[0].data == 0x55);
    drive.endpoint.dma_read(1 << 21, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(50us);
  });
  CHECK(drive.finished.statuses ==
        std::vector<DmaStatus>{DmaStatus::kOk, DmaStatus::kUnsupportedRequest});
  CHECK(bench.memory.bytes[0x20FFF] == 0x3C);
  CHECK(bench.memory.bytes[0x30000] == 9);
  Time written{0}, completed{0};
  for (const auto& access : bench.memory.accesses) {
    if (access.address == 0x20000) written = access.when;
    if (access.address == 0x30000) completed = access.when;
  }
  CHECK(written < completed);
  CHECK(completed <= bench.host.interrupts[0].when);
}

namespace {

// 4 KiB reads that two drives end in so much time, with 16 open in each; and how many a x4 link of
// one drive would let pass.
struct Ended {
  double drive[2];
  double one_link;
};
Ended read_for(SwitchBench& bench, Time span) {
  std::deque<Reader> readers;
  for (auto& drive : bench.drives) readers.push_back({drive.endpoint, bench.scheduler});
  bench.run([&] {
    bench.host.sleep(10us);
    for (Reader& reader : readers) {
      reader.until = bench.scheduler.now() + span;
      for (int i = 0; i < 16; ++i) reader.start();
    }
    bench.host.sleep(2 * span);
  });
  const Time each = formula::tlp_pace(4, 4, 256)(4096 + 16 * 20);
  return {{static_cast<double>(readers[0].done), static_cast<double>(readers[1].done)},
          static_cast<double>(span.count()) / static_cast<double>(each.count())};
}

}  // namespace

TEST_CASE("two drives behind a switch share the bandwidth of the uplink fairly") {
  SwitchBench bench(2);
  const Ended ended = read_for(bench, 2ms);
  CHECK(ended.drive[0] + ended.drive[1] == Approx(ended.one_link).epsilon(0.01));
  CHECK(ended.drive[0] == Approx(ended.drive[1]).epsilon(0.01));
}

TEST_CASE("a wider uplink gives each drive the bandwidth of its own link") {
  SwitchBench bench(2, link_of(16), link_of(4));
  const Ended ended = read_for(bench, 1ms);
  for (const double of_drive : ended.drive) {
    CHECK(of_drive == Approx(ended.one_link).epsilon(0.01));
  }
}

TEST_CASE("where the switch allows peer to peer, requests take the short way") {
  SwitchBench bench(2, link_of(4), link_of(4), true);
  auto& asking = bench.drives[0];
  std::vector<unsigned char> into(8);
  bench.run([&] {
    const std::uint64_t peer = bench.functions[1].bars[0].address;
    asking.endpoint.dma_read(peer + 0x14, bytes_of(into), {}, asking.finished.callback());
    bench.host.sleep(10us);
    const std::array<std::byte, 4> value{std::byte{0x77}};
    asking.endpoint.dma_write(peer + 0x1000, value, {}, {false, false, false}, {});
    bench.host.sleep(10us);
  });
  CHECK(asking.finished.statuses == std::vector<DmaStatus>{DmaStatus::kOk});
  CHECK(into[0] == 5);
  REQUIRE(bench.drives[1].device.writes.size() == 1);
  CHECK(bench.drives[1].device.writes[0].data[0] == std::byte{0x77});
  // Never over the uplink.
  CHECK(bench.uplink.counters(Direction::kUp, TrafficClass::kPosted).tlps == 0);
}

TEST_CASE("without peer to peer the root complex refuses what one drive asks of another") {
  SwitchBench bench(2);
  auto& asking = bench.drives[0];
  std::vector<unsigned char> into(8);
  bench.run([&] {
    const std::uint64_t peer = bench.functions[1].bars[0].address;
    asking.endpoint.dma_read(peer, bytes_of(into), {}, asking.finished.callback());
    bench.host.sleep(10us);
  });
  CHECK(asking.finished.statuses == std::vector<DmaStatus>{DmaStatus::kUnsupportedRequest});
}

TEST_CASE("pins are turned by the port of the switch, and end at the line that software reads") {
  SwitchBench bench(5);
  bench.run([&] {
    for (std::size_t i = 0; i < 5; ++i) {
      const unsigned line = bench.host.read32(bench.functions[i].id, 0x3C) & 0xFF;
      CHECK(line == i % 4);
      bench.drives[i].endpoint.interrupt(VectorId(0));
      bench.host.sleep(5us);
    }
    // Ports 0 and 4 share a line.
    CHECK(bench.host.pins ==
          std::vector<test::HostThread::Pin>{{0, true}, {1, true}, {2, true}, {3, true}});
    bench.drives[0].endpoint.interrupt_served(VectorId(0));
    bench.host.sleep(5us);
    CHECK(bench.host.pins.size() == 4);
    bench.drives[4].endpoint.interrupt_served(VectorId(0));
    bench.host.sleep(5us);
    CHECK(bench.host.pins.back() == test::HostThread::Pin{0, false});
  });
}

TEST_CASE("a reset of the bus above the switch resets everything behind it") {
  SwitchBench bench(2);
  bench.run([&] {
    const RequesterId root = make_id(0, 0, 0);
    const std::uint32_t control = bench.host.read32(root, 0x3C);
    bench.host.write32(root, 0x3C, control | 1U << 22);
    bench.host.write32(root, 0x3C, control);
    CHECK(bench.drives[0].device.resets == 1);
    CHECK(bench.drives[1].device.resets == 1);
    CHECK(bench.host.read32(bench.functions[0].id, 0) == ~0U);  // no bus numbers any more
    const auto again = enumerate(bench.host, bench.root.config().window());
    CHECK(again.size() == 2);
  });
}

TEST_CASE("a drive's slot behind a switch can be switched off alone") {
  SwitchBench bench(2);
  bench.run([&] {
    const RequesterId port = make_id(2, 0, 0);
    const unsigned slot = find_capability(bench.host, port, kCapabilityPciExpress) + 0x18;
    bench.host.write32(port, slot, 1U << 10);
    CHECK_FALSE(bench.drives[0].endpoint.powered());
    CHECK(bench.drives[1].endpoint.powered());
    CHECK(bench.host.readl(bench.functions[1].bars[0].address) == 0x0302'0100);
  });
}

TEST_CASE("a prefetchable BAR of 64 bits lies above 4 GiB, through all bridges") {
  EndpointConfig endpoint;
  endpoint.bar0_prefetchable = true;
  SwitchBench bench(2, link_of(4), link_of(4), false, test::FullBench::root_config(1), endpoint);
  bench.run([&] {
    for (const FunctionInfo& function : bench.functions) {
      CHECK(function.bars[0].prefetchable);
      CHECK(function.bars[0].address >= bench.root.config().mmio_high_base);
      CHECK(bench.host.readl(function.bars[0].address) == 0x0302'0100);
    }
    CHECK(bench.functions[0].bars[0].address != bench.functions[1].bars[0].address);
  });
}

TEST_CASE("a 32-bit BAR lies below 4 GiB, prefetchable or not") {
  EndpointConfig endpoint;
  endpoint.bar0_prefetchable = true;
  endpoint.bar0_64bit = false;
  test::FullBench bench(1, {}, endpoint);
  bench.run([&] {
    CHECK_FALSE(bench.functions[0].bars[0].is_64bit);
    CHECK(bench.bar() < 1ULL << 32);
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
  });
  CHECK(bench.host.finished);
}

}  // namespace nvmesim::pcie
