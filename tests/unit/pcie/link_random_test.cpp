// Random traffic in both directions: every arrival to the picosecond as a simulation of each TLP
// has it, whatever the scheduler's quantum; and the rules of order with all attributes mixed.
#include <map>

#include "pcie/link.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"
#include "tests/unit/pcie/wire_reference.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;
using test::WireJob;

constexpr std::uint32_t kMps = 256;

struct Sent {
  WireJob job;
  std::uint64_t address;
  bool completion;
};

WireJob job_of(Time now, const test::GenericPayload& payload, bool completion) {
  const std::uint32_t bytes =
      formula::whole_words(payload.get_address(), payload.get_data_length());
  if (completion) return {now, bytes <= kMps, formula::data_segments(bytes, 8, 20)};
  const std::uint32_t header = payload.get_address() >= kHigh ? 24 : 20;
  if (payload.is_write()) return {now, bytes <= kMps, formula::data_segments(bytes, 8, header)};
  const auto segments = formula::read_request_segments(bytes, 9, header);
  return {now, segments.wire_bytes() <= kMps, segments};
}

// All long writes relaxed: no barriers, so the wire alone decides.
void compare_with_reference(Time quantum) {
  LinkBench bench({}, quantum);
  base::Random random(7, "traffic");
  std::vector<Sent> sent[2];
  const auto log = [&](Direction direction, const test::GenericPayload& payload, bool completion) {
    sent[static_cast<std::size_t>(direction)].push_back(
        {job_of(bench.scheduler.now(), payload, completion), payload.get_address(), completion});
  };
  bench.memory.on_answer = [&](auto& payload) { log(Direction::kDown, payload, true); };
  bench.device.on_answer = [&](auto& payload) { log(Direction::kUp, payload, true); };
  Time at{0};
  for (std::uint64_t i = 0; i < 3000; ++i) {
    at += Time{static_cast<std::int64_t>(random.below(900'000))};
    if (random.chance(1, 200)) at += 30us;
    const bool up = random.chance(2, 3);
    const bool write = random.chance(1, 2);
    const auto bytes = 1 + random.below(random.chance(1, 2) ? 256 : 8192);
    const std::uint64_t address = (up ? kHigh : 0) + (i << 16);
    bench.script.at(at, [&bench, &log, up, write, bytes, address] {
      auto& from = up ? bench.endpoint : bench.root;
      auto& payload = from.send(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND, address,
                                bytes, test::relaxed);
      log(up ? Direction::kUp : Direction::kDown, payload, false);
    });
  }
  bench.run();
  for (const Direction direction : {Direction::kDown, Direction::kUp}) {
    const bool up = direction == Direction::kUp;
    const auto& jobs = sent[static_cast<std::size_t>(direction)];
    std::vector<WireJob> wire_jobs;
    for (const Sent& each : jobs) wire_jobs.push_back(each.job);
    const auto ends = test::simulate_wire(wire_jobs, bench.pace(), Wire::kWindow);
    std::map<std::uint64_t, Time> requests, completions;
    for (const auto& each : (up ? bench.memory : bench.device).seen) {
      requests[each.address] = each.when;
    }
    for (const auto& each : (up ? bench.root : bench.endpoint).responses) {
      completions[each.address] = each.when;
    }
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto& seen = jobs[i].completion ? completions : requests;
      wrong += seen.at(jobs[i].address) != ends[i] + bench.delay();
    }
    CHECK(jobs.size() > 1500);
    CHECK(wrong == 0);
  }
  CHECK(bench.root.pool.in_use() == 0);
  CHECK(bench.endpoint.pool.in_use() == 0);
}

}  // namespace

TEST_CASE("random traffic arrives as simulated TLP by TLP, running ahead of the clock") {
  compare_with_reference(1s);
}

TEST_CASE("random traffic arrives as simulated TLP by TLP, never ahead of the clock") {
  compare_with_reference(0s);
}

TEST_CASE("random posted writes of all kinds keep the rules of order and all arrive") {
  LinkBench bench;
  base::Random random(11, "order");
  constexpr std::size_t kCount = 4000;
  struct Write {
    Time sent;
    std::uint32_t bytes = 0;
    bool relaxed = false;
  };
  std::vector<Write> writes(kCount);
  Time at{0};
  for (std::size_t i = 0; i < kCount; ++i) {
    at += Time{static_cast<std::int64_t>(random.below(400'000))};
    Write& write = writes[i];
    write.sent = at;
    write.bytes = static_cast<std::uint32_t>(1 + random.below(random.chance(1, 3) ? 6000 : 256));
    write.relaxed = random.chance(3, 4);
    const bool defer = random.chance(1, 2);
    const bool awaited = random.chance(1, 4);
    bench.script.at(at, [&bench, i, &write, defer, awaited] {
      bench.endpoint.write(kHigh + 64 * i, write.bytes, [&](Tlp& tlp) {
        tlp.relaxed_ordering = write.relaxed;
        tlp.deferrable = defer;
        tlp.sent_awaited = awaited;
      });
    });
    if (random.chance(1, 50)) {
      const bool promptly = random.chance(1, 2);
      bench.script.at(
          at, [&bench, promptly] { bench.link.deliver_promptly(Direction::kUp, promptly); });
    }
  }
  bench.run();
  REQUIRE(bench.memory.seen.size() == kCount);
  CHECK(bench.endpoint.responses.size() == kCount);
  CHECK(bench.endpoint.pool.in_use() == 0);
  std::vector<std::size_t> place(kCount);
  for (std::size_t i = 0; i < kCount; ++i) place[(bench.memory.seen[i].address - kHigh) / 64] = i;
  std::vector<Time> issued(kCount);
  for (const auto& each : bench.endpoint.responses) issued[(each.address - kHigh) / 64] = each.when;
  std::size_t overtaken = 0;
  std::size_t broken = 0;
  for (std::size_t j = 0; j < kCount; ++j) {
    for (std::size_t i = j > 200 ? j - 200 : 0; i < j; ++i) {
      if (place[i] < place[j]) continue;
      ++overtaken;
      // Only a relaxed long write whose last TLP was not issued yet may be passed.
      const bool allowed =
          writes[i].relaxed && writes[i].bytes > kMps && issued[i] >= writes[j].sent;
      broken += !allowed;
    }
  }
  CHECK(overtaken > 50);
  CHECK(broken == 0);
}

}  // namespace nvmesim::pcie
