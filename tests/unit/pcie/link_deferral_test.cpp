// Writes that nobody looks at before a younger one: no entry of their own, never early, never lost.
#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::deferrable;
using test::kHigh;
using test::LinkBench;

}  // namespace

TEST_CASE("deferred writes are delivered just before the next delivery of their direction") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh + 64, 16, deferrable);
    bench.endpoint.write(kHigh + 128, 16, deferrable);
  });
  bench.script.at(10us, [&] { bench.endpoint.write(kHigh + 192, 4); });
  bench.run();
  const Time arrival = Time(10us) + bench.pace()(28) + bench.delay();
  CHECK(bench.memory.seen == std::vector<test::Seen>{{kHigh + 64, arrival},
                                                     {kHigh + 128, arrival},
                                                     {kHigh + 192, arrival}});
}

TEST_CASE("a deferred write that has not arrived is not delivered with an older one") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh + 64, 4);
    bench.endpoint.write(kHigh + 128, 16, deferrable);
    bench.endpoint.write(kHigh + 192, 4);
  });
  bench.run();
  CHECK(bench.memory.seen_at(kHigh + 64) == bench.pace()(28) + bench.delay());
  const Time third = bench.pace()(28 + 40 + 28) + bench.delay();
  CHECK(bench.memory.seen_at(kHigh + 128) == third);
  CHECK(bench.memory.seen_at(kHigh + 192) == third);
}

TEST_CASE("a deferred write in the other direction stays where it is") {
  LinkBench bench;
  bench.script.at(0us, [&] { bench.root.write(0x1000, 4, deferrable); });
  bench.script.at(5us, [&] { bench.endpoint.write(kHigh, 4); });
  bench.script.at(9us, [&] { CHECK(bench.device.seen.empty()); });
  bench.script.at(10us, [&] { bench.root.write(0x1004, 4); });
  bench.run();
  CHECK(bench.device.order() == std::vector<std::uint64_t>{0x1000, 0x1004});
}

TEST_CASE("prompt delivery hands over what has arrived and then everything at its arrival") {
  LinkBench bench;
  bench.script.at(0us, [&] { bench.root.write(0x1000, 4, deferrable); });
  bench.script.at(5us, [&] {
    bench.root.write(0x1004, 4, deferrable);  // on its way
    bench.link.deliver_promptly(Direction::kDown, true);
    CHECK(bench.device.seen.empty());  // by an entry, not inside the call
  });
  bench.script.at(8us, [&] { bench.root.write(0x1008, 4, deferrable); });
  bench.script.at(10us, [&] {
    bench.link.deliver_promptly(Direction::kDown, false);
    bench.root.write(0x100C, 4, deferrable);
  });
  bench.script.at(12us, [&] { CHECK(bench.device.seen.size() == 3); });
  bench.run();
  const Time flight = bench.pace()(24) + bench.delay();
  CHECK(bench.device.seen_at(0x1000) == Time(5us));
  CHECK(bench.device.seen_at(0x1004) == Time(5us) + flight);
  CHECK(bench.device.seen_at(0x1008) == Time(8us) + flight);
}

TEST_CASE("at the latest a deferred write is delivered when its limit has passed") {
  LinkConfig config;
  config.deferral_limit_us = 50;
  LinkBench bench(config);
  bench.script.at(0us, [&] { bench.root.write(0x1000, 4, deferrable); });
  bench.script.at(30us, [&] { bench.root.write(0x1004, 4); });
  bench.script.at(49us, [&] { bench.root.write(0x1008, 4, deferrable); });
  bench.script.at(60us, [&] { bench.root.write(0x100C, 4, deferrable); });
  bench.run();
  const Time flight = bench.pace()(24) + bench.delay();
  CHECK(bench.device.seen_at(0x1000) == Time(30us) + flight);
  CHECK(bench.device.seen_at(0x1008) == Time(50us) + flight);  // the limit of the first
  CHECK(bench.device.seen_at(0x100C) == Time(110us) + flight);
  CHECK(bench.root.pool.in_use() == 0);
}

TEST_CASE("a long deferred write reports its issue and waits for the next delivery") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 4096,
                         [](Tlp& tlp) { tlp.relaxed_ordering = tlp.deferrable = true; });
  });
  bench.script.at(20us, [&] {
    CHECK(bench.memory.seen.empty());
    bench.endpoint.write(kHigh + 4096, 16);
  });
  bench.run();
  CHECK(bench.endpoint.response_to(kHigh) == bench.pace()(16 * 280));
  CHECK(bench.memory.seen_at(kHigh) == bench.memory.seen_at(kHigh + 4096));
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh, kHigh + 4096});
}

TEST_CASE("many deferred writes keep their order") {
  LinkBench bench;
  constexpr std::uint64_t kCount = 1000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    bench.script.at(std::chrono::nanoseconds(i), [&bench, i] {
      bench.endpoint.write(kHigh + 64 * i, 1 + i % 256,
                           [i](Tlp& tlp) { tlp.deferrable = i % 300 != 0; });
    });
  }
  bench.run();
  REQUIRE(bench.memory.seen.size() == kCount);
  for (std::uint64_t i = 0; i < kCount; ++i) CHECK(bench.memory.seen[i].address == kHigh + 64 * i);
}

}  // namespace nvmesim::pcie
