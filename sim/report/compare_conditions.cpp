// Conditions of `compare`: their grammar and what they mean.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "sim/base/assert.hpp"
#include "sim/base/config.hpp"
#include "sim/report/flat_report.hpp"

namespace nvmesim::report {
namespace {

namespace json = boost::json;

struct Operator {
  std::string_view text;
  bool (*holds)(double left, double right);
};
// Longer ones first: ">=" begins with ">".
constexpr std::array<Operator, 6> kOperators = {{
    {">=", [](double left, double right) { return left >= right; }},
    {"<=", [](double left, double right) { return left <= right; }},
    {"==", [](double left, double right) { return left == right; }},
    {"!=", [](double left, double right) { return left != right; }},
    {">", [](double left, double right) { return left > right; }},
    {"<", [](double left, double right) { return left < right; }},
}};

struct Condition {
  std::string_view text;
  std::string_view path;
  const Operator* op = nullptr;
  double limit = 0;
  bool change = false;   // of B against A, else B's value
  bool percent = false;  // of A's value
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

[[noreturn]] void refuse(std::string_view condition, std::string_view why) {
  throw base::UserError(fmt::format("condition '{}': {}", clean(condition), why));
}

// Digits with at most one decimal point, and digits on at least one side of it.
std::optional<double> decimal(std::string_view text) {
  if (text.find_first_not_of("0123456789.") != text.npos) return std::nullopt;
  if (std::count(text.begin(), text.end(), '.') > 1) return std::nullopt;
  if (text.find_first_of("0123456789") == text.npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Condition parse(std::string_view text) {
  Condition condition;
  condition.text = text;
  const auto at = text.find_first_of("<>=!");
  if (at == text.npos) refuse(text, "there is no comparison in it; write 'read.p99_ns > +5%'");
  condition.path = trimmed(text.substr(0, at));
  if (condition.path.empty()) refuse(text, "there is no name before the comparison");
  std::string_view rest = text.substr(at);
  for (const Operator& op : kOperators) {
    if (condition.op == nullptr && rest.starts_with(op.text)) condition.op = &op;
  }
  if (condition.op == nullptr) refuse(text, "a comparison is one of > >= < <= == !=");
  std::string_view limit = trimmed(rest.substr(condition.op->text.size()));
  double sign = 1;
  if (limit.starts_with('+') || limit.starts_with('-')) {
    condition.change = true;
    if (limit.front() == '-') sign = -1;
    limit.remove_prefix(1);
  }
  if (limit.ends_with('%')) {
    condition.change = condition.percent = true;
    limit = trimmed(limit.substr(0, limit.size() - 1));
  }
  const std::optional<double> value = decimal(limit);
  if (!value) refuse(text, "the limit is not a number such as 5, +5 or -5.5%");
  condition.limit = sign * *value;
  return condition;
}

const json::value& number(const FlatReport& report, const FlatReport& other,
                          const Condition& condition) {
  const json::value* value = report.find_number(condition.path);
  if (value != nullptr) return *value;
  if (other.find_number(condition.path) != nullptr) {
    refuse(condition.text,
           fmt::format("{} has no {}", clean(report.name()), clean(condition.path)));
  }
  const std::string nearest = base::nearest_key(condition.path, report.number_paths());
  refuse(condition.text,
         nearest.empty()
             ? fmt::format("the reports have no number called \"{}\"", clean(condition.path))
             : fmt::format("the reports have no number called \"{}\"; the nearest is \"{}\"",
                           clean(condition.path), clean(nearest)));
}

// The change is compared with limit * A: no division, so A may be 0.
bool holds(const Condition& condition, double before, double after) {
  if (!condition.change) return condition.op->holds(after, condition.limit);
  if (!condition.percent) return condition.op->holds(after - before, condition.limit);
  const double size = before < 0 ? -before : before;
  return condition.op->holds((after - before) * 100, condition.limit * size);
}

}  // namespace

void check_conditions(const FlatReport& a, const FlatReport& b,
                      std::span<const std::string> conditions, Comparison& comparison) {
  if (!conditions.empty()) comparison.text += "\nconditions\n";
  for (const std::string& text : conditions) {
    const Condition condition = parse(text);
    const json::value& after = number(b, a, condition);
    const json::value* before = a.find_number(condition.path);
    if (condition.change) before = &number(a, b, condition);
    const bool failed =
        holds(condition, before == nullptr ? 0 : as_double(*before), as_double(after));
    if (failed) comparison.held.push_back(text);
    const std::string change = before == nullptr ? "" : change_text(before, &after);
    comparison.text += fmt::format("  {}  {}: {} -> {}{}\n", failed ? "FAIL" : "ok  ", clean(text),
                                   before == nullptr ? "-" : value_text(condition.path, *before),
                                   value_text(condition.path, after),
                                   change.empty() ? "" : fmt::format(" ({})", change));
  }
}

}  // namespace nvmesim::report
