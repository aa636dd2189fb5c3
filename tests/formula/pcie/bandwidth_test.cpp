// The link's bandwidth against the published tables: intervals of ACK and UpdateFC in symbol times,
// and GB/s of 4 KiB transfers. Everything here is computed anew, in floating point.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "pcie/link.hpp"
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

// A stream of DMA of one size over one link, several requests open all the time.
struct Stream {
  pcie::Link link;
  test::Requests root, endpoint;
  test::Serves memory, device;
  bool write;
  std::uint32_t bytes;
  std::uint64_t started = 0;
  std::uint64_t count;
  std::vector<Time> ends;

  Stream(const std::string& name, const LinkConfig& config, bool is_write, std::uint32_t size,
         base::Scheduler& scheduler)
      : link((name + "_link").c_str(), config, scheduler),
        root((name + "_root").c_str(), scheduler),
        endpoint((name + "_endpoint").c_str(), scheduler),
        memory((name + "_memory").c_str(), scheduler),
        device((name + "_device").c_str(), scheduler),
        write(is_write),
        bytes(size),
        count(64 + 400'000 / size) {
    root.out.bind(link.from_root);
    link.to_endpoint.bind(device.in);
    endpoint.out.bind(link.from_endpoint);
    link.to_root.bind(memory.in);
    endpoint.on_response = [this, &scheduler](test::GenericPayload&) {
      ends.push_back(scheduler.now());
      next();
    };
  }
  void next() {
    if (started == count) return;
    ++started;
    const std::uint64_t address = kHigh + started * bytes;
    if (write) {
      endpoint.write(address, bytes, [](Tlp& tlp) {
        tlp.relaxed_ordering = true;
        tlp.sent_awaited = true;
      });
    } else {
      endpoint.read(address, bytes);
    }
  }
  // From the first byte on the wire that counts to the last.
  double measured_gbps() const {
    const LinkConfig& config = link.config();
    const Time delay = std::chrono::nanoseconds(config.propagation_ns + config.stack_latency_ns);
    const Time busy = write ? ends.back() : ends.back() - delay - memory.answered.front().when;
    return static_cast<double>(count * bytes) * 1000.0 / static_cast<double>(busy.count());
  }
};

}  // namespace

TEST_CASE("streams over every link reach the formula within 1 %") {
  base::Scheduler scheduler("scheduler");
  test::Script script(scheduler);
  std::vector<std::unique_ptr<Stream>> streams;
  for (unsigned generation = 1; generation <= 5; ++generation) {
    for (const unsigned lanes : kLanes) {
      for (const unsigned payload : kPayloads) {
        for (const std::uint32_t bytes : {64u, 512u, 4096u, 131072u}) {
          for (const bool write : {true, false}) {
            LinkConfig config;
            config.generation = generation;
            config.lanes = lanes;
            config.max_payload_bytes = payload;
            streams.push_back(std::make_unique<Stream>("s" + std::to_string(streams.size()), config,
                                                       write, bytes, scheduler));
          }
        }
      }
    }
  }
  script.at(0us, [&] {
    for (auto& stream : streams) {
      // Enough open to cover the round trip, and that not all that share the wire end together.
      const std::uint64_t open = 2 * Wire::kWindow + 65536 / stream->bytes;
      for (std::uint64_t i = 0; i < std::min<std::uint64_t>(open, stream->count); ++i) {
        stream->next();
      }
    }
  });
  sc_core::sc_start();
  for (const auto& stream : streams) {
    const LinkConfig& config = stream->link.config();
    const double wire = tlp_gbps(config.generation, config.lanes, config.max_payload_bytes);
    const double expected =
        wire * efficiency(stream->bytes, config.max_payload_bytes, stream->write ? 24 : 20);
    INFO("generation " << config.generation << " x" << config.lanes << " MPS "
                       << config.max_payload_bytes << (stream->write ? " write " : " read ")
                       << stream->bytes);
    REQUIRE(stream->ends.size() == stream->count);
    CHECK(stream->measured_gbps() == Approx(expected).epsilon(0.01));
  }
}

}  // namespace nvmesim::pcie
