#include "sim/app/measured_span.hpp"

#include <algorithm>

namespace nvmesim::app {

MeasuredSpan::Snapshot MeasuredSpan::take(const base::StatisticsRegistry& registry,
                                          base::Time now) {
  Snapshot snapshot;
  snapshot.at = now;
  for (const base::Statistic& row : registry.statistics()) snapshot.values.push_back(row.value());
  for (const base::Utilisation& row : registry.utilisations()) snapshot.busy.push_back(row.busy());
  return snapshot;
}

void MeasuredSpan::begin(const base::StatisticsRegistry& registry, base::Time now) {
  begin_ = take(registry, now);
}

void MeasuredSpan::end(const base::StatisticsRegistry& registry, base::Time now) {
  end_ = take(registry, now);
  ended_ = true;
}

std::vector<MeasuredSpan::Row> MeasuredSpan::statistics(
    const base::StatisticsRegistry& registry) const {
  std::vector<Row> rows;
  const std::vector<base::Statistic> all = registry.statistics();
  // A run that did not get as far as its begin has less of them there.
  const bool since_begin = begin_.values.size() == all.size();
  for (std::size_t i = 0; i < std::min(all.size(), end_.values.size()); ++i) {
    const std::uint64_t before = since_begin && !all[i].level ? begin_.values[i] : 0;
    rows.push_back({all[i], end_.values[i] - before});
  }
  return rows;
}

std::vector<MeasuredSpan::Busy> MeasuredSpan::busy(const base::StatisticsRegistry& registry) const {
  std::vector<Busy> rows;
  const std::vector<base::Utilisation> all = registry.utilisations();
  const bool since_begin = begin_.busy.size() == all.size();
  for (std::size_t i = 0; i < std::min(all.size(), end_.busy.size()); ++i) {
    const base::Time before = since_begin ? begin_.busy[i] : base::kTimeZero;
    rows.push_back({all[i].name, all[i].group, end_.busy[i] - before});
  }
  return rows;
}

std::uint64_t value_of(const std::vector<MeasuredSpan::Row>& rows, std::string_view name) {
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const auto& row) { return row.statistic.name == name; });
  return found == rows.end() ? 0 : found->value;
}

}  // namespace nvmesim::app
