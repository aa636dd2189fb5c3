#include "sim/base/statistics.hpp"

#include <algorithm>
#include <vector>

#include "sim/base/assert.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

// Any magnitude, all alike probable.
std::uint64_t random_magnitude(Random& random, unsigned bits) {
  return random.next() >> (63 - random.below(bits));
}

// The value that a sorted list has at this percentile.
std::uint64_t exact_percentile(const std::vector<std::uint64_t>& sorted, std::uint64_t ppm) {
  const std::uint64_t rank = (sorted.size() * ppm + 999'999) / 1'000'000;
  return sorted[std::max<std::uint64_t>(rank, 1) - 1];
}

}  // namespace

TEST_CASE("an empty distribution is all zeroes") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.mean() == 0.0);
  CHECK(histogram.percentile(500'000) == 0);
}

TEST_CASE("small values have exact percentiles") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 400; ++value) histogram.add(value);
  CHECK(histogram.percentile(0) == 1);
  CHECK(histogram.percentile(2'500) == 1);
  CHECK(histogram.percentile(2'501) == 2);
  CHECK(histogram.percentile(500'000) == 200);
  CHECK(histogram.percentile(990'000) == 396);
  CHECK(histogram.percentile(1'000'000) == 400);
  CHECK(histogram.mean() == 200.5);
  CHECK(histogram.sum() == 80'200);
}

TEST_CASE("percentiles of any magnitude are within 1/256 above the exact one") {
  Random random(11, "histogram");
  Histogram histogram;
  std::vector<std::uint64_t> values;
  std::uint64_t sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random_magnitude(random, 48));
    histogram.add(values.back());
    sum += values.back();
  }
  std::sort(values.begin(), values.end());
  CHECK(histogram.count() == values.size());
  CHECK(histogram.sum() == sum);
  CHECK(histogram.min() == values.front());
  CHECK(histogram.max() == values.back());
  for (const std::uint64_t ppm : {0U, 1U, 50U, 10'000U, 250'000U, 500'000U, 900'000U, 990'000U,
                                  999'000U, 999'900U, 999'999U, 1'000'000U}) {
    const std::uint64_t exact = exact_percentile(values, ppm);
    INFO(ppm);
    CHECK(histogram.percentile(ppm) >= exact);
    CHECK(histogram.percentile(ppm) - exact <= exact / 256);
  }
  CHECK_THROWS_AS(histogram.percentile(1'000'001), ModelBug);
}

TEST_CASE("a single value is its own percentile, also at the borders of buckets") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const std::int64_t offset : {-1, 0, 1}) {
      const std::uint64_t value = (std::uint64_t{1} << bit) + static_cast<std::uint64_t>(offset);
      Histogram histogram;
      histogram.add(value);
      CHECK(histogram.percentile(500'000) == value);
      CHECK(histogram.min() == value);
      CHECK(histogram.max() == value);
    }
  }
  Histogram largest;
  largest.add(~std::uint64_t{0});
  CHECK(largest.percentile(1) == ~std::uint64_t{0});
}

TEST_CASE("merged distributions are the distribution of all values") {
  Random random(12, "merge");
  Histogram parts[3];
  Histogram whole;
  for (int i = 0; i < 3'000; ++i) {
    const std::uint64_t value = random_magnitude(random, 40);
    parts[random.below(2) * 2].add(value);  // the middle one stays empty
    whole.add(value);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.merge(part);
  CHECK(merged.count() == whole.count());
  CHECK(merged.sum() == whole.sum());
  CHECK(merged.min() == whole.min());
  CHECK(merged.max() == whole.max());
  for (std::uint64_t ppm = 0; ppm <= 1'000'000; ppm += 12'345) {
    REQUIRE(merged.percentile(ppm) == whole.percentile(ppm));
  }
}

TEST_CASE("a sum beyond 64 bits is refused, not wrapped") {
  Histogram histogram;
  histogram.add(~std::uint64_t{0});
  CHECK_THROWS_AS(histogram.add(1), ModelBug);
}

TEST_CASE("the registry lists by name, whatever the order of construction") {
  StatisticsRegistry registry;
  std::uint64_t moves = 3;
  registry.add("device.ftl.gc_moves", "1", "pages moved by garbage collection", moves);
  registry.add("device.dma.bytes", "bytes", "bytes moved", [] { return std::uint64_t{42}; });
  registry.add_utilisation("link.up", "link", [] { return Time(5ns); });
  registry.add_utilisation("device.channel0", "channel", [] { return Time(7ns); });
  moves = 4;
  const auto statistics = registry.statistics();
  REQUIRE(statistics.size() == 2);
  CHECK(statistics[0].name == "device.dma.bytes");
  CHECK(statistics[0].unit == "bytes");
  CHECK(statistics[0].value() == 42);
  CHECK(statistics[1].value() == 4);  // read when asked
  const auto utilisations = registry.utilisations();
  REQUIRE(utilisations.size() == 2);
  CHECK(utilisations[0].name == "device.channel0");
  CHECK(utilisations[1].group == "link");
  CHECK(utilisations[1].busy() == 5ns);
}

TEST_CASE("two statistics of one name are refused") {
  StatisticsRegistry registry;
  registry.add("a", "1", "first", [] { return std::uint64_t{0}; });
  registry.add("b", "1", "other", [] { return std::uint64_t{0}; });
  registry.add("a", "1", "second", [] { return std::uint64_t{0}; });
  CHECK_THROWS_AS(registry.statistics(), ModelBug);
}

}  // namespace nvmesim::base
