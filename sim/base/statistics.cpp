#include "sim/base/statistics.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "sim/base/assert.hpp"

namespace nvmesim::base {
namespace {

template <class Item>
std::vector<Item> sorted_by_name(std::vector<Item> items) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.name < b.name; });
  const auto twin = std::adjacent_find(
      items.begin(), items.end(), [](const Item& a, const Item& b) { return a.name == b.name; });
  NVMESIM_ASSERT(twin == items.end(), ("two statistics are named " + twin->name).c_str());
  return items;
}

}  // namespace

// Values below 2^kSubBits have a bucket each; above, every power of two has 2^kSubBits buckets.
std::size_t Histogram::bucket_of(std::uint64_t value) {
  const int above = 64 - std::countl_zero(value) - static_cast<int>(kSubBits);
  if (above <= 0) return static_cast<std::size_t>(value);
  const auto shift = static_cast<unsigned>(above) - 1;
  return (std::size_t{shift} << kSubBits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::upper_bound(std::size_t bucket) {
  constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  if (bucket < 2 * kSub) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket >> kSubBits) - 1;
  const std::uint64_t first = (kSub + bucket % kSub);
  return ((first + 1) << shift) - 1;  // the last bucket wraps to the largest value, as it should
}

// By whole powers of two.
void Histogram::grow(std::size_t bucket) {
  buckets_.resize(((bucket >> kSubBits) + 1) << kSubBits);
}

void Histogram::add(std::uint64_t value) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= buckets_.size()) [[unlikely]]
    grow(bucket);
  ++buckets_[bucket];
  ++count_;
  NVMESIM_ASSERT(sum_ + value >= sum_, "the sum of a distribution passes 64 bits");
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  NVMESIM_ASSERT(sum_ + other.sum_ >= sum_, "the sum of a distribution passes 64 bits");
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

double Histogram::mean() const {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::percentile(std::uint64_t parts_per_million) const {
  NVMESIM_ASSERT(parts_per_million <= 1'000'000, "a percentile above 100 % was asked for");
  if (count_ == 0) return 0;
  __extension__ using Wide = unsigned __int128;
  const auto rank =
      static_cast<std::uint64_t>((Wide{count_} * parts_per_million + 999'999) / 1'000'000);
  const std::uint64_t wanted = std::max<std::uint64_t>(rank, 1);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) return std::min(upper_bound(bucket), max_);
  }
  return max_;
}

void StatisticsRegistry::add(std::string name, std::string unit, std::string help,
                             std::function<std::uint64_t()> value) {
  statistics_.push_back({std::move(name), std::move(unit), std::move(help), std::move(value)});
}

void StatisticsRegistry::add(std::string name, std::string unit, std::string help,
                             const std::uint64_t& counter) {
  add(std::move(name), std::move(unit), std::move(help), [&counter] { return counter; });
}

void StatisticsRegistry::add_level(std::string name, std::string unit, std::string help,
                                   std::function<std::uint64_t()> value) {
  add(std::move(name), std::move(unit), std::move(help), std::move(value));
  statistics_.back().level = true;
}

void StatisticsRegistry::add_utilisation(std::string name, std::string group,
                                         std::function<Time()> busy) {
  utilisations_.push_back({std::move(name), std::move(group), std::move(busy)});
}

std::vector<Statistic> StatisticsRegistry::statistics() const {
  return sorted_by_name(statistics_);
}

std::vector<Utilisation> StatisticsRegistry::utilisations() const {
  return sorted_by_name(utilisations_);
}

}  // namespace nvmesim::base
