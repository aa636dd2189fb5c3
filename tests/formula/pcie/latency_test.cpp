// Latency of DMA reads on generation 3 x8 against medians measured on a Xeon E5-2637v3.
#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {

using base::Time;
using test::kHigh;

// The host's part: what its memory takes from the arrival of a read to its completion, with the
// root complex: 290 ns and 150 ns per KiB. The link adds its default delays.
TEST_CASE("DMA reads take what was measured within 10 %, over all sizes") {
  LinkConfig config;
  config.generation = 3;
  config.lanes = 8;
  test::LinkBench bench(config);
  struct Row {
    std::uint32_t bytes;
    double median_ns;
  };
  constexpr Row kRows[] = {{64, 600}, {512, 747}, {1024, 907}, {2048, 1173}};
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    bench.script.at(std::chrono::milliseconds(i), [&bench, &kRows, i] {
      bench.memory.latency = Time(290ns) + std::chrono::nanoseconds(kRows[i].bytes * 150 / 1024);
      bench.endpoint.read(kHigh + 4096 * i, kRows[i].bytes);
    });
  }
  bench.run();
  std::vector<double> latency;
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    const Time took =
        bench.endpoint.response_to(kHigh + 4096 * i) - Time(std::chrono::milliseconds(i));
    latency.push_back(static_cast<double>(took.count()) / 1000);
    INFO(kRows[i].bytes << " bytes");
    CHECK(latency.back() == Approx(kRows[i].median_ns).epsilon(0.10));
  }
  const double slope = (latency[3] - latency[0]) / (2048 - 64);
  CHECK(slope == Approx(0.29).epsilon(0.10));
}

}  // namespace nvmesim::pcie
