// Training, link down and up, recovery, power states.
#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

struct Watch final : LinkListener {
  base::Scheduler& scheduler;
  std::vector<LinkState> states;
  std::vector<LinkDownCause> downs;
  std::vector<Time> went_down, came_up;
  std::size_t back_before_down = 0;
  LinkBench& bench;
  explicit Watch(LinkBench& the) : scheduler(the.scheduler), bench(the) {
    the.link.add_listener(*this);
  }
  void link_state(LinkState state) override { states.push_back(state); }
  void link_down(LinkDownCause cause) override {
    downs.push_back(cause);
    went_down.push_back(scheduler.now());
    back_before_down = bench.endpoint.responses.size();
  }
  void link_up() override { came_up.push_back(scheduler.now()); }
};

struct StateBench : LinkBench {
  Watch watch{*this};
  using LinkBench::LinkBench;
};

LinkConfig with_tlps(LinkConfig config = {}) {
  config.resolution = LinkResolution::tlp;
  return config;
}

using States = std::vector<LinkState>;

// Detect, Polling, Configuration, Recovery with equalization.
constexpr Time kTraining = Time(12'000us) + 66us + 20us + 10us + 5'000us;

}  // namespace

TEST_CASE("a link is up from the start unless it has to train") {
  StateBench bench;
  bench.run();
  CHECK(bench.link.up());
  CHECK(bench.link.state() == LinkState::kL0);
  CHECK(bench.watch.states.empty());
}

TEST_CASE("initial training passes the states and ends when configured") {
  LinkConfig config;
  config.training.initial_us = 100'000;
  StateBench bench(config);
  bench.script.at(50ms, [&] {
    CHECK_FALSE(bench.link.up());
    CHECK(bench.link.state() == LinkState::kDetect);
    bench.root.read(0x100, 4);
    bench.root.write(0x200, 4);
  });
  bench.script.at(101ms, [&] { bench.root.write(0x300, 4); });
  bench.run();
  CHECK(bench.watch.states == States{LinkState::kPolling, LinkState::kConfiguration,
                                     LinkState::kRecovery, LinkState::kL0});
  CHECK(bench.watch.came_up == std::vector<Time>{Time(100ms)});
  CHECK(bench.device.order() == std::vector<std::uint64_t>{0x300});
  REQUIRE(bench.root.responses.size() == 3);
  CHECK(bench.root.response_to(0x100) == Time(50ms));
  CHECK(bench.root.statuses[0] == kStatusUnsupportedRequest);
  CHECK(bench.link.generation() == 4);
}

TEST_CASE("a link of 2.5 GT/s needs no recovery to reach L0") {
  LinkConfig config;
  config.generation = 1;
  config.training.initial_us = 86;
  StateBench bench(config);
  bench.run();
  CHECK(bench.watch.states ==
        States{LinkState::kPolling, LinkState::kConfiguration, LinkState::kL0});
  CHECK(bench.watch.came_up == std::vector<Time>{Time(86us)});
}

namespace {

// What is in flight when the link goes down: everything sent comes back once, nothing of it
// arrives, and what had arrived has arrived.
void check_down_in_flight(const LinkConfig& config) {
  StateBench bench(config);
  bench.memory.latency = 10us;  // one read is with the memory
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 64);      // arrives before
    bench.endpoint.read(kHigh + 64, 64);  // is being answered
  });
  bench.script.at(1us, [&] {
    bench.endpoint.write(kHigh + 128, 131072);                // on the wire
    bench.endpoint.write(kHigh + 192, 65536, test::relaxed);  // held behind it
    bench.endpoint.read(kHigh + 256, 4096);
    bench.endpoint.write(kHigh + 320, 16, test::deferrable);
    bench.root.read(0x100, 4);
  });
  bench.script.at(Time(1us) + 60ns, [&] { bench.link.surprise_down(); });
  bench.script.at(2us, [&] {
    bench.endpoint.read(kHigh + 384, 64);
    bench.endpoint.write(kHigh + 448, 4096);
  });
  bench.script.at(30ms, [&] { bench.endpoint.read(kHigh + 512, 64); });
  bench.run();
  CHECK(bench.watch.downs == std::vector<LinkDownCause>{LinkDownCause::kSurprise});
  CHECK(bench.watch.came_up == std::vector<Time>{Time(1us) + 60ns + kTraining});
  CHECK(bench.watch.back_before_down <= 1);
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh, kHigh + 64, kHigh + 512});
  CHECK(bench.device.order().empty());
  CHECK(bench.endpoint.responses.size() == 9);
  CHECK(bench.root.responses.size() == 1);
  CHECK(bench.endpoint.pool.in_use() == 0);
  CHECK(bench.root.pool.in_use() == 0);
  for (std::size_t i = 0; i < bench.endpoint.responses.size(); ++i) {
    const std::uint64_t address = bench.endpoint.responses[i].address;
    const bool read = address == kHigh + 64 || address == kHigh + 256 || address == kHigh + 384;
    if (read) CHECK(bench.endpoint.statuses[i] == kStatusUnsupportedRequest);
  }
  CHECK(bench.endpoint.statuses.back() == tlm::TLM_OK_RESPONSE);
  CHECK(bench.endpoint.response_to(kHigh + 384) == Time(2us));
}

}  // namespace

TEST_CASE("a burst link that goes down loses what is in flight and gives it back") {
  check_down_in_flight({});
}

TEST_CASE("a link of TLPs that goes down loses what is in flight and gives it back") {
  check_down_in_flight(with_tlps());
}

TEST_CASE("requests that a dead link has lost stay unanswered if so configured") {
  LinkConfig config;
  config.lost_requests = LostRequests::unanswered;
  StateBench bench(config);
  bench.script.at(0us, [&] {
    bench.link.disable();
    bench.endpoint.read(kHigh, 64);
    bench.endpoint.write(kHigh + 64, 64);
  });
  bench.run();
  CHECK(bench.endpoint.responses.size() == 1);
  CHECK(bench.link.state() == LinkState::kDisabled);
}

TEST_CASE("a disabled link stays down until it is enabled, then trains") {
  StateBench bench;
  bench.script.at(1ms, [&] { bench.link.disable(); });
  bench.script.at(50ms, [&] {
    CHECK(bench.link.state() == LinkState::kDisabled);
    bench.link.hot_reset();  // nobody hears it
    bench.link.retrain();
    bench.link.enable();
  });
  bench.run();
  CHECK(bench.watch.downs == std::vector<LinkDownCause>{LinkDownCause::kDisabled});
  CHECK(bench.watch.came_up == std::vector<Time>{Time(50ms) + kTraining});
}

TEST_CASE("a hot reset takes the link down and through training") {
  StateBench bench;
  bench.script.at(1ms, [&] { bench.link.hot_reset(); });
  bench.run();
  CHECK(bench.watch.states == States{LinkState::kHotReset, LinkState::kDetect, LinkState::kPolling,
                                     LinkState::kConfiguration, LinkState::kRecovery,
                                     LinkState::kL0});
  CHECK(bench.watch.downs == std::vector<LinkDownCause>{LinkDownCause::kHotReset});
  CHECK(bench.watch.came_up == std::vector<Time>{Time(1ms) + 2ms + kTraining});
}

namespace {

// Traffic all the while; speed 4 to 1, width 4 to 1, and back. Nothing is lost or reordered.
void check_retrain(const LinkConfig& config) {
  StateBench bench(config);
  for (std::uint64_t i = 0; i < 400; ++i) {
    bench.script.at(Time(i * 250ns),
                    [&bench, i] { bench.endpoint.write(kHigh + 64 * i, i % 7 == 0 ? 2000 : 100); });
  }
  bench.script.at(20us, [&] { bench.link.retrain(1, 1); });
  bench.script.at(90us, [&] {
    CHECK(bench.link.generation() == 1);
    CHECK(bench.link.lanes() == 1);
  });
  bench.script.at(1ms, [&] { bench.endpoint.write(kHigh + 64 * 1000, 256); });
  bench.script.at(2ms, [&] { bench.link.retrain(9, 16); });  // cut off at what is built
  bench.script.at(20ms, [&] {
    CHECK(bench.link.generation() == 4);
    CHECK(bench.link.lanes() == 4);
    bench.endpoint.write(kHigh + 64 * 1001, 256);
  });
  bench.run();
  CHECK(bench.watch.downs.empty());
  const auto order = bench.memory.order();
  REQUIRE(order.size() == 402);
  for (std::uint64_t i = 0; i < 400; ++i) CHECK(order[i] == kHigh + 64 * i);
  // Recovery of 10 us and configuration of 20 us for the width: nothing moves meanwhile.
  for (const auto& each : bench.memory.seen) {
    CHECK_FALSE((each.when > Time(23us) && each.when < Time(50us)));
  }
  const bool tlps = config.resolution == LinkResolution::tlp;
  const base::Pace slow = tlps ? formula::raw_pace(1, 1) : formula::tlp_pace(1, 1, 256);
  const base::Pace fast = tlps ? formula::raw_pace(4, 4) : bench.pace();
  CHECK(bench.memory.seen_at(kHigh + 64 * 1000) == Time(1ms) + slow(280) + bench.delay());
  CHECK(bench.memory.seen_at(kHigh + 64 * 1001) == Time(20ms) + fast(280) + bench.delay());
}

}  // namespace

TEST_CASE("a burst link changes speed and width under traffic, and loses nothing") {
  check_retrain({});
}

TEST_CASE("a link of TLPs changes speed and width under traffic, and loses nothing") {
  check_retrain(with_tlps());
}

TEST_CASE("a link that goes down in recovery still comes back") {
  StateBench bench;
  bench.script.at(1us, [&] {
    bench.link.retrain(2, 4);
    bench.endpoint.write(kHigh, 64);
  });
  bench.script.at(5us, [&] { bench.link.hot_reset(); });
  bench.script.at(50ms, [&] { bench.endpoint.write(kHigh + 64, 64); });
  bench.run();
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh + 64});
  CHECK(bench.endpoint.responses.size() == 2);
  CHECK(bench.link.generation() == 2);
}

namespace {

Time one_write(StateBench& bench, std::uint64_t address, Time at) {
  bench.script.at(at, [&bench, address] { bench.endpoint.write(address, 64); });
  return at + bench.pace()(88) + bench.delay();
}

}  // namespace

TEST_CASE("an idle direction sleeps in L0s, and traffic wakes it for its exit latency") {
  LinkConfig config;
  config.power.aspm = AspmLimit::l0s;
  StateBench bench(config);
  const Time first = one_write(bench, kHigh, 6us);
  const Time second = one_write(bench, kHigh + 64, 12us);           // not idle for 7 us
  const Time third = one_write(bench, kHigh + 128, 30us);           // asleep
  const Time fourth = one_write(bench, kHigh + 192, 30us + 500ns);  // waits for the same wake-up
  bench.script.at(29us,
                  [&] { CHECK(bench.link.power_state(Direction::kUp) == LinkPowerState::kL0s); });
  bench.script.at(33us, [&] {
    CHECK(bench.link.power_state(Direction::kUp) == LinkPowerState::kL0);
    CHECK(bench.link.power_state(Direction::kDown) == LinkPowerState::kL0s);
  });
  bench.run();
  CHECK(bench.memory.seen_at(kHigh) == first);
  CHECK(bench.memory.seen_at(kHigh + 64) == second);
  CHECK(bench.memory.seen_at(kHigh + 128) == third + 1us);
  CHECK(bench.memory.seen_at(kHigh + 192) == third + 1us + bench.pace()(176) - bench.pace()(88));
  CHECK(fourth < bench.memory.seen_at(kHigh + 192));
  const auto& counters = bench.link.power().counters(LinkPowerState::kL0s);
  CHECK(counters.entries == 1);
  const Time slept = Time(30us) - (Time(12us) + bench.pace()(88)) - 7us;
  CHECK(counters.residency_ps == static_cast<std::uint64_t>(slept.count()));
}

TEST_CASE("an idle link goes to L1 and deeper, as far as it is allowed") {
  LinkConfig config;
  config.power.aspm = AspmLimit::l1_2;
  StateBench bench(config);
  const Time first = one_write(bench, kHigh, 20us + 500ns);  // in L1
  const Time second = one_write(bench, kHigh + 64, 1ms);     // in L1.2
  bench.script.at(1'500us, [&] {
    // One port forbids L1.2, and it needs both.
    bench.link.set_port_power(Direction::kUp, PortPower::up_to(AspmLimit::l1_1));
  });
  const Time third = one_write(bench, kHigh + 128, 2ms);  // in L1.1
  bench.script.at(2'500us, [&] {
    bench.link.set_port_power(Direction::kDown, {});
    bench.link.set_port_power(Direction::kUp, {});
  });
  const Time fourth = one_write(bench, kHigh + 192, 3ms);
  bench.run();
  CHECK(bench.memory.seen_at(kHigh) == first + 4us);
  CHECK(bench.memory.seen_at(kHigh + 64) == second + 70us);
  CHECK(bench.memory.seen_at(kHigh + 128) == third + 20us);
  CHECK(bench.memory.seen_at(kHigh + 192) == fourth);
  CHECK(bench.link.power().counters(LinkPowerState::kL1).entries == 1);
  CHECK(bench.link.power().counters(LinkPowerState::kL1_1).entries == 1);
  CHECK(bench.link.power().counters(LinkPowerState::kL1_2).entries == 1);
}

TEST_CASE("waking from L1 wakes both directions") {
  LinkConfig config;
  config.power.aspm = AspmLimit::l1;
  StateBench bench(config);
  bench.memory.latency = 300ns;
  bench.script.at(1ms, [&] { bench.endpoint.read(kHigh, 64); });
  bench.run();
  CHECK(bench.endpoint.response_to(kHigh) ==
        Time(1ms) + 4us + bench.pace()(24) + bench.pace()(84) + 2 * bench.delay() + 300ns);
  CHECK(bench.link.power().counters(LinkPowerState::kL1).entries == 1);
}

TEST_CASE("a sleeping function lets the link sleep at once, whatever ASPM says") {
  StateBench bench;
  bench.script.at(1us, [&] { bench.link.device_sleeps(true); });
  bench.script.at(2us, [&] {
    CHECK(bench.link.power_state(Direction::kDown) == LinkPowerState::kL1);
    bench.root.write(0x100, 4);
  });
  bench.script.at(20us, [&] {
    bench.link.device_sleeps(false);
    bench.root.write(0x200, 4);
  });
  bench.run();
  CHECK(bench.device.seen_at(0x100) == Time(2us) + 4us + bench.pace()(24) + bench.delay());
  CHECK(bench.device.seen_at(0x200) == Time(20us) + bench.pace()(24) + bench.delay());
}

TEST_CASE("a link of TLPs sleeps and wakes like one of bursts") {
  LinkConfig config;
  config.power.aspm = AspmLimit::l1;
  StateBench bench(with_tlps(config));
  bench.script.at(1ms, [&] { bench.endpoint.write(kHigh, 64); });
  bench.script.at(2ms, [&] { bench.endpoint.write(kHigh + 64, 64); });
  bench.run();
  const Time alone = formula::raw_pace(4, 4)(88) + bench.delay() + 4us;
  // At most an SKP and a pair of DLLPs are on the wire.
  for (const std::uint64_t i : {0, 1}) {
    const Time took = bench.memory.seen_at(kHigh + 64 * i) - Time((i + 1) * 1ms);
    CHECK(took >= alone);
    CHECK(took <= alone + formula::raw_pace(4, 4)(32));
  }
  CHECK(bench.link.power().counters(LinkPowerState::kL1).entries == 2);
}

}  // namespace nvmesim::pcie
