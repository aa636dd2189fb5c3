// Units of the whole model. Time is a signed count of picoseconds held by std::chrono, so that
// 5ns, 80us and 3ms convert by themselves and a bare number does not. The range is 106 days.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <numeric>
#include <ratio>

namespace nvmesim {

using namespace std::chrono_literals;  // NOLINT: 5ns, 80us are the way to write a Time

}  // namespace nvmesim

namespace nvmesim::base {

using Time = std::chrono::duration<std::int64_t, std::pico>;

inline constexpr Time kTimeZero{0};
inline constexpr Time kTimeMax{std::numeric_limits<std::int64_t>::max()};

constexpr Time picoseconds(std::int64_t count) {
  return Time{count};
}
constexpr Time nanoseconds(std::uint64_t count) {
  return Time{static_cast<std::int64_t>(count) * 1000};
}
constexpr std::int64_t to_ns(Time time) {
  return time.count() / 1000;
}

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// A rate in exact integers: `amount` things take amount * numerator / denominator picoseconds,
// rounded up, so that a sum of parts never takes less time than the whole.
// amount * numerator is computed in 128 bits: it cannot overflow.
class Pace {
 public:
  constexpr Pace() = default;
  constexpr Pace(std::uint64_t numerator_ps, std::uint64_t denominator)
      : numerator_(numerator_ps), denominator_(denominator) {
    const auto common = std::gcd(numerator_, denominator_);
    if (common > 1) {
      numerator_ /= common;
      denominator_ /= common;
    }
  }

  static constexpr Pace bytes_per_second(std::uint64_t bytes) { return {1'000'000'000'000, bytes}; }
  static constexpr Pace frequency_mhz(std::uint64_t mhz) { return {1'000'000, mhz}; }

  constexpr Time operator()(std::uint64_t amount) const {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{amount} * numerator_;
    if ((product >> 64) == 0) {
      const auto low = static_cast<std::uint64_t>(product);
      return Time{static_cast<std::int64_t>(low / denominator_ + (low % denominator_ != 0))};
    }
    return Time{static_cast<std::int64_t>((product + denominator_ - 1) / denominator_)};
  }

  constexpr std::uint64_t numerator_ps() const { return numerator_; }
  constexpr std::uint64_t denominator() const { return denominator_; }

 private:
  std::uint64_t numerator_ = 0;
  std::uint64_t denominator_ = 1;
};

constexpr std::uint64_t ceil_div(std::uint64_t value, std::uint64_t by) {
  return value / by + (value % by != 0);
}

}  // namespace nvmesim::base
