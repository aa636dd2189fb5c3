// Statistics with a name, a unit and one line of help. Parts own their counters as plain members
// and enter them in the registry once; reports read the registry and never the parts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.hpp"

namespace nvmesim::base {

// Distribution of a non-negative integer (ps, bytes, counts): exact count, sum, min and max;
// percentiles within 1/256 of the value. Fixed buckets, so that equal inputs give equal outputs.
class Histogram {
 public:
  void add(std::uint64_t value);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }
  std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const { return max_; }
  double mean() const;
  // The smallest recorded value (to bucket precision, never above max()) that at least
  // parts_per_million of the values do not exceed: 999'900 is the 99.99th percentile. 0 if empty.
  std::uint64_t percentile(std::uint64_t parts_per_million) const;

 private:
  static constexpr unsigned kSubBits = 8;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_bound(std::size_t bucket);
  [[gnu::cold]] void grow(std::size_t bucket);
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

struct Statistic {
  std::string name;  // dotted path of its owner and itself: "device.ftl.gc_moves"
  std::string unit;  // "1", "bytes", "ps", "ratio"
  std::string help;
  std::function<std::uint64_t()> value;
  bool level = false;  // how much there is now (free blocks), not a counter that only grows
};

// A resource whose busy time is reported as utilisation.
struct Utilisation {
  std::string name;   // "link.upstream", "device.channel0"
  std::string group;  // "link", "channel", "die", "cpu": reports sum up by it
  std::function<Time()> busy;
};

class StatisticsRegistry {
 public:
  void add(std::string name, std::string unit, std::string help,
           std::function<std::uint64_t()> value);
  // For a plain counter that lives as long as the registry is read.
  void add(std::string name, std::string unit, std::string help, const std::uint64_t& counter);
  // A level: reports show it as it is at the end of a span, and of counters the difference.
  void add_level(std::string name, std::string unit, std::string help,
                 std::function<std::uint64_t()> value);
  void add_utilisation(std::string name, std::string group, std::function<Time()> busy);

  // In order of name, whatever the order of construction.
  std::vector<Statistic> statistics() const;
  std::vector<Utilisation> utilisations() const;

 private:
  std::vector<Statistic> statistics_;
  std::vector<Utilisation> utilisations_;
};

}  // namespace nvmesim::base
