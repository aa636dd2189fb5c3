#include "sim/base/fixed_math.hpp"

#include <array>
#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::base {
namespace {

__extension__ using Wide128 = unsigned __int128;
using Raw = Fixed::Raw;

constexpr Raw kLimit = Raw{1} << 126;

Fixed checked(Raw raw) {
  NVMESIM_ASSERT(raw > -kLimit && raw < kLimit, "a fixed-point number left its range");
  return Fixed::from_raw(raw);
}

constexpr Wide128 magnitude(Raw raw) {
  return raw < 0 ? Wide128{0} - static_cast<Wide128>(raw) : static_cast<Wide128>(raw);
}

constexpr std::uint64_t high(Wide128 value) {
  return static_cast<std::uint64_t>(value >> 64);
}
constexpr std::uint64_t low(Wide128 value) {
  return static_cast<std::uint64_t>(value);
}

// The largest root with root * root <= value.
constexpr std::uint64_t square_root(Wide128 value) {
  std::uint64_t root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const std::uint64_t tried = root | (std::uint64_t{1} << bit);
    if (Wide128{tried} * tried <= value) root = tried;
  }
  return root;
}

// 2^(2^-(i+1)) with 63 fraction bits, for i = 0 to 63; each the square root of the one before.
constexpr std::array<std::uint64_t, 64> kRootsOfTwo = [] {
  std::array<std::uint64_t, 64> roots{};
  Wide128 square = Wide128{1} << 127;  // 2 with 126 fraction bits
  for (std::uint64_t& root : roots) {
    root = square_root(square);
    square = Wide128{root} << 63;
  }
  return roots;
}();

int floor_log2(Wide128 value) {
  return high(value) != 0 ? 127 - std::countl_zero(high(value)) : 63 - std::countl_zero(low(value));
}

}  // namespace

Fixed Fixed::ratio(std::int64_t numerator, std::int64_t denominator) {
  return Fixed(numerator) / Fixed(denominator);
}

Fixed operator+(Fixed a, Fixed b) {
  return checked(a.raw_ + b.raw_);
}
Fixed operator-(Fixed a, Fixed b) {
  return checked(a.raw_ - b.raw_);
}

Fixed operator*(Fixed a, Fixed b) {
  const Wide128 x = magnitude(a.raw_);
  const Wide128 y = magnitude(b.raw_);
  const Wide128 top = Wide128{high(x)} * high(y);
  NVMESIM_ASSERT(top < (Wide128{1} << 62), "a fixed-point product left its range");
  // Both middle products are below 2^127, for the high halves are below 2^62.
  const Wide128 middle = Wide128{high(x)} * low(y) + Wide128{low(x)} * high(y);
  const Wide128 sum = (top << 64) + middle + high(Wide128{low(x)} * low(y));
  const auto product = checked(static_cast<Raw>(sum)).raw_;
  return Fixed::from_raw((a.raw_ < 0) == (b.raw_ < 0) ? product : -product);
}

Fixed operator/(Fixed a, Fixed b) {
  NVMESIM_ASSERT(b.raw_ != 0, "a fixed-point division by zero");
  const Wide128 divisor = magnitude(b.raw_);
  const Wide128 whole = magnitude(a.raw_) / divisor;
  NVMESIM_ASSERT(whole < (Wide128{1} << 62), "a fixed-point quotient left its range");
  Wide128 rest = magnitude(a.raw_) % divisor;
  std::uint64_t fraction = 0;
  for (int bit = 0; bit < Fixed::kFractionBits; ++bit) {
    rest <<= 1;
    fraction <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      fraction |= 1;
    }
  }
  const auto quotient = static_cast<Raw>((whole << 64) | fraction);
  return Fixed::from_raw((a.raw_ < 0) == (b.raw_ < 0) ? quotient : -quotient);
}

// The mantissa is squared again and again; each time it passes 2 gives one bit of the logarithm.
Fixed log2(Fixed x) {
  NVMESIM_ASSERT(x.raw() > 0, "the logarithm of a number that is not positive");
  const auto value = static_cast<Wide128>(x.raw());
  const int exponent = floor_log2(value);
  std::uint64_t mantissa =  // in [1, 2), 63 fraction bits
      exponent >= 63 ? low(value >> (exponent - 63)) : low(value << (63 - exponent));
  std::uint64_t fraction = 0;
  for (int bit = 0; bit < 64; ++bit) {
    const Wide128 square = Wide128{mantissa} * mantissa;  // 126 fraction bits
    const auto passed = static_cast<unsigned>(square >> 127);
    fraction = (fraction << 1) | passed;
    mantissa = low(square >> (63 + passed));
  }
  return Fixed::from_raw((Raw{exponent - Fixed::kFractionBits} << 64) + Raw{fraction});
}

Fixed exp2(Fixed x) {
  const std::int64_t exponent = x.floor();
  NVMESIM_ASSERT(exponent < 62, "a fixed-point power left its range");
  if (exponent < -64) return Fixed{};
  const std::uint64_t fraction = low(static_cast<Wide128>(x.raw()));
  std::uint64_t mantissa = std::uint64_t{1} << 63;  // in [1, 2), 63 fraction bits
  for (std::size_t i = 0; i < kRootsOfTwo.size(); ++i) {
    if ((fraction >> (63 - i) & 1) == 0) continue;
    mantissa = low((Wide128{mantissa} * kRootsOfTwo[i]) >> 63);
  }
  const std::int64_t shift = exponent + 1;  // from 63 to 64 fraction bits
  return Fixed::from_raw(
      static_cast<Raw>(shift >= 0 ? Wide128{mantissa} << shift : Wide128{mantissa} >> -shift));
}

Fixed pow(Fixed x, Fixed y) {
  if (x.raw() == 0 && y.raw() > 0) return Fixed{};
  return exp2(y * log2(x));
}

}  // namespace nvmesim::base
