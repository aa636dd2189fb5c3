// Bytes on the wire: whole double words, and completions that end at their boundaries.
#include "pcie/link.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

std::uint64_t wire(const Link& link, Direction direction, TrafficClass traffic) {
  return link.counters(direction, traffic).wire_bytes;
}

// Odd sizes at odd addresses: bytes on the wire, and TLPs, of each class.
struct Traffic {
  std::vector<std::uint64_t> bytes;
  std::vector<std::uint64_t> tlps;
};

Traffic odd_traffic() {
  LinkConfig config;
  config.max_payload_bytes = 128;
  LinkBench bench(config);
  Time at = 1us;
  for (const std::uint64_t address : {kHigh, kHigh + 1, kHigh + 0x1003, kHigh + 0x203E}) {
    for (const std::size_t bytes : {1U, 3U, 4U, 61U, 127U, 128U, 129U, 700U}) {
      bench.script.at(at, [&, address, bytes] { bench.endpoint.write(address, bytes); });
      bench.script.at(at + 5us, [&, address, bytes] { bench.endpoint.read(address, bytes); });
      at += 10us;
    }
  }
  bench.run();
  Traffic traffic;
  for (const auto& [direction, of] : {std::pair{Direction::kUp, TrafficClass::kPosted},
                                      std::pair{Direction::kUp, TrafficClass::kNonPosted},
                                      std::pair{Direction::kDown, TrafficClass::kCompletion}}) {
    traffic.bytes.push_back(wire(bench.link, direction, of));
    traffic.tlps.push_back(bench.link.counters(direction, of).tlps);
  }
  return traffic;
}

}  // namespace

TEST_CASE("a write is charged in whole double words, those that it touches") {
  LinkBench bench;
  bench.script.at(0us, [&] {
    bench.endpoint.write(kHigh, 1);        // 4
    bench.endpoint.write(kHigh + 3, 2);    // two words: 8
    bench.endpoint.write(kHigh + 2, 256);  // 260: one more TLP
  });
  bench.run();
  CHECK(wire(bench.link, Direction::kUp, TrafficClass::kPosted) ==
        (4 + 24) + (8 + 24) + (260 + 2 * 24));
  CHECK(bench.link.counters(Direction::kUp, TrafficClass::kPosted).payload_bytes == 259);
}

TEST_CASE("byte enables at the ends shorten a write on the wire") {
  LinkBench bench;
  std::array<unsigned char, 64> enables{};
  std::fill(enables.begin() + 9, enables.begin() + 22, TLM_BYTE_ENABLED);  // bytes 9 to 21
  bench.script.at(0us, [&] {
    auto* payload = bench.endpoint.pool.take();
    std::array<unsigned char, 64> data{};
    payload->set_inline(data.data(), data.size());
    payload->set_command(tlm::TLM_WRITE_COMMAND);
    payload->set_address(kHigh);
    payload->set_byte_enable_ptr(enables.data());
    payload->set_byte_enable_length(64);
    bench.endpoint.out.request(*payload);
  });
  bench.run();
  CHECK(wire(bench.link, Direction::kUp, TrafficClass::kPosted) == 16 + 24);
}

TEST_CASE("configuration accesses carry one double word, whatever their size") {
  LinkBench bench;
  const auto configuration = [](Tlp& tlp) { tlp.kind = TlpKind::kConfig0; };
  bench.script.at(0us, [&] {
    bench.root.write(0x06, 2, configuration);
    bench.root.send(tlm::TLM_READ_COMMAND, 0x0B, 1, configuration);
  });
  bench.run();
  CHECK(wire(bench.link, Direction::kDown, TrafficClass::kNonPosted) == 24 + 20);
  CHECK(wire(bench.link, Direction::kUp, TrafficClass::kCompletion) == 20 + 24);
}

TEST_CASE("bursts charge odd requests by the closed form") {
  const Traffic burst = odd_traffic();
  std::vector<std::uint64_t> bytes(3), tlps(3);
  for (const std::uint64_t address : {kHigh, kHigh + 1, kHigh + 0x1003, kHigh + 0x203E}) {
    for (const std::uint32_t size : {1U, 3U, 4U, 61U, 127U, 128U, 129U, 700U}) {
      const std::uint32_t words = formula::whole_words(address, size);
      const formula::Segments all[] = {formula::data_segments(words, 7, 24),
                                       formula::read_request_segments(words, 9, 24),
                                       formula::completion_segments(address, size, 7, 9, 20)};
      for (std::size_t i = 0; i < 3; ++i) {
        bytes[i] += all[i].wire_bytes();
        tlps[i] += all[i].tlps;
      }
    }
  }
  CHECK(burst.bytes == bytes);
  CHECK(burst.tlps == tlps);
}

TEST_CASE("single TLPs of odd requests are as many and as long as bursts have them") {
  LinkConfig config;
  config.resolution = LinkResolution::tlp;
  LinkBench bench(config);
  std::uint64_t logged = 0;
  std::uint64_t tlps = 0;
  bench.link.set_tlp_log([&](const TlpRecord& record) {
    ++tlps;
    CHECK(record.bytes % 4 == 0);
    if (record.has_data()) logged += record.bytes;
  });
  base::Random random(3, "odd");
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t address = kHigh + random.below(4000);
    const auto bytes = static_cast<std::size_t>(1 + random.below(3000));
    bench.script.at(Time(i * 5us), [&bench, address, bytes, write = random.chance(1, 2)] {
      if (write) {
        bench.endpoint.write(address, bytes);
      } else {
        bench.endpoint.read(address, bytes);
      }
    });
  }
  bench.run();
  std::uint64_t wire_bytes = 0, expected = 0;
  for (const auto& [direction, of] : {std::pair{Direction::kUp, TrafficClass::kPosted},
                                      std::pair{Direction::kUp, TrafficClass::kNonPosted},
                                      std::pair{Direction::kDown, TrafficClass::kCompletion}}) {
    const auto& counters = bench.link.counters(direction, of);
    wire_bytes += counters.wire_bytes - (of == TrafficClass::kCompletion ? 20 : 24) * counters.tlps;
    expected += counters.tlps;
  }
  CHECK(tlps == expected);
  CHECK(logged == wire_bytes);
}

TEST_CASE("completions of a read are as many as one by one, and end where they must") {
  base::Random random(4, "completions");
  for (int i = 0; i < 5000; ++i) {
    const unsigned shift = 6 + static_cast<unsigned>(random.below(5));    // 64 to 1024
    const unsigned request = 7 + static_cast<unsigned>(random.below(6));  // 128 to 4096
    if (request < shift) continue;
    const std::uint64_t address = random.below(1 << 16);
    const auto bytes = static_cast<std::uint32_t>(1 + random.below(4096));
    const auto segments = formula::completion_segments(address, bytes, shift, request, 20);
    const std::uint32_t words = formula::whole_words(address, bytes);
    const std::uint64_t start = address & ~std::uint64_t{3};
    const std::uint64_t boundary = shift == 7 ? 128 : 64;
    std::uint32_t sum = 0;
    for (std::uint32_t k = 0; k < segments.tlps; ++k) {
      const auto piece = formula::completion_piece(address, bytes, shift, request, k);
      REQUIRE(piece.begin == sum);
      REQUIRE(piece.bytes > 0);
      REQUIRE(piece.bytes <= 1U << shift);
      sum += piece.bytes;
      // The end of a request, or a boundary of the address.
      const bool of_request = sum == words || sum % (1U << request) == 0;
      REQUIRE((of_request || (start + sum) % boundary == 0));
    }
    REQUIRE(sum == words);
    REQUIRE(segments.wire_bytes() == words + 20 * segments.tlps);
  }
}

}  // namespace nvmesim::pcie
