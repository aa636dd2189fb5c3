#include "sim/report/flat_report.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/base/assert.hpp"
#include "sim/base/config.hpp"
#include "sim/report/figures.hpp"
#include "sim/report/json_report.hpp"
#include "sim/report/text_format.hpp"

namespace nvmesim::report {
namespace {

namespace json = boost::json;

std::string_view view(json::string_view text) {
  return {text.data(), text.size()};
}

json::value parse(const ReportSource& source) {
  json::value document = base::parse_json(source.text, source.name);
  const json::object* root = document.if_object();
  const json::value* format = root == nullptr ? nullptr : root->if_contains("format");
  if (format == nullptr || !format->is_string() || format->get_string() != "nvmesim-report") {
    throw base::UserError(
        fmt::format("{}: not a report: nvmesim writes them with --json", source.name));
  }
  const json::value* version = root->if_contains("format_version");
  if (version == nullptr || *version != json::value(kFormatVersion)) {
    throw base::UserError(
        fmt::format("{}: the report's format_version is {}, this program reads {}", source.name,
                    version == nullptr ? "missing" : json::serialize(*version), kFormatVersion));
  }
  // Two empty documents would pass every comparison.
  for (const char* member : {"tool", "command", "configuration", "requests", "total", "operations",
                             "utilisation", "statistics"}) {
    if (root->contains(member)) continue;
    throw base::UserError(
        fmt::format("{}: not a whole report: it has no \"{}\"", source.name, member));
  }
  return document;
}

// What a path may stand for, in order of preference.
std::vector<std::string> expansions(std::string_view path) {
  std::string spelled(path);
  // A percentile may be written as people say it.
  for (const auto& [said, key] : {std::pair{"p99.99_ns", "p99_99_ns"}, {"p99.9_ns", "p99_9_ns"}}) {
    const auto at = spelled.find(said);
    if (at != spelled.npos) spelled.replace(at, std::string_view(said).size(), key);
  }
  std::vector<std::string> result = {spelled, "operations." + spelled, spelled + ".value"};
  const auto dot = spelled.find('.');
  if (dot != spelled.npos) {
    result.push_back(
        fmt::format("operations.{}.latency.{}", spelled.substr(0, dot), spelled.substr(dot + 1)));
  }
  return result;
}

// The shortest form that expansions() undoes.
std::string shortened(std::string_view path) {
  constexpr std::string_view kPrefix = "operations.";
  if (!path.starts_with(kPrefix)) return std::string(path);
  std::string rest(path.substr(kPrefix.size()));
  const auto at = rest.find(".latency.");
  if (at != rest.npos) rest.erase(at, std::string_view(".latency").size());
  return rest;
}

}  // namespace

FlatReport::FlatReport(const ReportSource& source) : name_(source.name) {
  flatten("", parse(source));
  for (std::size_t i = 0; i < values_.size(); ++i) index_.emplace(values_[i].path, i);
}

void FlatReport::flatten(const std::string& path, const json::value& value) {
  if (const json::object* object = value.if_object(); object != nullptr) {
    for (const auto& member : *object) {
      const std::string_view name = view(member.key());
      flatten(path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), member.value());
    }
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      flatten(fmt::format("{}[{}]", path, i), (*array)[i]);
    }
  } else {
    values_.push_back({path, value});
  }
}

const json::value* FlatReport::find(std::string_view path) const {
  const auto found = index_.find(path);
  return found == index_.end() ? nullptr : &values_[found->second].value;
}

const json::value* FlatReport::find_number(std::string_view path) const {
  for (const std::string& candidate : expansions(path)) {
    const json::value* value = find(candidate);
    if (value != nullptr && is_number(*value)) return value;
  }
  return nullptr;
}

std::vector<std::string> FlatReport::number_paths() const {
  std::vector<std::string> result;
  for (const FlatValue& row : values_) {
    if (is_number(row.value)) result.push_back(shortened(row.path));
  }
  return result;
}

bool is_number(const json::value& value) {
  return value.is_number() || value.is_bool();
}

double as_double(const json::value& value) {
  switch (value.kind()) {
    case json::kind::int64:
      return static_cast<double>(value.get_int64());
    case json::kind::uint64:
      return static_cast<double>(value.get_uint64());
    case json::kind::double_:
      return value.get_double();
    case json::kind::bool_:
      return value.get_bool() ? 1 : 0;
    default:
      break;
  }
  NVMESIM_ASSERT(false, "asked for the number of something else");
}

std::string clean(std::string_view text) {
  return fitted(text, text.npos);
}

std::string value_text(std::string_view path, const json::value& value) {
  if (value.is_double()) {
    return fmt::format("{:.{}f}", value.get_double(), path.ends_with("_ratio") ? 6 : 3);
  }
  return clean(json::serialize(value));
}

std::string change_text(const json::value* a, const json::value* b) {
  if (a == nullptr) return "new";
  if (b == nullptr) return "gone";
  if (!a->is_number() || !b->is_number()) return "";
  const double before = as_double(*a);
  const double after = as_double(*b);
  if (before == 0) return "";
  const double change = (after - before) / (before < 0 ? -before : before) * 100;
  if (change > 99'999 || change < -99'999) return change > 0 ? ">+99999 %" : "<-99999 %";
  return fmt::format("{:+.2f} %", change);
}

}  // namespace nvmesim::report
