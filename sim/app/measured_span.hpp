// What the parts did in the measured part of a run: their counters and busy times at its begin and
// at its end, from which reports take the difference. A level is reported as it was at the end.
#pragma once

#include <string_view>
#include <vector>

#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::app {

class MeasuredSpan {
 public:
  // May come again: the last one counts.
  void begin(const base::StatisticsRegistry& registry, base::Time now);
  void end(const base::StatisticsRegistry& registry, base::Time now);
  bool ended() const { return ended_; }

  base::Time length() const { return end_.at - begin_.at; }

  struct Row {
    base::Statistic statistic;
    std::uint64_t value = 0;
  };
  struct Busy {
    std::string name;
    std::string group;
    base::Time time{0};
  };
  // In order of name. The registry must be that of begin() and end().
  std::vector<Row> statistics(const base::StatisticsRegistry& registry) const;
  std::vector<Busy> busy(const base::StatisticsRegistry& registry) const;

 private:
  struct Snapshot {
    base::Time at{0};
    std::vector<std::uint64_t> values;
    std::vector<base::Time> busy;
  };
  static Snapshot take(const base::StatisticsRegistry& registry, base::Time now);

  Snapshot begin_;
  Snapshot end_;
  bool ended_ = false;
};

// The row of that name; 0 if there is none.
std::uint64_t value_of(const std::vector<MeasuredSpan::Row>& rows, std::string_view name);

}  // namespace nvmesim::app
