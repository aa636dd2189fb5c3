// A link under everything at once, from a seed: random traffic of all classes in both directions,
// small receive buffers, bit errors, dropped and malformed TLPs, recoveries, resets, sleep. Nothing
// hangs, everything that can come back does so once, and what arrives keeps the order.
#include <set>

#include "pcie/link.hpp"
#include "pcie/link_faults.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

struct Downs final : LinkListener {
  int count = 0;
  void link_down(LinkDownCause) override { ++count; }
};

struct Torture {
  LinkBench bench;
  Downs downs;
  base::Random random;
  std::uint64_t requests[2] = {0, 0};  // sent upwards, downwards

  Torture(const LinkConfig& config, std::uint64_t seed) : bench(config), random(seed, "torture") {
    bench.link.add_listener(downs);
  }

  void traffic(std::uint64_t count, Time mean_gap) {
    Time at{0};
    for (std::uint64_t i = 0; i < count; ++i) {
      at += Time{static_cast<std::int64_t>(
          random.below(2 * static_cast<std::uint64_t>(mean_gap.count())))};
      const bool up = random.chance(2, 3);
      const bool write = random.chance(1, 2);
      const bool relaxed = random.chance(1, 3);
      const bool awaited = random.chance(1, 4);
      const auto bytes = 1 + random.below(random.chance(3, 4) ? 256 : 6000);
      const std::uint64_t address = (up ? kHigh : 0) + (i << 16);
      bench.script.at(at, [this, up, write, relaxed, awaited, bytes, address] {
        auto& from = up ? bench.endpoint : bench.root;
        ++requests[up ? 0 : 1];
        from.send(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND, address, bytes,
                  [&](Tlp& tlp) {
                    tlp.relaxed_ordering = relaxed;
                    tlp.sent_awaited = awaited;
                  });
      });
    }
  }
  // Posted writes without relaxed ordering, in the order of sending, in which addresses ascend.
  void check_order(const test::Serves& at) const {
    std::uint64_t last = 0;
    std::size_t wrong = 0;
    for (const auto& each : at.seen) {
      if (strict.count(each.address) == 0) continue;
      wrong += each.address < last;
      last = each.address;
    }
    CHECK(wrong == 0);
  }
  std::set<std::uint64_t> strict;  // their addresses
};

void remember_strict(Torture& torture) {
  const auto note = [&torture](test::GenericPayload& payload) {
    if (is_posted(payload) && !tlp_of(payload).relaxed_ordering) {
      torture.strict.insert(payload.get_address());
    }
  };
  torture.bench.memory.on_request = note;
  torture.bench.device.on_request = note;
}

LinkConfig cramped() {
  LinkConfig config;
  config.credits = {4, 24, 2, 2, 3, 20, 150};
  config.bit_errors_per_petabit = 20'000'000'000;  // 2e-5: some 4 % of the TLPs
  config.replay_buffer_tlps = 6;
  return config;
}

void check_all_come_back(std::uint64_t seed, LinkConfig config) {
  Torture torture(config, seed);
  remember_strict(torture);
  torture.traffic(4000, 200ns);
  torture.bench.run();
  INFO("seed " << seed);
  CHECK(torture.bench.endpoint.responses.size() == torture.requests[0]);
  CHECK(torture.bench.root.responses.size() == torture.requests[1]);
  CHECK(torture.bench.endpoint.pool.in_use() == 0);
  CHECK(torture.bench.root.pool.in_use() == 0);
  CHECK(torture.bench.memory.seen.size() == torture.requests[0]);
  CHECK(torture.bench.device.seen.size() == torture.requests[1]);
  torture.check_order(torture.bench.memory);
  torture.check_order(torture.bench.device);
  CHECK(torture.bench.link.tlp_counters(Direction::kUp).replays > 100);
}

}  // namespace

TEST_CASE("cramped and noisy: all arrives once and in order, seed 1") {
  check_all_come_back(1, cramped());
}
TEST_CASE("cramped and noisy: all arrives once and in order, seed 2") {
  check_all_come_back(2, cramped());
}
TEST_CASE("cramped, noisy and in flits: all arrives once and in order") {
  LinkConfig config = cramped();
  config.generation = 6;
  check_all_come_back(3, config);
}
TEST_CASE("cramped, noisy and sleepy: all arrives once and in order") {
  LinkConfig config = cramped();
  config.power.aspm = AspmLimit::l1_2;
  config.power.l0s_entry_ns = 100;
  config.power.l1_entry_ns = 500;
  check_all_come_back(4, config);
}

namespace {

void check_survives(std::uint64_t seed, const LinkConfig& config, bool faults) {
  Torture torture(config, seed);
  remember_strict(torture);
  TlpFaultRules rules(seed, "faults");
  if (faults) {
    for (const TlpFaultKind what :
         {TlpFaultKind::corrupt, TlpFaultKind::poison, TlpFaultKind::surprise_down}) {
      TlpFaultRule rule;
      rule.what = what;
      rule.chance_ppb = what == TlpFaultKind::surprise_down ? 1'000'000 : 20'000'000;
      rules.add(rule);
    }
    rules.arm(torture.bench.link.points());
  }
  torture.traffic(6000, 150ns);
  for (int i = 0; i < 40; ++i) {
    const auto at = Time(static_cast<std::int64_t>(torture.random.below(900'000'000)));
    const auto what = torture.random.below(3);
    torture.bench.script.at(at, [&link = torture.bench.link, what, i] {
      if (what == 0) link.retrain(1 + static_cast<unsigned>(i) % 4, 1U << (i % 3));
      if (what == 1) link.hot_reset();
      if (what == 2) link.disable();
    });
    torture.bench.script.at(at + 20us, [&link = torture.bench.link] { link.enable(); });
  }
  torture.bench.script.at(1ms, [&link = torture.bench.link] { link.enable(); });
  bool works = false;
  torture.bench.script.at(30ms, [&] {
    CHECK(torture.bench.link.up());
    ++torture.requests[0];
    torture.bench.endpoint.read(kHigh * 8, 64);
  });
  torture.bench.endpoint.on_response = [&](test::GenericPayload& payload) {
    works |= payload.get_address() == kHigh * 8 && payload.is_response_ok();
  };
  torture.bench.run();
  INFO("seed " << seed);
  CHECK(works);
  CHECK(torture.downs.count > 5);
  // The other end may have what it was asked, but everybody hears what became of his request.
  CHECK(torture.bench.endpoint.responses.size() == torture.requests[0]);
  CHECK(torture.bench.root.responses.size() == torture.requests[1]);
  CHECK(torture.bench.endpoint.pool.in_use() == 0);
  CHECK(torture.bench.root.pool.in_use() == 0);
  torture.check_order(torture.bench.memory);
  torture.check_order(torture.bench.device);
}

LinkConfig quick() {
  LinkConfig config;
  config.training = {0, 5, 1, 1, 1, 1, 2};
  return config;
}

}  // namespace

TEST_CASE("a burst link that is reset, disabled and retrained gives everything back, seed 5") {
  check_survives(5, quick(), false);
}
TEST_CASE("a burst link that is reset, disabled and retrained gives everything back, seed 6") {
  check_survives(6, quick(), false);
}
TEST_CASE("a link of TLPs that is reset, disabled and retrained gives everything back") {
  LinkConfig config = quick();
  config.resolution = LinkResolution::tlp;
  check_survives(7, config, false);
}
TEST_CASE("a faulty link that is reset, disabled and retrained gives everything back, seed 8") {
  check_survives(8, quick(), true);
}
TEST_CASE("a faulty link that is reset, disabled and retrained gives everything back, seed 9") {
  LinkConfig config = cramped();
  config.training = quick().training;
  config.power.aspm = AspmLimit::l1_1;
  config.power.l0s_entry_ns = 100;
  check_survives(9, config, true);
}

}  // namespace nvmesim::pcie
