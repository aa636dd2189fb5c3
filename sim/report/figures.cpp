#include "sim/report/figures.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace nvmesim::report {
namespace {

__extension__ using Wide = unsigned __int128;
constexpr std::uint64_t kPsPerSecond = 1'000'000'000'000;

}  // namespace

std::string_view name(Operation operation) {
  static constexpr std::array<std::string_view, kOperationCount> kNames = {
      "read", "write", "flush", "discard", "write_zeroes"};
  return kNames[static_cast<std::size_t>(operation)];
}

std::uint64_t scaled(std::uint64_t value, std::uint64_t multiplier, std::uint64_t divisor) {
  if (divisor == 0) return 0;
  return static_cast<std::uint64_t>((Wide{value} * multiplier + divisor / 2) / divisor);
}

double per_second(std::uint64_t amount, base::Time span) {
  const Wide milli = Wide{kPsPerSecond} * 1000 * amount;
  const auto divisor = static_cast<std::uint64_t>(span.count());
  if (divisor == 0) return 0;
  return static_cast<double>(static_cast<std::uint64_t>((milli + divisor / 2) / divisor)) / 1000.0;
}

std::uint64_t per_second_integer(std::uint64_t amount, base::Time span) {
  return scaled(amount, kPsPerSecond, static_cast<std::uint64_t>(span.count()));
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return static_cast<double>(scaled(part, 1'000'000, whole)) / 1'000'000.0;
}

double ns(std::uint64_t ps) {
  return static_cast<double>(ps) / 1000.0;
}

OperationReport sum_of(const OperationReports& operations) {
  OperationReport total;
  for (const Operation operation : kOperations) {
    const OperationReport& row = operations[static_cast<std::size_t>(operation)];
    total.count += row.count;
    if (operation == Operation::kRead || operation == Operation::kWrite) total.bytes += row.bytes;
    total.errors += row.errors;
  }
  return total;
}

std::vector<GroupUse> by_group(const std::vector<UtilisationRow>& rows) {
  std::map<std::string, GroupUse> groups;
  for (const UtilisationRow& row : rows) {
    GroupUse& use = groups[row.group];
    const auto busy = static_cast<std::uint64_t>(row.busy.count());
    use.busy_sum += busy;
    use.busy_max = std::max(use.busy_max, busy);
    use.members.push_back(row);
  }
  std::vector<GroupUse> result;
  for (auto& [group, use] : groups) {
    use.group = group;
    std::sort(use.members.begin(), use.members.end(),
              [](const UtilisationRow& a, const UtilisationRow& b) {
                return std::tie(a.name, a.busy) < std::tie(b.name, b.busy);
              });
    result.push_back(std::move(use));
  }
  return result;
}

base::Time use_span(const RunReport& report) {
  return report.utilisation_span.count() != 0 ? report.utilisation_span : report.simulated;
}

}  // namespace nvmesim::report
