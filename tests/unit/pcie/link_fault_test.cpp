// Fault rules inside the link: what each of them does to a TLP and to those who wait for it.
#include "pcie/link.hpp"
#include "pcie/link_faults.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

struct Errors final : LinkListener {
  std::vector<LinkError> seen;
  std::vector<LinkDownCause> downs;
  int ups = 0;
  void link_error(LinkError error, Direction) override { seen.push_back(error); }
  void link_down(LinkDownCause cause) override { downs.push_back(cause); }
  void link_up() override { ++ups; }
};

struct FaultBench : LinkBench {
  Errors errors;
  explicit FaultBench(const LinkConfig& config = {}) : LinkBench(config) {
    link.add_listener(errors);
  }
};

}  // namespace

TEST_CASE("a rule makes a burst link simulate TLPs, and sees each of them") {
  FaultBench bench;
  std::vector<TlpRecord> seen;
  bench.script.at(0us, [&] { bench.endpoint.write(kHigh, 4096); });
  bench.script.at(100ns, [&] {  // while the first is on the wire
    CHECK(bench.link.resolution() == LinkResolution::burst);
    bench.link.points().tlp.arm(
        [&](const TlpRecord& record, TlpFault&) { seen.push_back(record); });
    bench.endpoint.write(kHigh + 4096, 1000);
    bench.endpoint.read(kHigh + 8192, 64);
  });
  bench.run();
  CHECK(bench.link.resolution() == LinkResolution::tlp);
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh, kHigh + 4096, kHigh + 8192});
  REQUIRE(seen.size() == 4 + 1 + 1);  // of those sent later; the last one is the completion
  CHECK(seen[0].when == bench.pace()(16 * 280));
  CHECK(seen[5].type == TlpType::kCplD);
  CHECK(bench.endpoint.responses.size() == 3);
}

TEST_CASE("a corrupted TLP is asked for again, and all arrives in order") {
  FaultBench bench;
  bench.link.points().tlp.arm([](const TlpRecord& record, TlpFault& fault) {
    fault.corrupt = record.address == kHigh + 2 * 256 && !record.replayed;
  });
  bench.script.at(0us, [&] {
    for (std::uint64_t i = 0; i < 8; ++i) bench.endpoint.write(kHigh + i * 256, 256);
  });
  bench.run();
  const auto order = bench.memory.order();
  REQUIRE(order.size() == 8);
  for (std::uint64_t i = 0; i < 8; ++i) CHECK(order[i] == kHigh + i * 256);
  const auto up = bench.link.tlp_counters(Direction::kUp);
  CHECK(up.bad_tlps == 1);
  CHECK(up.naks == 1);
  CHECK(up.replays == 6);  // go back to the bad one
  CHECK(up.replay_timeouts == 0);
  CHECK(bench.errors.seen == std::vector<LinkError>{LinkError::kBadTlp});
  // The bad one came, its NAK went back, and it came again.
  const base::Pace raw = formula::raw_pace(4, 4);
  const Time again = bench.memory.seen_at(kHigh + 512);
  CHECK(again >= raw(3 * 280) + 3 * bench.delay() + raw(8) + raw(280));
  CHECK(again <= raw(8 * 280) + 3 * bench.delay() + raw(64) + raw(280));
}

TEST_CASE("a TLP that is corrupted again waits for the replay timer") {
  FaultBench bench;
  int left = 2;
  bench.link.points().tlp.arm(
      [&](const TlpRecord&, TlpFault& fault) { fault.corrupt = left-- > 0; });
  bench.script.at(0us, [&] { bench.endpoint.write(kHigh, 64); });
  bench.run();
  CHECK(bench.memory.seen.size() == 1);
  const auto up = bench.link.tlp_counters(Direction::kUp);
  CHECK(up.bad_tlps == 2);
  CHECK(up.naks == 1);  // no second one until a TLP arrives in sequence
  CHECK(up.replay_timeouts == 1);
}

TEST_CASE("four replays in a row retrain the link, and nothing is lost") {
  FaultBench bench;
  int left = 5;
  bench.link.points().tlp.arm([&](const TlpRecord& record, TlpFault& fault) {
    fault.corrupt = record.direction == Direction::kUp && left-- > 0;
  });
  bench.script.at(0us, [&] { bench.endpoint.read(kHigh, 64); });
  bench.run();
  CHECK(bench.link.tlp_counters(Direction::kUp).replay_rollovers == 1);
  REQUIRE(bench.endpoint.responses.size() == 1);
  CHECK(bench.endpoint.statuses[0] == tlm::TLM_OK_RESPONSE);
  CHECK(bench.endpoint.response_to(kHigh) > Time(10us));  // the recovery
  CHECK(bench.errors.downs.empty());
}

TEST_CASE("a dropped completion never comes, and the link goes on") {
  FaultBench bench;
  bench.link.points().tlp.arm([](const TlpRecord& record, TlpFault& fault) {
    fault.drop = record.type == TlpType::kCplD && record.address == kHigh + 256;
  });
  bench.script.at(0us, [&] {
    bench.endpoint.read(kHigh, 512);
    bench.endpoint.read(kHigh + 4096, 512);
  });
  bench.run();
  REQUIRE(bench.endpoint.responses.size() == 1);
  CHECK(bench.endpoint.responses[0].address == kHigh + 4096);
  CHECK(bench.link.tlp_counters(Direction::kDown).dropped == 1);
  CHECK(bench.link.tlp_counters(Direction::kDown).replays == 0);
}

TEST_CASE("a dropped posted write comes back to its initiator, undelivered") {
  FaultBench bench;
  bench.link.points().tlp.arm([](const TlpRecord& record, TlpFault& fault) {
    fault.drop = record.index == 1 || record.bytes == 64;
  });
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 4096);
    bench.endpoint.write(kHigh + 4096, 64);
    bench.endpoint.write(kHigh + 8192, 100);
  });
  bench.run();
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh + 8192});
  CHECK(bench.endpoint.responses.size() == 3);
  CHECK(bench.endpoint.pool.in_use() == 0);
}

TEST_CASE("a poisoned TLP with data arrives and says so; one without data cannot be") {
  FaultBench bench;
  bench.link.points().tlp.arm([](const TlpRecord&, TlpFault& fault) { fault.poison = true; });
  bool write_poisoned = false;
  bool request_poisoned = true;
  bench.memory.on_request = [&](test::GenericPayload& payload) {
    (payload.is_write() ? write_poisoned : request_poisoned) = tlp_of(payload).poisoned;
  };
  bool completion_poisoned = false;
  bench.endpoint.on_response = [&](test::GenericPayload& payload) {
    if (payload.is_read()) completion_poisoned = tlp_of(payload).poisoned;
  };
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 64);
    bench.endpoint.read(kHigh + 64, 64);
  });
  bench.run();
  CHECK(write_poisoned);
  CHECK_FALSE(request_poisoned);
  CHECK(completion_poisoned);
}

TEST_CASE("a malformed TLP is discarded by its receiver, which reports it") {
  FaultBench bench;
  bench.link.points().tlp.arm([](const TlpRecord& record, TlpFault& fault) {
    fault.malformed = record.type == TlpType::kMRd64;
  });
  bench.script.at(0us, [&] {
    bench.endpoint.read(kHigh, 64);
    bench.endpoint.write(kHigh + 64, 64);
  });
  bench.run();
  CHECK(bench.memory.order() == std::vector<std::uint64_t>{kHigh + 64});
  CHECK(bench.errors.seen == std::vector<LinkError>{LinkError::kMalformedTlp});
  CHECK(bench.endpoint.responses.size() == 1);  // the read waits for its completion timeout
}

TEST_CASE("a rule takes the link down by surprise") {
  FaultBench bench;
  bool armed = true;
  bench.link.points().tlp.arm([&](const TlpRecord& record, TlpFault& fault) {
    fault.link_down = armed && record.index == 3;
    armed = armed && !fault.link_down;
  });
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 64);
    bench.endpoint.write(kHigh + 4096, 4096);
    bench.endpoint.read(kHigh + 8192, 64);
  });
  bench.run();
  CHECK(bench.errors.downs == std::vector<LinkDownCause>{LinkDownCause::kSurprise});
  CHECK(bench.errors.ups == 1);
  CHECK(bench.link.up());
  CHECK(bench.memory.order().empty());  // the first was still in flight
  CHECK(bench.endpoint.responses.size() == 3);
  CHECK(bench.endpoint.pool.in_use() == 0);
}

TEST_CASE("a rule may use the link itself: disable it at the third TLP") {
  FaultBench bench;
  int seen = 0;
  bench.link.points().tlp.arm([&](const TlpRecord&, TlpFault&) {
    if (++seen == 3) bench.link.disable();
  });
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 4096);
    bench.endpoint.read(kHigh + 8192, 64);
  });
  bench.run();
  CHECK(seen == 3);
  CHECK(bench.errors.downs == std::vector<LinkDownCause>{LinkDownCause::kDisabled});
  CHECK(bench.endpoint.responses.size() == 2);
  CHECK(bench.endpoint.pool.in_use() == 0);
}

TEST_CASE("rules choose by place and by chance, the same for the same seed") {
  const auto run = [](std::uint64_t seed) {
    LinkPoints points;
    TlpFaultRules rules(seed, "faults");
    TlpFaultRule nth;
    nth.what = TlpFaultKind::drop;
    nth.traffic = TrafficClass::kCompletion;
    nth.first = 5;
    nth.every = 10;
    nth.count = 3;
    rules.add(nth);
    TlpFaultRule chance;
    chance.what = TlpFaultKind::corrupt;
    chance.direction = Direction::kUp;
    chance.chance_ppb = 100'000'000;
    rules.add(chance);
    rules.arm(points);
    std::vector<std::size_t> dropped, corrupted;
    for (std::size_t i = 0; i < 2000; ++i) {
      TlpRecord record;
      record.direction = i % 2 == 0 ? Direction::kUp : Direction::kDown;
      record.traffic = i % 2 == 0 ? TrafficClass::kPosted : TrafficClass::kCompletion;
      TlpFault fault;
      points.tlp(record, fault);
      if (fault.drop) dropped.push_back(i / 2);
      if (fault.corrupt) corrupted.push_back(i);
    }
    CHECK(dropped == std::vector<std::size_t>{5, 15, 25});
    CHECK(rules.hits(0) == 3);
    CHECK(rules.hits(1) == corrupted.size());
    return corrupted;
  };
  const auto first = run(1);
  CHECK(first.size() > 100 - 5 * 10);  // 5 sigma of 1000 draws at 10 %
  CHECK(first.size() < 100 + 5 * 10);
  CHECK(run(1) == first);
  CHECK(run(2) != first);
}

TEST_CASE("a rule does not meet the replay it has caused, unless it asks for that") {
  FaultBench bench;
  TlpFaultRules rules(1, "faults");
  rules.add({TlpFaultKind::corrupt});
  rules.arm(bench.link.points());
  bench.script.at(0us, [&] {
    for (std::uint64_t i = 0; i < 20; ++i) bench.endpoint.write(kHigh + i, 64);
  });
  bench.run();
  CHECK(bench.memory.seen.size() == 20);
  CHECK(rules.hits(0) == 20);
}

TEST_CASE("a rule that can never act is refused") {
  TlpFaultRules rules(1, "faults");
  TlpFaultRule rule;
  rule.every = 0;
  CHECK_THROWS_AS(rules.add(rule), base::UserError);
  rule.every = 1;
  rule.chance_ppb = 2'000'000'000;
  CHECK_THROWS_AS(rules.add(rule), base::UserError);
}

}  // namespace nvmesim::pcie
