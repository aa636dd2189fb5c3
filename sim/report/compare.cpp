#include "sim/report/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/report/flat_report.hpp"
#include "sim/report/text_format.hpp"

namespace nvmesim::report {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostBytes = std::size_t{256} << 20;
constexpr std::size_t kColumn = 18;

// What made the runs different, not what came out.
bool is_setting(std::string_view path) {
  return path.starts_with("configuration.") || path.starts_with("tool.") || path == "command" ||
         path == "seed" || path.starts_with("workload.") || path == "trace.format";
}

// Lists of single requests or of words for the user, and what follows from a value that is shown.
bool is_left_out(std::string_view path) {
  // The trace's name is among those of the workload.
  for (const std::string_view list :
       {"slowest", "hang.open", "notes", "verification.first_", "trace.source"}) {
    if (path.starts_with(list)) return true;
  }
  if (path.ends_with(".total_ps") || path.ends_with(".share_ratio") ||
      path.ends_with("latency.count")) {
    return true;
  }
  return path.starts_with("statistics.") && !path.ends_with(".value");
}

// "operations.read" of "operations.read.latency.p99_ns"; "total" of "total.iops".
std::string_view section_of(std::string_view path) {
  auto dot = path.find('.');
  if (dot == path.npos) return "run";
  if (path.starts_with("operations.") || path.starts_with("jobs[")) {
    const auto next = path.find(".operations.") == path.npos
                          ? dot
                          : path.find(".operations.") + std::string_view(".operations").size();
    dot = path.find('.', next + 1);
  }
  return path.substr(0, dot);
}

struct Pair {
  std::string path;
  const json::value* a = nullptr;
  const json::value* b = nullptr;
};

bool same(const json::value& a, const json::value& b) {
  if (a.is_double() != b.is_double() && a.is_number() && b.is_number()) {
    return as_double(a) == as_double(b);
  }
  return a == b;
}

// The differing values, in A's order; those only in B stand behind A's values of their section.
std::vector<Pair> differences(const FlatReport& a, const FlatReport& b) {
  std::vector<Pair> all;
  for (const FlatValue& row : a.values()) all.push_back({row.path, &row.value, b.find(row.path)});
  for (const FlatValue& row : b.values()) {
    if (a.find(row.path) == nullptr) all.push_back({row.path, nullptr, &row.value});
  }
  std::map<std::string_view, std::size_t> order;  // of sections, by first appearance
  for (const Pair& pair : all) order.emplace(section_of(pair.path), order.size());
  std::vector<std::pair<std::size_t, const Pair*>> ordered;
  for (const Pair& pair : all) {
    if (is_left_out(pair.path)) continue;
    if (pair.a != nullptr && pair.b != nullptr && same(*pair.a, *pair.b)) continue;
    ordered.emplace_back(order.at(section_of(pair.path)), &pair);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& x, const auto& y) { return x.first < y.first; });
  std::vector<Pair> result;
  for (const auto& [section, pair] : ordered) result.push_back(*pair);
  return result;
}

std::string side(const Pair& pair, const json::value* value) {
  return value == nullptr ? "-" : value_text(pair.path, *value);
}

void print_settings(const std::vector<Pair>& pairs, std::string& out) {
  bool any = false;
  for (const Pair& pair : pairs) {
    if (!is_setting(pair.path)) continue;
    if (!any) out += "configuration\n";
    any = true;
    std::string_view path = pair.path;
    constexpr std::string_view kPrefix = "configuration.";
    if (path.starts_with(kPrefix)) path.remove_prefix(kPrefix.size());
    out += fmt::format("  {}: {} -> {}\n", clean(path), side(pair, pair.a), side(pair, pair.b));
  }
  if (!any) out += "configuration: no difference\n";
}

void print_values(const std::vector<Pair>& pairs, std::string& out) {
  std::size_t width = 30;
  bool any = false;
  for (const Pair& pair : pairs) {
    if (is_setting(pair.path)) continue;
    any = true;
    width =
        std::max(width, std::min<std::size_t>(pair.path.size() - section_of(pair.path).size(), 60));
  }
  if (!any) {
    out += "\nresults: no difference\n";
    return;
  }
  std::string_view section;
  out += fmt::format("\n{}{}{}{}\n", left("results", width + 2), right("A", kColumn),
                     right("B", kColumn), right("change", 12));
  for (const Pair& pair : pairs) {
    if (is_setting(pair.path)) continue;
    std::string_view shown = pair.path;
    if (section_of(pair.path) != section) {
      section = section_of(pair.path);
      out += clean(section) + '\n';
    }
    if (shown.size() > section.size() && shown.starts_with(section)) {
      shown.remove_prefix(section.size() + 1);
    }
    if (section == "statistics") shown.remove_suffix(std::string_view(".value").size());
    out += fmt::format("  {}{}{}{}", left(fitted(shown, width), width),
                       right(" " + fitted(side(pair, pair.a), 40), kColumn),
                       right(" " + fitted(side(pair, pair.b), 40), kColumn),
                       right(change_text(pair.a, pair.b), 12));
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  }
}

}  // namespace

ReportSource read_report(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw base::UserError(fmt::format("{}: is a directory, not a report", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw base::UserError(fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  }
  ReportSource source{path, {}};
  std::array<char, 65536> chunk;
  while (file.read(chunk.data(), chunk.size()) || file.gcount() > 0) {
    source.text.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
    if (source.text.size() > kMostBytes) {
      throw base::UserError(fmt::format("{}: too long for a report", path));
    }
  }
  if (file.bad()) throw base::UserError(fmt::format("{}: cannot be read", path));
  return source;
}

Comparison compare(const ReportSource& a, const ReportSource& b,
                   std::span<const std::string> conditions) {
  const FlatReport before(a);
  const FlatReport after(b);
  Comparison result;
  result.text = fmt::format("A: {}\nB: {}\n\n", clean(a.name), clean(b.name));
  const std::vector<Pair> pairs = differences(before, after);
  print_settings(pairs, result.text);
  print_values(pairs, result.text);
  check_conditions(before, after, conditions, result);
  return result;
}

}  // namespace nvmesim::report
