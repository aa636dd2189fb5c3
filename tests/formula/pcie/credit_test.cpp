// Receive buffers: with room for k TLPs the throughput is k TLPs per credit round trip.
#include <memory>
#include <vector>

#include "pcie/link.hpp"
#include "tests/formula/pcie/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LoadedLink;

constexpr Time kUpdate = 100ns;

// From the start of a TLP until its credit is back: it is serialised, travels, its place is
// emptied, an UpdateFC of 8 bytes comes back.
Time credit_round_trip(const LinkConfig& config, std::uint32_t wire_bytes) {
  const base::Pace raw = formula::raw_pace(config.generation, config.lanes);
  const Time delay = std::chrono::nanoseconds(config.propagation_ns + config.stack_latency_ns);
  return raw(wire_bytes) + delay + kUpdate + raw(8) + delay;
}

// Mean time between arrivals, warm-up left out.
Time spacing(const std::vector<test::Seen>& seen) {
  const std::size_t skip = seen.size() / 10;
  return (seen.back().when - seen[skip].when) / static_cast<std::int64_t>(seen.size() - 1 - skip);
}

double ratio(Time measured, Time expected) {
  return static_cast<double>(measured.count()) / static_cast<double>(expected.count());
}

}  // namespace

TEST_CASE("with credits for one TLP one TLP goes per credit round trip") {
  base::Scheduler scheduler("scheduler");
  test::Script script(scheduler);
  std::vector<std::unique_ptr<LoadedLink>> links;
  for (unsigned generation = 1; generation <= 5; ++generation) {
    for (const unsigned lanes : {1U, 4U, 16U}) {
      for (const bool headers : {true, false}) {
        LinkConfig config;
        config.generation = generation;
        config.lanes = lanes;
        config.credits.posted_headers = headers ? 1 : 0;
        config.credits.posted_data = headers ? 0 : 16;
        config.credits.update_latency_ns = 100;
        auto& load = *links.emplace_back(
            std::make_unique<LoadedLink>("l" + std::to_string(links.size()), config, scheduler));
        load.endpoint.on_response = {};
        script.at(0us, [&load] {
          for (std::uint64_t i = 0; i < 500; ++i) load.endpoint.write(kHigh + 256 * i, 256);
        });
      }
    }
  }
  sc_core::sc_start();
  for (const auto& load : links) {
    const LinkConfig& config = load->link.config();
    INFO("generation " << config.generation << " x" << config.lanes);
    REQUIRE(load->memory.seen.size() == 500);
    CHECK(ratio(spacing(load->memory.seen), credit_round_trip(config, 280)) ==
          Approx(1).epsilon(0.01));
  }
}

TEST_CASE("with credits for k TLPs k go per round trip, up to what the wire carries") {
  base::Scheduler scheduler("scheduler");
  test::Script script(scheduler);
  std::vector<std::unique_ptr<LoadedLink>> links;
  for (const unsigned credits : {2U, 4U, 8U, 64U}) {
    LinkConfig config;
    config.credits.posted_headers = credits;
    config.credits.update_latency_ns = 100;
    auto& load = *links.emplace_back(
        std::make_unique<LoadedLink>("l" + std::to_string(credits), config, scheduler));
    load.endpoint.on_response = {};
    script.at(0us, [&load] {
      for (std::uint64_t i = 0; i < 2000; ++i) load.endpoint.write(kHigh + 256 * i, 256);
    });
  }
  sc_core::sc_start();
  const LinkConfig config;
  const Time by_wire = formula::tlp_pace(config.generation, config.lanes, 256)(280);
  for (const auto& load : links) {
    const unsigned credits = load->link.config().credits.posted_headers;
    INFO(credits << " credits");
    const Time by_credit = credit_round_trip(config, 280) / credits;
    CHECK(ratio(spacing(load->memory.seen), std::max(by_credit, by_wire)) ==
          Approx(1).epsilon(0.015));
  }
}

TEST_CASE("with one credit for reads they go one at a time, whatever waits") {
  LinkConfig config;
  config.credits.non_posted_headers = 1;
  config.credits.update_latency_ns = 100;
  test::LinkBench bench(config);
  bench.script.at(0us, [&] {
    for (std::uint64_t i = 0; i < 200; ++i) bench.endpoint.read(kHigh + 4096 * i, 64);
  });
  bench.run();
  REQUIRE(bench.endpoint.responses.size() == 200);
  CHECK(ratio(spacing(bench.memory.seen), credit_round_trip(config, 24)) ==
        Approx(1).epsilon(0.01));
}

TEST_CASE("room for one completion of one MPS limits a long read to one per round trip") {
  LinkConfig config;
  config.credits.completion_data = 16;
  config.credits.update_latency_ns = 100;
  test::LinkBench bench(config);
  bench.script.at(0us, [&] { bench.endpoint.read(kHigh, 131072); });
  bench.run();
  const Time took = bench.endpoint.response_to(kHigh) - bench.memory.answered.at(0).when;
  CHECK(ratio(took, 512 * credit_round_trip(config, 276)) == Approx(1).epsilon(0.01));
}

TEST_CASE("ample credits are as good as infinite ones") {
  base::Scheduler scheduler("scheduler");
  test::Script script(scheduler);
  LinkConfig config;
  config.resolution = LinkResolution::tlp;
  LoadedLink infinite("infinite", config, scheduler);
  config.credits = {256, 4096, 256, 256, 256, 4096, 0};
  LoadedLink ample("ample", config, scheduler);
  LoadedLink::Stream streams[2];
  for (auto& stream : streams) stream.count = 400;
  infinite.begin(streams[0], 32, script);
  ample.begin(streams[1], 32, script);
  sc_core::sc_start();
  CHECK(ratio(streams[1].last, streams[0].last) == Approx(1).epsilon(0.005));
}

}  // namespace nvmesim::pcie
