// Power states of a link by its registers: what the ports offer, what software enables, and what
// that does to an access after a pause.
#include "pcie/l1_substates.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::FullBench;

const RequesterId kRootPort = make_id(0, 0, 0);

// Both ends of the link know each other's registers.
struct PowerBench : FullBench {
  explicit PowerBench(AspmLimit limit, const LinkConfig& link = {},
                      const EndpointConfig& endpoint = {})
      : FullBench(1, link, endpoint) {
    root.ports[0].set_link(drives[0].link);
    options.aspm = limit;
  }
  Link& link() { return drives[0].link; }
  RequesterId id() const { return functions[0].id; }
  unsigned express(RequesterId of) { return find_capability(host, of, kCapabilityPciExpress); }
  unsigned substates(RequesterId of) {
    return find_extended_capability(host, of, kExtendedL1Substates);
  }
  std::uint32_t link_control(RequesterId of) {
    return host.read32(of, express(of) + 0x10) & 0xFFFF;
  }
  void set_link_control(RequesterId of, std::uint32_t value) {
    host.write32(of, express(of) + 0x10, value);
  }
  // A register read after a pause in which the link may sleep: how long it takes.
  Time read_after(Time pause) {
    host.sleep(pause);
    const Time before = scheduler.now();
    host.readl(bar());
    return scheduler.now() - before;
  }
};

}  // namespace

TEST_CASE("ports offer what the link supports, with its exit latencies") {
  LinkConfig config;
  config.power.supported = AspmLimit::l1;
  config.power.l0s_exit_ns = 700;
  config.power.l1_exit_ns = 9'000;
  PowerBench bench(AspmLimit::none, config);
  bench.run([&] {
    for (const RequesterId id : {kRootPort, bench.id()}) {
      const std::uint32_t able = bench.host.read32(id, bench.express(id) + 0x0C);
      CHECK((able >> 10 & 3) == 3);
      CHECK((able >> 12 & 7) == 4);  // 512 ns to 1 us
      CHECK((able >> 15 & 7) == 4);  // 8 to 16 us
      CHECK(bench.link_control(id) == 0);
      CHECK(bench.substates(id) == 0);
    }
    CHECK(bench.read_after(1ms) < 2us);
  });
  CHECK(bench.link().power().counters(LinkPowerState::kL1).entries == 0);
}

TEST_CASE("firmware enables L1 in both ports, and the first access after a pause waits for it") {
  PowerBench bench(AspmLimit::l1);
  bench.run([&] {
    CHECK(bench.link_control(kRootPort) == 3);
    CHECK(bench.link_control(bench.id()) == 3);
    const Time awake = bench.read_after(0ns);
    CHECK(bench.read_after(100us) == awake + 4us);
  });
  CHECK(bench.link().power().counters(LinkPowerState::kL1).entries == 1);
}

TEST_CASE("one port alone does not let the link into L1, nor the other direction into L0s") {
  PowerBench bench(AspmLimit::none);
  bench.run([&] {
    const Time awake = bench.read_after(0ns);
    bench.set_link_control(kRootPort, 2);
    CHECK(bench.read_after(100us) == awake);
    bench.set_link_control(bench.id(), 2);
    CHECK(bench.read_after(100us) == awake + 4us);
    bench.set_link_control(kRootPort, 0);
    bench.read_after(0ns);
    CHECK(bench.read_after(100us) == awake);
    bench.set_link_control(bench.id(), 1);  // its transmitter, upwards, alone
    bench.host.sleep(100us);
    CHECK(bench.link().power_state(Direction::kUp) == LinkPowerState::kL0s);
    CHECK(bench.link().power_state(Direction::kDown) == LinkPowerState::kL0);
    CHECK(bench.read_after(100us) == awake + 1us);
  });
}

TEST_CASE("the substates that software enables in both ports are entered") {
  PowerBench bench(AspmLimit::l1_2);
  bench.run([&] {
    const Time awake = bench.read_after(0ns);
    for (const RequesterId id : {kRootPort, bench.id()}) {
      const std::uint32_t able = bench.host.read32(id, bench.substates(id) + 4);
      CHECK((able & 0x1F) == 0x1F);
      CHECK((bench.host.read32(id, bench.substates(id) + 8) & 0xF) == 0xF);
    }
    CHECK(bench.read_after(1ms) == awake + 70us);
    const unsigned at = bench.substates(kRootPort) + 8;
    bench.host.write32(kRootPort, at, bench.host.read32(kRootPort, at) & ~0x5U);
    bench.read_after(0ns);
    CHECK(bench.read_after(1ms) == awake + 20us);
    bench.host.write32(kRootPort, at, 0);
    bench.read_after(0ns);
    CHECK(bench.read_after(1ms) == awake + 4us);
  });
}

TEST_CASE("a longer power-on time set by software makes the exit from L1.2 as long") {
  PowerBench bench(AspmLimit::l1_2);
  bench.run([&] {
    const Time awake = bench.read_after(0ns);
    bench.host.write32(bench.id(), bench.substates(bench.id()) + 0xC, 1 | 20 << 3);  // 200 us
    bench.read_after(0ns);
    CHECK(bench.read_after(1ms) == awake + 200us);
  });
}

namespace {

LinkPowerState state_with_tolerance(std::uint32_t ns) {
  EndpointConfig endpoint;
  endpoint.latency_tolerance_ns = ns;
  PowerBench bench(AspmLimit::l1_2, {}, endpoint);
  LinkPowerState state = LinkPowerState::kL0;
  bench.run([&] {
    const std::uint32_t threshold =
        bench.host.read32(kRootPort, bench.substates(kRootPort) + 8) >> 16;
    const std::uint64_t threshold_ns = std::uint64_t{threshold & 0x3FF} << 5 * (threshold >> 13);
    CHECK(threshold_ns > 70'000);
    CHECK(threshold_ns < 100'000);
    bench.host.sleep(1ms);
    state = bench.link().power_state(Direction::kUp);
  });
  return state;
}

}  // namespace

TEST_CASE("a function that tolerates less than L1.2 costs keeps the link in L1.1") {
  CHECK(state_with_tolerance(60'000) == LinkPowerState::kL1_1);
}

TEST_CASE("a function that tolerates more lets it go to L1.2") {
  CHECK(state_with_tolerance(200'000) == LinkPowerState::kL1_2);
}

TEST_CASE("in D3hot the link goes as deep as its PCI-PM enables say") {
  PowerBench bench(AspmLimit::l1_2);
  bench.run([&] {
    const unsigned power = bench.functions[0].pm_capability + 4;
    bench.host.write32(bench.id(), power, 3);
    bench.host.sleep(100us);
    CHECK(bench.link().power_state(Direction::kDown) == LinkPowerState::kL1_2);
    const unsigned at = bench.substates(kRootPort) + 8;
    bench.host.write32(kRootPort, at, bench.host.read32(kRootPort, at) & ~1U);  // PCI-PM L1.2
    CHECK(bench.link().power_state(Direction::kDown) == LinkPowerState::kL1_1);
  });
}

TEST_CASE("a function level reset keeps Link Control; a hot reset clears it and wakes the link") {
  PowerBench bench(AspmLimit::l1);
  bench.run([&] {
    const RequesterId id = bench.id();
    bench.host.write32(id, bench.express(id) + 8, 1U << 15);
    bench.host.sleep(100us);
    CHECK(bench.link_control(id) == 3);
    bench.host.sleep(100us);
    CHECK(bench.link().power_state(Direction::kUp) == LinkPowerState::kL1);
    const std::uint32_t control = bench.host.read32(kRootPort, 0x3C);
    bench.host.write32(kRootPort, 0x3C, control | 1U << 22);
    bench.host.write32(kRootPort, 0x3C, control);
    bench.host.sleep(100us);
    CHECK(bench.link().power_state(Direction::kUp) == LinkPowerState::kL0);
    CHECK(bench.link_control(id) == 0);
  });
}

TEST_CASE("a link that firmware is told to let sleep deeper than it can is refused") {
  LinkConfig config;
  config.power.aspm = AspmLimit::l1;
  config.power.supported = AspmLimit::l0s;
  CHECK_THROWS_AS(config.validate(), base::UserError);
}

}  // namespace nvmesim::pcie
