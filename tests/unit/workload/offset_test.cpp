// Where random jobs go: permutations, zipf, and the streams made of them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/assert.hpp"
#include "sim/workload/offset_stream.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using workload::Permutation;
using workload::Zipf;

// Sum of (seen - expected)^2 / expected; bins of small expectation are put together.
struct ChiSquare {
  double value = 0;
  int degrees = -1;
  double pending_seen = 0;
  double pending_expected = 0;

  void add(double seen, double expected) {
    pending_seen += seen;
    pending_expected += expected;
    if (pending_expected < 20) return;
    const double off = pending_seen - pending_expected;
    value += off * off / pending_expected;
    ++degrees;
    pending_seen = pending_expected = 0;
  }
  // Within five standard deviations of its mean.
  bool fits() const { return std::abs(value - degrees) < 5 * std::sqrt(2.0 * degrees); }
};

void check_zipf(std::uint64_t n, const char* theta, std::uint64_t draws) {
  const Zipf zipf(n, workload::parse_theta(theta));
  base::Random random(11, "zipf");
  std::vector<std::uint64_t> seen(n);
  for (std::uint64_t i = 0; i < draws; ++i) {
    const std::uint64_t rank = zipf.draw(random);
    REQUIRE(rank < n);
    ++seen[rank];
  }
  std::vector<double> weight(n);
  for (std::uint64_t k = 0; k < n; ++k) {
    weight[k] = std::pow(static_cast<double>(k + 1), -std::stod(theta));
  }
  const double whole = std::accumulate(weight.begin(), weight.end(), 0.0);
  ChiSquare chi;
  for (std::uint64_t k = 0; k < n; ++k) {
    chi.add(static_cast<double>(seen[k]), static_cast<double>(draws) * weight[k] / whole);
  }
  INFO("n " << n << " theta " << theta << ": chi-square " << chi.value << " of " << chi.degrees);
  CHECK(chi.degrees > 0);
  CHECK(chi.fits());
}

}  // namespace

TEST_CASE("a permutation holds every number once, whatever the size") {
  base::Random random(3, "permutation");
  for (const std::uint64_t n : {1, 2, 3, 4, 5, 7, 16, 17, 100, 255, 257, 4096, 10'000}) {
    const Permutation order(n, random);
    std::vector<int> seen(n);
    for (std::uint64_t i = 0; i < n; ++i) ++seen.at(order.at(i));
    INFO("n " << n);
    CHECK(std::count(seen.begin(), seen.end(), 1) == static_cast<std::ptrdiff_t>(n));
  }
}

TEST_CASE("a permutation of a huge range stays within it") {
  base::Random random(3, "permutation");
  const std::uint64_t n = (std::uint64_t{1} << 40) - 12345;
  const Permutation order(n, random);
  for (std::uint64_t i = 0; i < 1000; ++i) CHECK(order.at(n - 1 - i) < n);
}

TEST_CASE("the first number of a permutation is uniform over the draws of its keys") {
  base::Random random(5, "permutation");
  std::vector<int> seen(50);
  for (int i = 0; i < 50'000; ++i) ++seen.at(Permutation(50, random).at(0));
  ChiSquare chi;
  for (const int count : seen) chi.add(count, 1000);
  INFO("chi-square " << chi.value << " of " << chi.degrees);
  CHECK(chi.fits());
}

TEST_CASE("pairs of neighbours in a permutation are as far apart as chance has it") {
  base::Random random(6, "permutation");
  const std::uint64_t n = 100'000;
  const Permutation order(n, random);
  std::vector<int> seen(20);  // of the difference modulo n
  for (std::uint64_t i = 0; i + 1 < n; ++i) {
    ++seen[(order.at(i + 1) + n - order.at(i)) % n * 20 / n];
  }
  ChiSquare chi;
  for (const int count : seen) chi.add(count, static_cast<double>(n - 1) / 20);
  INFO("chi-square " << chi.value << " of " << chi.degrees);
  CHECK(chi.fits());
}

TEST_CASE("zipf draws follow the exact probabilities") {
  check_zipf(2, "1", 100'000);
  check_zipf(63, "0.5", 200'000);
  check_zipf(1'000, "0.9", 400'000);
  check_zipf(1'000, "1.2", 400'000);
  check_zipf(20'000, "1.0", 400'000);
  check_zipf(20'000, "0.1", 400'000);
  check_zipf(5'000, "2.75", 400'000);
}

TEST_CASE("zipf over one block always draws it") {
  const Zipf zipf(1, workload::parse_theta("1.1"));
  base::Random random(1, "zipf");
  for (int i = 0; i < 100; ++i) CHECK(zipf.draw(random) == 0);
}

TEST_CASE("zipf over more blocks than any drive has keeps to its range") {
  const std::uint64_t n = std::uint64_t{1} << 40;
  const Zipf zipf(n, workload::parse_theta("0.6"));
  base::Random random(1, "zipf");
  std::uint64_t largest = 0;
  for (int i = 0; i < 10'000; ++i) largest = std::max(largest, zipf.draw(random));
  CHECK(largest < n);
  CHECK(largest > n / 2);
}

TEST_CASE("a theta that is no number above 0 and up to 8 is refused") {
  for (const char* text :
       {"", "0", "0.0", "-1", "1.", ".5x", "x", "9", "8.1", "1e1", "1.0000000001"}) {
    INFO(text);
    CHECK(user_error([&] { workload::parse_theta(text); }) != "no error");
  }
  CHECK(workload::parse_theta("0.5") == base::Fixed::ratio(1, 2));
  CHECK(workload::parse_theta("8") == base::Fixed(8));
}

TEST_CASE("shuffled offsets visit every block once in each pass, in another order each time") {
  base::Random random(9, "shuffle");
  workload::ShuffledOffsets offsets(100, random);
  std::vector<std::uint64_t> passes[2];
  for (auto& pass : passes) {
    for (int i = 0; i < 100; ++i) pass.push_back(offsets.next(random));
  }
  CHECK(passes[0] != passes[1]);
  for (auto& pass : passes) {
    std::sort(pass.begin(), pass.end());
    for (std::uint64_t i = 0; i < 100; ++i) CHECK(pass[i] == i);
  }
}

}  // namespace nvmesim::test
