// Litmus tests of PCIe's order, and fairness at the level of the link.
#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;
using test::relaxed;

constexpr std::uint64_t kFirst = kHigh + 64;
constexpr std::uint64_t kSecond = kHigh + 128;
constexpr std::uint64_t kThird = kHigh + 192;

using Order = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("short posted writes arrive in order, relaxed or not") {
  LinkBench bench;
  Order sent;
  bench.script.at(0us, [&] {
    for (std::uint64_t i = 0; i < 40; ++i) {
      sent.push_back(kHigh + 64 * i);
      bench.endpoint.write(kHigh + 64 * i, 1 + i * 6,
                           [i](Tlp& tlp) { tlp.relaxed_ordering = i % 3 == 0; });
    }
  });
  bench.run();
  CHECK(bench.memory.order() == sent);
}

TEST_CASE("a long write without relaxed ordering is never overtaken by a posted write") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kFirst, 65536);
    bench.endpoint.write(kSecond, 4, relaxed);
    bench.endpoint.write(kThird, 4096, relaxed);
  });
  bench.run();
  CHECK(bench.memory.order() == Order{kFirst, kSecond, kThird});
  const std::uint64_t first = 65536 + 256 * 24;
  CHECK(bench.memory.seen_at(kSecond) == bench.pace()(first + 28) + bench.delay());
  CHECK(bench.memory.seen_at(kThird) == bench.pace()(first + 28 + 16 * 280) + bench.delay());
}

TEST_CASE("neither a completion nor a read passes a long write without relaxed ordering") {
  LinkBench bench;
  bench.device.latency = 0ns;
  // The register read arrives while the write is being issued; its completion follows the write.
  bench.script.at(0us, [&] {
    bench.root.read(0x100, 4);
    bench.endpoint.write(kFirst, 65536);
    bench.endpoint.read(kSecond, 64);
  });
  bench.run();
  const Time write_arrives = bench.pace()(65536 + 256 * 24) + bench.delay();
  CHECK(bench.memory.seen_at(kFirst) == write_arrives);
  CHECK(bench.memory.seen_at(kSecond) > write_arrives);
  CHECK(bench.root.response_to(0x100) > write_arrives);
}

TEST_CASE("what is sent after a relaxed long write was reported as issued arrives behind it") {
  LinkBench bench;
  bench.script.at(0us, [&] { bench.endpoint.write(kFirst, 4096, relaxed); });
  bench.endpoint.on_response = [&](test::GenericPayload& payload) {
    if (payload.get_address() == kFirst) bench.endpoint.write(kSecond, 16);
  };
  // A load that keeps the wire busy with other long writes.
  for (std::uint64_t i = 0; i < 10; ++i) {
    bench.script.at(std::chrono::nanoseconds(50 * i),
                    [&bench, i] { bench.endpoint.write(kHigh + 64 * (100 + i), 8192, relaxed); });
  }
  bench.run();
  const Time data = bench.memory.seen_at(kFirst);
  const Time entry = bench.memory.seen_at(kSecond);
  CHECK(data < entry);
  // Issued back to back, or behind one TLP of another's at most.
  CHECK(entry - data <= bench.pace()(40 + 280) + base::picoseconds(1));
}

TEST_CASE("a later write may pass TLPs of a relaxed long write that are not yet issued") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kFirst, 4096, relaxed);
    bench.endpoint.write(kSecond, 4);
  });
  bench.run();
  CHECK(bench.memory.order() == Order{kSecond, kFirst});
  CHECK(bench.memory.seen_at(kSecond) == bench.pace()(280 + 28) + bench.delay());
}

TEST_CASE("reads do not pass short posted writes, and posted writes pass a waiting completion") {
  LinkBench bench;
  bench.memory.latency = 0ns;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kFirst, 256);
    bench.endpoint.read(kSecond, 4096);
  });
  // While the read's completion is on its way down, a doorbell is written.
  bench.memory.on_answer = [&](test::GenericPayload&) { bench.root.write(0x1000, 4); };
  bench.run();
  CHECK(bench.memory.order() == Order{kFirst, kSecond});
  CHECK(bench.device.seen_at(0x1000) < bench.endpoint.response_to(kSecond));
}

TEST_CASE("a completion does not pass short posted writes sent before it") {
  LinkBench bench;
  bench.device.latency = 0ns;
  bench.script.at(0us, [&] { bench.root.read(0x100, 4); });
  bench.device.on_answer = [&](test::GenericPayload&) {
    for (std::uint64_t i = 0; i < 20; ++i) bench.endpoint.write(kHigh + 64 * i, 256);
  };
  bool checked = false;
  bench.root.on_response = [&](test::GenericPayload&) {
    checked = true;
    CHECK(bench.memory.seen.size() == 20);
  };
  bench.run();
  CHECK(checked);
}

TEST_CASE("a deferred write is visible before the completion behind it") {
  LinkBench bench;
  bench.device.latency = 0ns;
  bench.device.on_answer = [&](test::GenericPayload&) {
    bench.endpoint.write(kFirst, 16, test::deferrable);
  };
  bench.script.at(0us, [&] { bench.root.read(0x100, 4); });
  bool checked = false;
  bench.root.on_response = [&](test::GenericPayload&) {
    checked = true;
    CHECK(bench.memory.seen.size() == 1);
  };
  bench.run();
  CHECK(checked);
}

TEST_CASE("a stream of long writes delays a short one by one TLP at most") {
  LinkBench bench;
  for (std::uint64_t i = 0; i < 20; ++i) {
    bench.script.at(0us, [&bench, i] { bench.endpoint.write(kHigh + 64 * i, 131072, relaxed); });
  }
  constexpr int kProbes = 200;
  for (int i = 0; i < kProbes; ++i) {
    bench.script.at(Time(1us) + i * Time(997ns), [&bench, i] {
      bench.endpoint.write(kHigh * 2 + static_cast<std::uint64_t>(i), 64);
    });
  }
  bench.run();
  Time worst{0};
  for (int i = 0; i < kProbes; ++i) {
    const Time sent = Time(1us) + i * Time(997ns);
    const Time arrived = bench.memory.seen_at(kHigh * 2 + static_cast<std::uint64_t>(i));
    worst = std::max(worst, arrived - sent);
  }
  CHECK(worst <= bench.pace()(280 + 88) + bench.delay() + base::picoseconds(1));
  CHECK(worst >= bench.pace()(88 + 140) + bench.delay());  // some did meet one
}

TEST_CASE("two streams of long writes get half of the wire each") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kFirst, 131072, relaxed);
    bench.endpoint.write(kSecond, 131072, relaxed);
    bench.endpoint.write(kThird, 65536, relaxed);
  });
  bench.run();
  // TLP by TLP: the third has its last of 256 when each of the others has sent as many.
  CHECK(bench.memory.seen_at(kThird) == bench.pace()(3 * 256 * 280) + bench.delay());
  CHECK(bench.memory.seen_at(kFirst) == bench.pace()((2 * 512 + 256 - 1) * 280) + bench.delay());
  CHECK(bench.memory.seen_at(kSecond) == bench.pace()((2 * 512 + 256) * 280) + bench.delay());
}

TEST_CASE("a cancelled write and a cancelled read are not delivered but come back") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kFirst, 4096, relaxed).extension.cancelled = true;
    bench.endpoint.read(kSecond, 64).extension.cancelled = true;
    bench.endpoint.write(kThird, 16).extension.cancelled = true;
    bench.endpoint.write(kThird + 1, 16);
  });
  bench.run();
  CHECK(bench.memory.order() == Order{kThird + 1});
  CHECK(bench.endpoint.responses.size() == 4);
  CHECK(bench.endpoint.pool.in_use() == 0);
}

}  // namespace nvmesim::pcie
