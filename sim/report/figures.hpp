// What the printers form from exact integers: means, rates, ratios. All are quantised (thousandths,
// millionths) in integer arithmetic before they become a double, so that a printed decimal has the
// same digits everywhere. Internal to this room.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report/run_report.hpp"

namespace nvmesim::report {

inline constexpr std::array<Operation, kOperationCount> kOperations = {
    Operation::kRead, Operation::kWrite, Operation::kFlush, Operation::kDiscard,
    Operation::kWriteZeroes};

struct Percentile {
  std::string_view key;    // "p99_9_ns"
  std::string_view label;  // "p99.9"
  std::uint64_t parts_per_million;
};
inline constexpr std::array<Percentile, 6> kPercentiles = {{{"p50_ns", "p50", 500'000},
                                                            {"p90_ns", "p90", 900'000},
                                                            {"p95_ns", "p95", 950'000},
                                                            {"p99_ns", "p99", 990'000},
                                                            {"p99_9_ns", "p99.9", 999'000},
                                                            {"p99_99_ns", "p99.99", 999'900}}};

// value * multiplier / divisor, rounded to nearest, in 128 bits; 0 if the divisor is 0.
std::uint64_t scaled(std::uint64_t value, std::uint64_t multiplier, std::uint64_t divisor);

inline std::uint64_t ps(base::Time time) {
  return static_cast<std::uint64_t>(time.count());
}

// Thousandths, as a double: events and bytes per second of simulated time.
double per_second(std::uint64_t amount, base::Time span);
std::uint64_t per_second_integer(std::uint64_t amount, base::Time span);
// Millionths, as a double.
double ratio(std::uint64_t part, std::uint64_t whole);
// Nanoseconds with three decimals, exact.
double ns(std::uint64_t ps);
inline double ns(base::Time time) {
  return ns(ps(time));
}
// Counts and errors of all kinds together, bytes of reads and writes (a discard moves none); no
// latencies.
OperationReport sum_of(const OperationReports& operations);

struct GroupUse {
  std::string group;
  std::vector<UtilisationRow> members;  // by name
  std::uint64_t busy_sum = 0;           // ps, of all members
  std::uint64_t busy_max = 0;           // ps, of the busiest
};
// In order of group name.
std::vector<GroupUse> by_group(const std::vector<UtilisationRow>& rows);
// The span that busy times refer to.
base::Time use_span(const RunReport& report);

}  // namespace nvmesim::report
