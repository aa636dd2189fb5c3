// Who may pass whom: the table, and for each pair of classes and each attribute what a link that
// wants for credits does.
#include "pcie/ordering.hpp"

#include <array>
#include <string>

#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

constexpr RequesterId kMe(0x0100);
constexpr RequesterId kOther(0x0101);

OrderKey key(TrafficClass traffic, bool relaxed, bool id_based, bool write, RequesterId id) {
  return {traffic, relaxed, id_based, write, id};
}

}  // namespace

TEST_CASE("the ordering table of the specification, entry by entry") {
  constexpr auto kP = TrafficClass::kPosted;
  constexpr auto kN = TrafficClass::kNonPosted;
  constexpr auto kC = TrafficClass::kCompletion;
  struct Row {
    TrafficClass later;
    bool write;
    // May it pass a posted write: as it is, with RO, with IDO of the same sender, of another one.
    std::array<bool, 4> posted;
  };
  constexpr Row kRows[] = {
      {kP, true, {false, true, false, true}},
      {kN, false, {false, false, false, true}},  // a read: RO does not help
      {kN, true, {false, true, false, true}},    // a configuration write
      {kC, false, {false, true, false, true}},
      {kC, true, {true, true, true, true}},  // the completion of a configuration write
  };
  const OrderKey posted = key(kP, true, true, true, kMe);  // the attributes of the later one count
  for (const Row& row : kRows) {
    INFO("class " << static_cast<int>(row.later) << (row.write ? " with data" : ""));
    CHECK(may_pass(key(row.later, false, false, row.write, kOther), posted) == row.posted[0]);
    CHECK(may_pass(key(row.later, true, false, row.write, kMe), posted) == row.posted[1]);
    CHECK(may_pass(key(row.later, false, true, row.write, kMe), posted) == row.posted[2]);
    CHECK(may_pass(key(row.later, false, true, row.write, kOther), posted) == row.posted[3]);
    for (const TrafficClass earlier : {kN, kC}) {  // no attribute needed
      CHECK(may_pass(key(row.later, false, false, row.write, kMe),
                     key(earlier, false, false, false, kMe)));
    }
  }
}

namespace {

// One litmus test on a link of its own: the first transfer wants for credits when the second is
// sent. Upwards: posted writes, reads, configuration requests and completions of the endpoint.
enum class Sent { kWrite, kRead, kConfigWrite, kCompletion };

struct Litmus {
  LinkBench bench;
  Sent blocked;

  // Room for 128 bytes of posted data, one read, no matter how many completions: enough for the
  // filler, not for the blocked one behind it.
  static LinkConfig config(Sent blocked) {
    LinkConfig config;
    config.max_payload_bytes = 128;
    config.credits.update_latency_ns = 5000;
    switch (blocked) {
      case Sent::kWrite:
        config.credits.posted_data = 9;
        break;
      case Sent::kRead:
        config.credits.non_posted_headers = 1;
        break;
      case Sent::kConfigWrite:
        config.credits.non_posted_data = 1;
        break;
      case Sent::kCompletion:
        config.credits.completion_data = 9;
        break;
    }
    return config;
  }

  explicit Litmus(Sent what) : bench(config(what)), blocked(what) { bench.device.latency = 0ns; }

  void send(Sent what, std::uint64_t address, std::size_t bytes,
            const std::function<void(Tlp&)>& set) {
    switch (what) {
      case Sent::kWrite:
        bench.endpoint.write(address, bytes, set);
        break;
      case Sent::kRead:
        bench.endpoint.send(tlm::TLM_READ_COMMAND, address, 64, set);
        break;
      case Sent::kConfigWrite:
        bench.endpoint.send(tlm::TLM_WRITE_COMMAND, address, 4, [&set](Tlp& tlp) {
          tlp.kind = TlpKind::kConfig0;
          if (set) set(tlp);
        });
        break;
      case Sent::kCompletion:
        break;  // answers the read that the root has sent
    }
  }

  // The order of arrival at the root: 1 if `second` came before the blocked first.
  // The completions are answers to reads that the root sends before.
  bool passes(Sent second, const std::function<void(Tlp&)>& set) {
    constexpr std::uint64_t kFiller = 0x1000, kFirst = 0x2000, kSecond = 0x3000;
    const auto mine = [](Tlp& tlp) { tlp.requester = tlp.completer = kMe; };
    const auto theirs = [&](Tlp& tlp) {
      tlp.requester = tlp.completer = kMe;
      if (set) set(tlp);
    };
    bench.device.on_answer = nullptr;
    const auto start = [&](Sent what, std::uint64_t address, std::size_t bytes,
                           const std::function<void(Tlp&)>& attributes, Time at) {
      if (what == Sent::kCompletion) {
        bench.script.at(at - (bench.delay() + 20ns), [this, address, bytes, attributes] {
          bench.root.send(tlm::TLM_READ_COMMAND, address, bytes, attributes);
        });
      } else {
        bench.script.at(at, [this, what, address, bytes, attributes] {
          send(what, address, bytes, attributes);
        });
      }
    };
    start(blocked, kFiller, 128, mine, 1us);
    start(blocked, kFirst, 128, mine, Time(1us) + 200ns);
    start(second, kSecond, 4, theirs, Time(1us) + 400ns);
    bench.run();
    return arrival(second, kSecond) < arrival(blocked, kFirst);
  }
  Time arrival(Sent what, std::uint64_t address) const {
    const Time when =
        what == Sent::kCompletion ? bench.root.response_to(address) : bench.memory.seen_at(address);
    CHECK(when != base::kTimeMax);
    return when;
  }
};

void plain(Tlp&) {}
void ro(Tlp& tlp) {
  tlp.relaxed_ordering = true;
}
void ido(Tlp& tlp) {
  tlp.id_based_ordering = true;
}
void ido_of_another(Tlp& tlp) {
  tlp.id_based_ordering = true;
  tlp.requester = tlp.completer = kOther;
}

}  // namespace

TEST_CASE("litmus: a posted write does not pass a posted write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kWrite, plain));
}
TEST_CASE("litmus: a posted write with relaxed ordering passes a posted write") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kWrite, ro));
}
TEST_CASE("litmus: a posted write with ID-based ordering does not pass one of its own requester") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kWrite, ido));
}
TEST_CASE("litmus: a posted write with ID-based ordering passes one of another requester") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kWrite, ido_of_another));
}
TEST_CASE("litmus: a read does not pass a posted write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kRead, plain));
}
TEST_CASE("litmus: a read does not pass a posted write with relaxed ordering either") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kRead, ro));
}
TEST_CASE("litmus: a read with ID-based ordering does not pass its own requester's write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kRead, ido));
}
TEST_CASE("litmus: a read with ID-based ordering passes another requester's write") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kRead, ido_of_another));
}
TEST_CASE("litmus: a configuration write does not pass a posted write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kConfigWrite, plain));
}
TEST_CASE("litmus: a configuration write with relaxed ordering passes a posted write") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kConfigWrite, ro));
}
TEST_CASE("litmus: a completion does not pass a posted write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kCompletion, plain));
}
TEST_CASE("litmus: a completion with relaxed ordering passes a posted write") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kCompletion, ro));
}
TEST_CASE("litmus: a completion with ID-based ordering does not pass its own function's write") {
  CHECK_FALSE(Litmus(Sent::kWrite).passes(Sent::kCompletion, ido));
}
TEST_CASE("litmus: a completion with ID-based ordering passes another function's write") {
  CHECK(Litmus(Sent::kWrite).passes(Sent::kCompletion, ido_of_another));
}
TEST_CASE("litmus: a posted write passes a read that cannot go") {
  CHECK(Litmus(Sent::kRead).passes(Sent::kWrite, plain));
}
TEST_CASE("litmus: a completion passes a read that cannot go") {
  CHECK(Litmus(Sent::kRead).passes(Sent::kCompletion, plain));
}
TEST_CASE("litmus: a read does not pass a read that wants for the same credits") {
  CHECK_FALSE(Litmus(Sent::kRead).passes(Sent::kRead, ro));
}
TEST_CASE("litmus: a posted write passes a configuration write that cannot go") {
  CHECK(Litmus(Sent::kConfigWrite).passes(Sent::kWrite, plain));
}
TEST_CASE("litmus: a read passes a configuration write that cannot go") {
  CHECK(Litmus(Sent::kConfigWrite).passes(Sent::kRead, plain));
}
TEST_CASE("litmus: a completion passes a configuration write that cannot go") {
  CHECK(Litmus(Sent::kConfigWrite).passes(Sent::kCompletion, plain));
}
TEST_CASE("litmus: a posted write passes a completion that cannot go") {
  CHECK(Litmus(Sent::kCompletion).passes(Sent::kWrite, plain));
}
TEST_CASE("litmus: a read passes a completion that cannot go") {
  CHECK(Litmus(Sent::kCompletion).passes(Sent::kRead, plain));
}
TEST_CASE("litmus: a short completion passes a long one of another request for want of credits") {
  CHECK(Litmus(Sent::kCompletion).passes(Sent::kCompletion, plain));
}

TEST_CASE("a full non-posted queue never blocks posted writes, however long it is") {
  LinkConfig config;
  config.credits.non_posted_headers = 1;
  config.credits.update_latency_ns = 1'000'000;  // as good as never
  LinkBench bench(config);
  bench.script.at(0us, [&] {
    for (std::uint64_t i = 0; i < 600; ++i) bench.endpoint.read(kHigh + i, 64);
    for (std::uint64_t i = 0; i < 100; ++i) bench.endpoint.write(2 * kHigh + i, 256);
  });
  std::size_t writes = 0;
  bench.script.at(20us, [&] {
    for (const auto& each : bench.memory.seen) writes += each.address >= 2 * kHigh;
    sc_core::sc_stop();
  });
  bench.run();
  CHECK(writes == 100);
}

TEST_CASE("a posted write that wants for credits is not passed for ever") {
  LinkConfig config;
  config.credits.posted_data = 16;
  config.credits.update_latency_ns = 10;
  LinkBench bench(config);
  // A steady stream of small relaxed writes takes each credit as it comes.
  for (std::uint64_t i = 0; i < 4000; ++i) {
    bench.script.at(Time(i * 5ns),
                    [&bench, i] { bench.endpoint.write(kHigh + 1 + i, 16, test::relaxed); });
  }
  bench.script.at(200ns, [&] { bench.endpoint.write(kHigh, 256); });
  bench.run();
  REQUIRE(bench.memory.seen.size() == 4001);
  std::size_t before = 0;
  while (bench.memory.seen[before].address != kHigh) ++before;
  CHECK(before > 40);   // it was passed
  CHECK(before < 250);  // but not by all
}

}  // namespace nvmesim::pcie
