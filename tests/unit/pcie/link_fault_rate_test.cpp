// Faults by configuration, requests that a fault refuses, and what the ports say of it.
#include "pcie/aer.hpp"
#include "pcie/link_faults.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;

const RequesterId kRootPort = make_id(0, 0, 0);

// Reads of the device, one after the other; the root port knows the link.
struct FaultyBench : FullBench {
  explicit FaultyBench(const LinkFaults& faults) : FullBench(1, with(faults)) {
    root.ports[0].set_link(drives[0].link);
    expects_lost = true;
  }
  static LinkConfig with(const LinkFaults& faults) {
    LinkConfig config;
    config.faults = faults;
    return config;
  }
  void read(int count, Time apart = 5us) {
    for (int i = 0; i < count; ++i) {
      drives[0].endpoint.dma_read(0x2000, bytes_of(into_), {}, drives[0].finished.callback());
      host.sleep(apart);
    }
  }
  std::size_t ended(DmaStatus status) const {
    const auto& all = drives[0].finished.statuses;
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), status));
  }
  std::uint32_t error_status(RequesterId id, bool correctable = false) {
    return host.read32(id, find_extended_capability(host, id, kExtendedAdvancedError) +
                               (correctable ? 0x10 : 0x04));
  }

 private:
  std::vector<unsigned char> into_ = std::vector<unsigned char>(64);
};

constexpr std::uint32_t bit(UncorrectableError error) {
  return 1U << static_cast<unsigned>(error);
}
constexpr std::uint32_t kAdvisory = 1U << 13;

LinkFaults once(std::uint32_t LinkFaults::*kind, FaultDirection direction) {
  LinkFaults faults;
  faults.*kind = 1'000'000'000;
  faults.most_of_each = 1;
  faults.from_us = 1000;
  faults.direction = direction;
  return faults;
}

}  // namespace

TEST_CASE("without configured faults a link computes with bursts") {
  FaultyBench bench({});
  bench.run([&] { bench.read(3); });
  CHECK(bench.drives[0].link.resolution() == LinkResolution::burst);
  CHECK(bench.ended(DmaStatus::kOk) == 3);
}

TEST_CASE("a read that a fault refuses ends as unsupported, and the port that refused says so") {
  FaultyBench bench(once(&LinkFaults::unsupported_request_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    bench.read(3);
    CHECK(bench.error_status(kRootPort, true) == kAdvisory);
    CHECK((bench.host.read32(bench.functions[0].id, 4) & 1U << 29) != 0);  // received master abort
  });
  CHECK(bench.ended(DmaStatus::kUnsupportedRequest) == 1);
  CHECK(bench.ended(DmaStatus::kOk) == 2);
  CHECK(bench.drives[0].link.tlp_counters(Direction::kUp).refused == 1);
}

TEST_CASE("a read that a fault aborts ends as aborted") {
  FaultyBench bench(once(&LinkFaults::completer_abort_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    bench.read(2);
    CHECK((bench.host.read32(bench.functions[0].id, 4) & 1U << 28) != 0);  // received target abort
  });
  CHECK(bench.ended(DmaStatus::kCompleterAbort) == 1);
  CHECK(bench.ended(DmaStatus::kOk) == 1);
}

TEST_CASE("a processor that is refused by a fault reads all ones, and the function logs it") {
  FaultyBench bench(once(&LinkFaults::unsupported_request_ppb, FaultDirection::down));
  bench.run([&] {
    bench.host.sleep(2ms);
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
    CHECK(bench.error_status(bench.functions[0].id, true) == kAdvisory);
  });
}

TEST_CASE("a dropped completion of the device's read ends in its completion timeout") {
  FaultyBench bench(once(&LinkFaults::drop_completion_ppb, FaultDirection::down));
  bench.run([&] {
    bench.host.sleep(2ms);
    bench.read(2, 60ms);
    CHECK(bench.error_status(bench.functions[0].id) == bit(UncorrectableError::kCompletionTimeout));
  });
  CHECK(bench.ended(DmaStatus::kTimeout) == 1);
  CHECK(bench.ended(DmaStatus::kOk) == 1);
}

TEST_CASE("a dropped completion of a processor's read: all ones at the root port's timeout") {
  FaultyBench bench(once(&LinkFaults::drop_completion_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    const Time before = bench.scheduler.now();
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    CHECK(bench.scheduler.now() - before == Time(50ms));
    CHECK(bench.host.last_status == kStatusUnsupportedRequest);
    CHECK(bench.error_status(kRootPort) == bit(UncorrectableError::kCompletionTimeout));
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
  });
}

TEST_CASE("a completion that comes after the root port's timeout is unexpected and harmless") {
  EndpointConfig endpoint;
  endpoint.register_latency_ns = 1'000'000;
  FullBench bench(1, {}, endpoint);
  bench.run([&] {
    const unsigned control2 = find_capability(bench.host, kRootPort, kCapabilityPciExpress) + 0x28;
    bench.host.write32(kRootPort, control2, 1);  // up to 100 us
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    bench.host.sleep(5ms);
    const unsigned status =
        find_extended_capability(bench.host, kRootPort, kExtendedAdvancedError) + 0x10;
    CHECK(bench.host.read32(kRootPort, status) == kAdvisory);
    bench.host.write32(kRootPort, control2, 1U << 4);  // none
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
  });
  CHECK(bench.host.pool.in_use() == 0);
}

TEST_CASE("a poisoned completion of a processor's read is not data") {
  FaultyBench bench(once(&LinkFaults::poison_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    CHECK(bench.error_status(kRootPort) == bit(UncorrectableError::kPoisonedTlp));
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
  });
}

TEST_CASE("a malformed TLP is a fatal error of the port that gets it") {
  FaultyBench bench(once(&LinkFaults::malformed_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    bench.read(1, 60ms);
    CHECK(bench.error_status(kRootPort) == bit(UncorrectableError::kMalformedTlp));
  });
  CHECK(bench.ended(DmaStatus::kTimeout) == 1);
}

TEST_CASE("surprise down at a TLP resets the function, and the root port logs it") {
  FaultyBench bench(once(&LinkFaults::surprise_down_ppb, FaultDirection::up));
  bench.run([&] {
    bench.host.sleep(2ms);
    bench.read(1, 100ms);
    CHECK(bench.error_status(kRootPort) == bit(UncorrectableError::kSurpriseDown));
    CHECK(bench.drives[0].link.up());
  });
  CHECK(bench.drives[0].device.resets == 1);
}

TEST_CASE("faults come as often as their rate says, and others with another seed") {
  LinkFaults faults;
  faults.corrupt_ppb = 20'000'000;  // 2 %
  faults.direction = FaultDirection::up;
  std::vector<std::uint64_t> hits;
  std::vector<std::vector<std::uint64_t>> numbers;
  for (const std::uint64_t seed : {1U, 2U, 1U}) {
    TlpFaultRules rules(1, "faults" + std::to_string(seed));
    rules.add(faults);
    TlpRecord record;
    record.direction = Direction::kUp;
    numbers.emplace_back();
    for (std::uint64_t i = 0; i < 100'000; ++i) {
      TlpFault fault;
      rules.examine(record, fault);
      if (fault.corrupt) numbers.back().push_back(i);
    }
    hits.push_back(rules.hits(0));
    CHECK(hits.back() == numbers.back().size());
    // 2000 expected, sigma 44.
    CHECK(hits.back() > 1780);
    CHECK(hits.back() < 2220);
  }
  CHECK(numbers[0] == numbers[2]);
  CHECK(numbers[0] != numbers[1]);
}

}  // namespace nvmesim::pcie
