#include "sim/base/fixed_math.hpp"

#include <cmath>
#include <limits>

#include "sim/base/assert.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

// The host's long double is the reference here, as good as its 64 bits of mantissa allow.
long double to_real(Fixed value) {
  return static_cast<long double>(value.raw()) / 18446744073709551616.0L;
}

// Any size from 2^-64 to 2^61, all alike probable.
Fixed random_size(Random& random) {
  const auto bits = random.next() | (std::uint64_t{1} << 63);
  const auto shift = random.below(125);
  return Fixed::from_raw(shift < 63 ? Fixed::Raw{bits >> (63 - shift)}
                                    : Fixed::Raw{bits} << (shift - 63));
}

constexpr bool kReference = std::numeric_limits<long double>::digits >= 64;
const long double kCut = std::ldexp(1.0L, -64);

}  // namespace

TEST_CASE("fixed-point arithmetic is exact where it can be") {
  const Fixed half = Fixed::ratio(1, 2);
  CHECK(half + half == Fixed(1));
  CHECK(half * half == Fixed::ratio(1, 4));
  CHECK(Fixed(-3) * half == Fixed::ratio(-3, 2));
  CHECK(Fixed(-3) * Fixed(-5) == Fixed(15));
  CHECK(Fixed(1) / Fixed(3) == Fixed::from_raw((Fixed::Raw{1} << 64) / 3));
  CHECK(Fixed(-7) / Fixed(2) == Fixed::ratio(-7, 2));
  CHECK(Fixed::ratio(-7, 2).floor() == -4);
  CHECK(Fixed::ratio(7, 2).floor() == 3);
  CHECK(Fixed::fraction(std::uint64_t{1} << 63) == half);
  CHECK(-half < Fixed());
  CHECK(Fixed(std::int64_t{1} << 61) - Fixed(1) < Fixed(std::int64_t{1} << 61));
}

TEST_CASE("a fixed-point number that leaves its range is refused") {
  const Fixed large(std::int64_t{1} << 61);
  CHECK_THROWS_AS(large + large, ModelBug);
  CHECK_THROWS_AS(-large - large, ModelBug);
  CHECK_THROWS_AS(large * Fixed(2), ModelBug);
  CHECK_THROWS_AS(large * large, ModelBug);
  CHECK_THROWS_AS(large / Fixed::ratio(1, 2), ModelBug);
  CHECK_THROWS_AS(Fixed(1) / Fixed(), ModelBug);
  CHECK_THROWS_AS(log2(Fixed()), ModelBug);
  CHECK_THROWS_AS(log2(Fixed(-1)), ModelBug);
  CHECK_THROWS_AS(exp2(Fixed(62)), ModelBug);
  CHECK_THROWS_AS(pow(Fixed(), Fixed()), ModelBug);
}

TEST_CASE("products and quotients are cut off below 2^-64") {
  Random random(1, "fixed");
  for (int i = 0; i < 20'000; ++i) {
    const Fixed a = Fixed::from_raw(static_cast<Fixed::Raw>(random.next()) * 1000);
    const Fixed b = Fixed::from_raw(static_cast<Fixed::Raw>(random.next()) * 7 + 1);
    const Fixed quotient = a / b;
    // quotient * b <= a < (quotient + 2^-64) * b, which loses less than (b + 1) * 2^-64 to cutting
    const Fixed back = quotient * b;
    REQUIRE(back <= a);
    REQUIRE((a - back).raw() <= b.floor() + 2);
    REQUIRE(a * b == b * a);
    REQUIRE(-a * b == -(a * b));
  }
}

TEST_CASE("powers of two come out exactly") {
  for (int i = -64; i < 62; ++i) {
    const Fixed power = Fixed::from_raw(Fixed::Raw{1} << (64 + i));
    CHECK(log2(power) == Fixed(i));
    CHECK(exp2(Fixed(i)) == power);
  }
  CHECK(exp2(Fixed(-65)) == Fixed());
  CHECK(exp2(Fixed(-1'000'000)) == Fixed());
  CHECK(pow(Fixed(), Fixed(3)) == Fixed());
  CHECK(pow(Fixed(4), Fixed::ratio(-1, 2)) == Fixed::ratio(1, 2));
}

TEST_CASE("log2 keeps its error bound") {
  if (!kReference) return;
  Random random(2, "log2");
  for (int i = 0; i < 20'000; ++i) {
    const Fixed x = random_size(random);
    const long double exact = std::log2(to_real(x));
    // the reference's own error: half a unit in the last place of numbers up to 64
    REQUIRE(std::fabs(to_real(log2(x)) - exact) <= std::ldexp(1.0L, -61) + std::ldexp(1.0L, -57));
    if (std::fabs(exact) < 1) {
      REQUIRE(std::fabs(to_real(log2(x)) - exact) <= std::ldexp(1.0L, -61) + std::ldexp(1.0L, -63));
    }
  }
}

TEST_CASE("exp2 keeps its error bound") {
  if (!kReference) return;
  Random random(3, "exp2");
  for (int i = 0; i < 20'000; ++i) {
    const Fixed x = Fixed(static_cast<std::int64_t>(random.below(120)) - 60) +
                    Fixed::fraction(random.next() & ~std::uint64_t{0xFFF});
    const long double exact = std::exp2(to_real(x));
    REQUIRE(std::fabs(to_real(exp2(x)) - exact) <= exact * std::ldexp(1.0L, -55) + kCut);
  }
}

TEST_CASE("pow keeps its error bound") {
  if (!kReference) return;
  Random random(4, "pow");
  for (int i = 0; i < 20'000; ++i) {
    const Fixed x = Fixed::from_raw(static_cast<Fixed::Raw>(random.next() | 1) << 8);  // below 256
    const Fixed y =
        Fixed(static_cast<std::int64_t>(random.below(12)) - 6) + Fixed::fraction(random.next());
    if (log2(x) * y > Fixed(60)) continue;
    const long double exact = std::pow(to_real(x), to_real(y));
    const long double bound = std::ldexp(1.0L, -55) + std::fabs(to_real(y)) * std::ldexp(1.0L, -60);
    REQUIRE(std::fabs(to_real(pow(x, y)) - exact) <= exact * bound + kCut + exact * 0x1p-58L);
  }
}

TEST_CASE("log2 and exp2 never run backwards") {
  Random random(5, "monotone");
  for (int i = 0; i < 20'000; ++i) {
    const Fixed x = random_size(random);
    const Fixed next = Fixed::from_raw(x.raw() + 1);
    REQUIRE(log2(next) >= log2(x));
  }
}

TEST_CASE("the bits are the same in every build") {
  // From a first run; the bounds above say that they are good, this says that they are equal.
  Random random(6, "bits");
  std::uint64_t digest = 0;
  for (int i = 0; i < 1000; ++i) {
    const Fixed x = random_size(random);
    const Fixed y = Fixed::fraction(random.next()) - Fixed::ratio(1, 2);
    digest = digest * 31 + static_cast<std::uint64_t>(pow(x, y).raw());
    digest = digest * 31 + static_cast<std::uint64_t>(log2(x).raw());
  }
  CHECK(digest == 0x3112186f8ae51519U);
}

}  // namespace nvmesim::base
