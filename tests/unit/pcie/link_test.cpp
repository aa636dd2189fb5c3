// Segmentation, serialisation and delay of one request at a time, by closed forms.
#include "pcie/link.hpp"

#include <map>

#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

constexpr std::uint32_t kSizes[] = {1, 4, 64, 128, 255, 256, 257, 511, 512, 1000, 4096, 131072};

std::uint64_t words(std::uint64_t bytes) {
  return (bytes + 3) / 4 * 4;
}

std::uint64_t pieces(std::uint64_t bytes, std::uint64_t by) {
  return (bytes + by - 1) / by;
}

}  // namespace

TEST_CASE("a posted write arrives after its bytes, a header for each MPS, and the delay") {
  LinkBench bench;
  for (std::size_t i = 0; i < std::size(kSizes); ++i) {
    const auto at = std::chrono::milliseconds(i);
    bench.script.at(at, [&bench, i] { bench.endpoint.write(kHigh + 64 * i, kSizes[i]); });
    bench.script.at(at + 500us, [&bench, i] { bench.endpoint.write(64 + 64 * i, kSizes[i]); });
  }
  bench.run();
  for (std::size_t i = 0; i < std::size(kSizes); ++i) {
    INFO(kSizes[i] << " bytes");
    const Time at = std::chrono::milliseconds(i);
    const auto wire = [&](unsigned header) {
      return bench.pace()(words(kSizes[i]) + header * pieces(kSizes[i], 256));
    };
    CHECK(bench.memory.seen_at(kHigh + 64 * i) == at + wire(24) + bench.delay());
    CHECK(bench.memory.seen_at(64 + 64 * i) == at + 500us + wire(20) + bench.delay());
    if (kSizes[i] > 256) {  // its last TLP has been issued
      CHECK(bench.endpoint.response_to(kHigh + 64 * i) == at + wire(24));
    }
  }
  CHECK(bench.endpoint.pool.in_use() == 0);
}

TEST_CASE("a read takes its requests, the completer's latency, and its completions") {
  LinkConfig config;
  config.generation = 3;
  config.lanes = 8;
  LinkBench bench(config);
  bench.memory.latency = 300ns;
  for (std::size_t i = 0; i < std::size(kSizes); ++i) {
    bench.script.at(std::chrono::milliseconds(i),
                    [&bench, i] { bench.endpoint.read(kHigh + 64 * i, kSizes[i]); });
  }
  bench.run();
  for (std::size_t i = 0; i < std::size(kSizes); ++i) {
    INFO(kSizes[i] << " bytes");
    const Time arrival =
        std::chrono::milliseconds(i) + bench.pace()(24 * pieces(kSizes[i], 512)) + bench.delay();
    CHECK(bench.memory.seen_at(kHigh + 64 * i) == arrival);
    CHECK(bench.endpoint.response_to(kHigh + 64 * i) ==
          arrival + 300ns + bench.pace()(words(kSizes[i]) + 20 * pieces(kSizes[i], 256)) +
              bench.delay());
  }
}

TEST_CASE("with an RCB completions are cut at it") {
  LinkConfig config;
  config.read_completion_boundary_bytes = 64;
  LinkBench bench(config);
  bench.script.at(0us, [&] { bench.endpoint.read(kHigh, 4096); });
  bench.run();
  const Time arrival = bench.pace()(24 * 8) + bench.delay();
  CHECK(bench.endpoint.response_to(kHigh) ==
        arrival + bench.memory.latency + bench.pace()(4096 + 64 * 20) + bench.delay());
  CHECK(bench.link.counters(Direction::kDown, TrafficClass::kCompletion).tlps == 64);
}

TEST_CASE("configuration requests are non-posted and take 20 bytes each way, data apart") {
  LinkBench bench;
  const auto configuration = [](Tlp& tlp) { tlp.kind = TlpKind::kConfig0; };
  bench.script.at(0us, [&] { bench.root.send(tlm::TLM_WRITE_COMMAND, 0x10, 4, configuration); });
  bench.script.at(1ms, [&] { bench.root.send(tlm::TLM_READ_COMMAND, 0x14, 4, configuration); });
  bench.run();
  const Time there_and_back = 2 * bench.delay() + bench.device.latency;
  CHECK(bench.device.seen_at(0x10) == bench.pace()(24) + bench.delay());
  CHECK(bench.root.response_to(0x10) == there_and_back + bench.pace()(24) + bench.pace()(20));
  CHECK(bench.root.response_to(0x14) ==
        Time(1ms) + there_and_back + bench.pace()(20) + bench.pace()(24));
}

TEST_CASE("a refused read comes back without data") {
  LinkBench bench;
  bench.memory.on_answer = [](test::GenericPayload& payload) {
    payload.set_response_status(kStatusUnsupportedRequest);
  };
  bench.script.at(0us, [&] { bench.endpoint.read(kHigh, 512); });
  bench.run();
  CHECK(bench.endpoint.response_to(kHigh) ==
        bench.pace()(24) + bench.pace()(20) + 2 * bench.delay() + bench.memory.latency);
  CHECK(bench.endpoint.statuses.at(0) == kStatusUnsupportedRequest);
}

TEST_CASE("a short write whose issue is awaited is reported when its last byte has left") {
  LinkBench bench;
  const auto awaited = [](Tlp& tlp) { tlp.sent_awaited = true; };
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 256, awaited);
    bench.endpoint.write(kHigh + 64, 64, awaited);
    bench.endpoint.write(kHigh + 128, 64);
  });
  bench.run();
  CHECK(bench.endpoint.response_to(kHigh) == bench.pace()(280));
  CHECK(bench.endpoint.response_to(kHigh + 64) == bench.pace()(280 + 88));
  CHECK(bench.endpoint.response_to(kHigh + 128) == bench.memory.seen_at(kHigh + 128));
  CHECK(bench.memory.seen_at(kHigh + 64) == bench.pace()(280 + 88) + bench.delay());
}

TEST_CASE("each delivery costs one entry, and the report of a long write's issue one more") {
  LinkBench bench;
  std::uint64_t before = 0;
  std::map<std::string, std::uint64_t> cost;
  const auto measure = [&](Time at, const std::string& what, std::function<void()> step) {
    bench.script.at(at, [&bench, &before, step] {
      before = bench.scheduler.entries_run();
      step();
    });
    bench.script.at(at + 500us, [&bench, &before, &cost, what] {
      cost[what] = bench.scheduler.entries_run() - before - 1;  // its own step is one
    });
  };
  measure(1ms, "short write", [&] { bench.endpoint.write(kHigh, 64); });
  measure(2ms, "long write", [&] { bench.endpoint.write(kHigh, 4096); });
  measure(3ms, "read", [&] { bench.endpoint.read(kHigh, 4096); });
  measure(4ms, "three long reads", [&] {
    for (int i = 0; i < 3; ++i) bench.endpoint.read(kHigh, 4096);
  });
  measure(5ms, "deferred write", [&] { bench.endpoint.write(kHigh, 16, test::deferrable); });
  bench.run();
  CHECK(cost["short write"] == 1);
  CHECK(cost["long write"] == 2);
  CHECK(cost["read"] == 2 + 1);  // the bench's memory answers by an entry
  CHECK(cost["three long reads"] == 3 * (2 + 1));
  CHECK(cost["deferred write"] == 0);
}

TEST_CASE("statistics count TLPs and bytes by class, and busy time is bytes times pace") {
  LinkBench bench;
  base::StatisticsRegistry registry;
  bench.link.register_statistics(registry, "link");
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 4096, test::relaxed);
    bench.endpoint.read(kHigh + 4096, 1024);
    bench.root.write(0x100, 4);
  });
  bench.run();
  std::map<std::string, std::uint64_t> value;
  for (const auto& statistic : registry.statistics()) value[statistic.name] = statistic.value();
  CHECK(value.at("link.up.posted_tlps") == 16);
  CHECK(value.at("link.up.posted_payload_bytes") == 4096);
  CHECK(value.at("link.up.posted_wire_bytes") == 4096 + 16 * 24);
  CHECK(value.at("link.up.non_posted_tlps") == 2);
  CHECK(value.at("link.up.non_posted_payload_bytes") == 0);
  CHECK(value.at("link.down.completion_tlps") == 4);
  CHECK(value.at("link.down.completion_wire_bytes") == 1024 + 4 * 20);
  CHECK(value.at("link.down.posted_wire_bytes") == 24);
  const auto utilisations = registry.utilisations();
  REQUIRE(utilisations.size() == 2);
  CHECK(utilisations[0].name == "link.down");
  CHECK(utilisations[0].group == "link");
  CHECK(utilisations[1].busy() == bench.pace()(4096 + 16 * 24 + 2 * 24));
}

TEST_CASE("every parameter of a link is described, and survives JSON") {
  base::check_params<LinkConfig>();
}

TEST_CASE("a link that cannot be built is the user's mistake, named") {
  const auto rejects = [](auto change) {
    LinkConfig config;
    change(config);
    CHECK_THROWS_AS(config.validate(), base::UserError);
  };
  rejects([](LinkConfig& config) { config.generation = 7; });
  rejects([](LinkConfig& config) { config.generation = 0; });
  rejects([](LinkConfig& config) { config.lanes = 3; });
  rejects([](LinkConfig& config) { config.lanes = 32; });
  rejects([](LinkConfig& config) { config.max_payload_bytes = 300; });
  rejects([](LinkConfig& config) { config.max_payload_bytes = 64; });
  rejects([](LinkConfig& config) { config.max_read_request_bytes = 8192; });
  rejects([](LinkConfig& config) { config.read_completion_boundary_bytes = 32; });
  rejects([](LinkConfig& config) { config.replay_buffer_tlps = 0; });
  rejects([](LinkConfig& config) { config.bit_errors_per_petabit = 2'000'000'000'000; });
  rejects([](LinkConfig& config) { config.credits.posted_data = 15; });
  rejects([](LinkConfig& config) { config.credits.completion_data = 1; });
  rejects([](LinkConfig& config) { config.training.initial_us = 100; });
  LinkConfig().validate();
  LinkConfig config;
  config.generation = 7;
  CHECK_THROWS_WITH(config.validate(), "generation is 7; it must be 1 to 6");
}

}  // namespace nvmesim::pcie
