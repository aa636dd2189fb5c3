#include "sim/workload/zipf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/base/assert.hpp"
#include "sim/base/parse.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::uint64_t kSegmentsPerOctave = 64;
constexpr std::uint64_t kOnes = std::numeric_limits<std::uint64_t>::max();

// A number in [0, 1] in 2^-64; 1 becomes the largest below it.
std::uint64_t fraction_bits(base::Fixed value) {
  if (value >= base::Fixed(1)) return kOnes;
  return static_cast<std::uint64_t>(value.raw());
}

// (first / rank)^theta.
std::uint64_t ratio_bits(std::uint64_t first, std::uint64_t rank, base::Fixed theta) {
  return fraction_bits(base::pow(
      base::Fixed::ratio(static_cast<std::int64_t>(first), static_cast<std::int64_t>(rank)),
      theta));
}

}  // namespace

Zipf::Zipf(std::uint64_t n, base::Fixed theta) : n_(n), theta_(theta) {
  NVMESIM_ASSERT(n > 0 && n <= std::uint64_t{1} << 40, "zipf over no or too many ranks");
  std::vector<base::Fixed> ends;
  base::Fixed total;
  for (std::uint64_t first = 1; first <= n;) {
    const std::uint64_t width =
        std::min(std::max<std::uint64_t>(1, first / kSegmentsPerOctave), n - first + 1);
    const base::Fixed weight = base::pow(base::Fixed(static_cast<std::int64_t>(first)), -theta);
    total = total + weight * base::Fixed(static_cast<std::int64_t>(width));
    ends.push_back(total);
    segments_.push_back({0, first, width, ratio_bits(first, first + width - 1, theta)});
    first += width;
  }
  for (std::size_t i = 0; i < ends.size(); ++i) {
    segments_[i].end = fraction_bits(ends[i] / total);
  }
  segments_.back().end = kOnes;
}

std::uint64_t Zipf::draw(base::Random& random) const {
  while (true) {
    const std::uint64_t pick = random.next();
    const auto segment =
        std::upper_bound(segments_.begin(), segments_.end() - 1, pick,
                         [](std::uint64_t value, const Segment& s) { return value < s.end; });
    if (segment->width == 1) return segment->first - 1;
    const std::uint64_t rank = segment->first + random.below(segment->width);
    const std::uint64_t keep = random.next();
    if (keep < segment->surely || keep < ratio_bits(segment->first, rank, theta_)) return rank - 1;
  }
}

base::Fixed parse_theta(const std::string& text) {
  const auto point = text.find('.');
  const std::string fraction = point == text.npos ? "" : text.substr(point + 1);
  const auto digits = base::parse_unsigned(text.substr(0, point) + fraction);
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < std::min<std::size_t>(fraction.size(), 9); ++i) scale *= 10;
  const bool shape = fraction.size() <= 9 && (point == text.npos || !fraction.empty()) && digits &&
                     *digits > 0 && *digits <= static_cast<std::uint64_t>(8 * scale);
  if (!shape) {
    throw base::UserError(
        fmt::format("zipf theta '{}': give a decimal number above 0, up to 8", text));
  }
  return base::Fixed::ratio(static_cast<std::int64_t>(*digits), scale);
}

}  // namespace nvmesim::workload
