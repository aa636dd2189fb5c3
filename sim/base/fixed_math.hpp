// Fixed-point numbers with 64 fraction bits and log2, exp2 and pow over them, in integers only: the
// same bits on every machine, where libm promises none. Range: below 2^62 in magnitude; leaving it
// is a bug of the caller and ends the run.
//
// Error bounds (against the exact value of the function, held by fixed_math_test):
//   * and /   cut off towards zero: below 2^-64
//   log2(x)   below 2^-61, for x > 0
//   exp2(x)   relative error below 2^-55, and 2^-64 from cutting off small results
//   pow(x, y) exp2(y * log2(x)): relative error below 2^-55 + |y| * 2^-60, and 2^-64
// A call of log2 or exp2 costs some hundred instructions.
#pragma once

#include <compare>
#include <cstdint>

namespace nvmesim::base {

class Fixed {
 public:
  __extension__ using Raw = __int128;
  static constexpr int kFractionBits = 64;

  constexpr Fixed() = default;
  constexpr explicit Fixed(std::int64_t whole) : raw_(Raw{whole} << kFractionBits) {}
  static constexpr Fixed from_raw(Raw raw) {
    Fixed fixed;
    fixed.raw_ = raw;
    return fixed;
  }
  static Fixed ratio(std::int64_t numerator, std::int64_t denominator);
  // bits / 2^64: a uniform draw becomes a number in [0, 1).
  static constexpr Fixed fraction(std::uint64_t bits) { return from_raw(Raw{bits}); }

  constexpr Raw raw() const { return raw_; }
  // Cut off towards minus infinity.
  constexpr std::int64_t floor() const { return static_cast<std::int64_t>(raw_ >> kFractionBits); }

  friend constexpr auto operator<=>(const Fixed&, const Fixed&) = default;
  friend Fixed operator+(Fixed a, Fixed b);
  friend Fixed operator-(Fixed a, Fixed b);
  friend Fixed operator*(Fixed a, Fixed b);
  friend Fixed operator/(Fixed a, Fixed b);
  constexpr Fixed operator-() const { return from_raw(-raw_); }

 private:
  Raw raw_ = 0;
};

// x must be greater than 0.
Fixed log2(Fixed x);
// x must be below 62; far negative x give 0.
Fixed exp2(Fixed x);
// x must be greater than 0, unless y is greater than 0, when pow(0, y) = 0.
Fixed pow(Fixed x, Fixed y);

}  // namespace nvmesim::base
