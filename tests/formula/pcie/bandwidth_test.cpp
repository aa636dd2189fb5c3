// The link's bandwidth against the published tables: intervals of ACK and UpdateFC in symbol times,
// and GB/s of 4 KiB transfers. Everything here is computed anew, in floating point.
#include <cmath>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "pcie/link.hpp"
#include "tests/formula/pcie/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;

// Rows x1, x4, x8, x16; columns MPS 128, 256, 512.
constexpr unsigned kLanes[] = {1, 4, 8, 16};
constexpr unsigned kPayloads[] = {128, 256, 512};
constexpr double kIntervals[3][4][3] = {
    {{237, 416, 559}, {73, 118, 154}, {67, 107, 86}, {48, 72, 86}},
    {{288, 467, 610}, {124, 169, 205}, {118, 158, 137}, {99, 123, 137}},
    {{333, 512, 655}, {169, 214, 250}, {163, 203, 182}, {144, 168, 182}}};

std::size_t index_of(const unsigned* values, unsigned value) {
  std::size_t i = 0;
  while (values[i] != value) ++i;
  return i;
}

double raw_gbps(unsigned generation, unsigned lanes) {
  constexpr double kTransfers[] = {2.5, 5, 8, 16, 32};
  return kTransfers[generation - 1] * (generation <= 2 ? 8.0 / 10 : 128.0 / 130) * lanes / 8;
}

double tlp_gbps(unsigned generation, unsigned lanes, unsigned payload) {
  const double interval = kIntervals[generation >= 3 ? 2 : generation - 1][index_of(kLanes, lanes)]
                                    [index_of(kPayloads, payload)];
  return raw_gbps(generation, lanes) * (1 - (8 / interval + 8 / interval) / lanes - 4.0 / 1538);
}

double efficiency(double bytes, double piece, double header) {
  return bytes / (bytes + std::ceil(bytes / piece) * header);
}

double gbps(base::Pace pace) {
  return 1000.0 * static_cast<double>(pace.denominator()) /
         static_cast<double>(pace.numerator_ps());
}

struct Row {
  unsigned generation, lanes;
  double raw, write128, write256, write512, read256, read64;
};
constexpr Row kTable[] = {
    {1, 4, 1.000, 0.794, 0.881, 0.928, 0.894, 0.734},
    {2, 4, 2.000, 1.626, 1.781, 1.868, 1.806, 1.484},
    {3, 4, 3.938, 3.229, 3.524, 3.692, 3.575, 2.937},
    {4, 4, 7.877, 6.459, 7.048, 7.384, 7.151, 5.874},
    {5, 4, 15.754, 12.918, 14.097, 14.769, 14.301, 11.747},
    {3, 1, 0.985, 0.787, 0.870, 0.915, 0, 0},
    {3, 8, 7.877, 6.535, 7.112, 7.422, 0, 0},
    {3, 16, 15.754, 13.140, 14.280, 14.927, 0, 0},
    {4, 16, 31.508, 26.280, 28.561, 29.853, 0, 0},
    {5, 16, 63.015, 52.559, 57.121, 59.706, 0, 0},
};

// The table has three digits behind the point.
void check_close(double value, double published) {
  CHECK(std::abs(value - published) <= published * 0.001 + 0.0005);
}

double write_gbps(unsigned generation, unsigned lanes, unsigned payload) {
  const auto segments = formula::data_segments(4096,
                                               payload == 128   ? 7
                                               : payload == 256 ? 8
                                                                : 9,
                                               formula::kHeader64);
  return 4096 * 1000.0 /
         static_cast<double>(
             formula::tlp_pace(generation, lanes, payload)(segments.wire_bytes()).count());
}

}  // namespace

TEST_CASE("the intervals of acknowledgements are those of the specification's tables") {
  for (unsigned generation = 1; generation <= 5; ++generation) {
    for (const unsigned lanes : kLanes) {
      for (const unsigned payload : kPayloads) {
        const auto& table = kIntervals[generation >= 3 ? 2 : generation - 1];
        CHECK(static_cast<double>(formula::ack_interval_symbols(generation, lanes, payload)) ==
              table[index_of(kLanes, lanes)][index_of(kPayloads, payload)]);
      }
    }
  }
  CHECK(formula::ack_interval_symbols(1, 2, 128) == 128);
  CHECK(formula::ack_interval_symbols(1, 2, 512) == 289);
}

TEST_CASE("the paces of the link are the formula's") {
  for (unsigned generation = 1; generation <= 5; ++generation) {
    for (const unsigned lanes : kLanes) {
      CHECK(gbps(formula::raw_pace(generation, lanes)) == Approx(raw_gbps(generation, lanes)));
      for (const unsigned payload : kPayloads) {
        CHECK(gbps(formula::tlp_pace(generation, lanes, payload)) ==
              Approx(tlp_gbps(generation, lanes, payload)).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("4 KiB transfers reach the published GB/s within a thousandth") {
  for (const Row& row : kTable) {
    INFO("generation " << row.generation << " x" << row.lanes);
    check_close(gbps(formula::raw_pace(row.generation, row.lanes)), row.raw);
    check_close(write_gbps(row.generation, row.lanes, 128), row.write128);
    check_close(write_gbps(row.generation, row.lanes, 256), row.write256);
    check_close(write_gbps(row.generation, row.lanes, 512), row.write512);
    if (row.read256 == 0) continue;
    const base::Pace pace = formula::tlp_pace(row.generation, row.lanes, 256);
    const auto read = [&](unsigned shift) {
      const auto segments = formula::data_segments(4096, shift, formula::kHeaderCompletion);
      return 4096 * 1000.0 / static_cast<double>(pace(segments.wire_bytes()).count());
    };
    check_close(read(8), row.read256);
    check_close(read(6), row.read64);
  }
}

namespace {

// Of a stream, TLP by TLP; generation 6 carries 236 of 256 bytes, with shorter headers.
double expected_gbps(const LinkConfig& config, bool write, std::uint32_t bytes) {
  const bool flits = config.generation == 6;
  const double header = flits ? (write ? 16 : 12) : (write ? 24 : 20);
  double wire = 0;
  if (flits) {
    wire = 64.0 * config.lanes / 8 * 236 / 256;
  } else if (config.lanes == 2) {
    // Not in the table: (MPS + 28) x 1.4 (1.0 from 512 on) / lanes + internal delay.
    const double factor = config.max_payload_bytes <= 256 ? 1.4 : 1.0;
    const double internal = config.generation == 1 ? 19 : config.generation == 2 ? 70 : 115;
    const double interval =
        std::floor((config.max_payload_bytes + 28) * factor / config.lanes) + internal;
    wire = raw_gbps(config.generation, 2) * (1 - 16 / interval / config.lanes - 4.0 / 1538);
  } else {
    wire = tlp_gbps(config.generation, config.lanes, config.max_payload_bytes);
  }
  return wire * efficiency(bytes, config.max_payload_bytes, header);
}

constexpr unsigned kWidths[] = {1, 2, 4, 8, 16};

struct Measured {
  std::unique_ptr<test::LoadedLink> load;
  test::LoadedLink::Stream stream;
};

// Every width, payload and size of one generation.
void check_streams(unsigned generation, LinkResolution resolution) {
  base::Scheduler scheduler("scheduler");
  test::Script script(scheduler);
  std::deque<Measured> all;
  for (const unsigned lanes : kWidths) {
    for (const unsigned payload : kPayloads) {
      for (const std::uint32_t bytes : {64U, 512U, 4096U, 131072U}) {
        for (const bool write : {true, false}) {
          LinkConfig config;
          config.generation = generation;
          config.lanes = lanes;
          config.max_payload_bytes = payload;
          config.resolution = resolution;
          Measured& each = all.emplace_back();
          each.load = std::make_unique<test::LoadedLink>("s" + std::to_string(all.size()), config,
                                                         scheduler);
          each.stream.write = write;
          each.stream.bytes = bytes;
          // Enough open to cover the round trip, and that not all that share the wire end together.
          const std::uint64_t open = 2 * Wire::kWindow + 65536 / bytes;
          each.stream.count =
              2 * open + (resolution == LinkResolution::burst ? 300'000 : 30'000) / bytes;
          each.stream.warm_up = open;
          each.load->begin(each.stream, open, script);
        }
      }
    }
  }
  sc_core::sc_start();
  for (const Measured& each : all) {
    const LinkConfig& config = each.load->link.config();
    INFO("generation " << config.generation << " x" << config.lanes << " MPS "
                       << config.max_payload_bytes << (each.stream.write ? " write " : " read ")
                       << each.stream.bytes);
    REQUIRE(each.stream.finished == each.stream.count);
    CHECK(each.stream.gbps() ==
          Approx(expected_gbps(config, each.stream.write, each.stream.bytes)).epsilon(0.01));
  }
}

}  // namespace

TEST_CASE("streams of generation 1 reach the formula within 1 %") {
  check_streams(1, LinkResolution::burst);
}
TEST_CASE("streams of generation 2 reach the formula within 1 %") {
  check_streams(2, LinkResolution::burst);
}
TEST_CASE("streams of generation 3 reach the formula within 1 %") {
  check_streams(3, LinkResolution::burst);
}
TEST_CASE("streams of generation 4 reach the formula within 1 %") {
  check_streams(4, LinkResolution::burst);
}
TEST_CASE("streams of generation 5 reach the formula within 1 %") {
  check_streams(5, LinkResolution::burst);
}
TEST_CASE("streams of generation 6 reach the formula within 1 %") {
  check_streams(6, LinkResolution::burst);
}
TEST_CASE("streams of generation 3, TLP by TLP, reach the formula within 1 %") {
  check_streams(3, LinkResolution::tlp);
}
TEST_CASE("streams of generation 6, TLP by TLP, reach the formula within 1 %") {
  check_streams(6, LinkResolution::tlp);
}

}  // namespace nvmesim::pcie
