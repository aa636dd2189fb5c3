// A report that was read back, as a list of paths and values in the order of the file:
// "operations.read.latency.p99_ns" -> 81920. Internal to this room.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report/compare.hpp"

namespace nvmesim::report {

struct FlatValue {
  std::string path;
  boost::json::value value;  // never an object or a non-empty array
};

class FlatReport {
 public:
  // Throws UserError if the text is not a report of ours.
  explicit FlatReport(const ReportSource& source);

  const std::string& name() const { return name_; }
  const std::vector<FlatValue>& values() const { return values_; }
  // Null if there is none.
  const boost::json::value* find(std::string_view path) const;
  // The value at a path or at what its short form stands for, if it is a number or a truth value.
  const boost::json::value* find_number(std::string_view path) const;
  // Every path that find_number() takes, short forms where there are some.
  std::vector<std::string> number_paths() const;

 private:
  void flatten(const std::string& path, const boost::json::value& value);

  std::string name_;
  std::vector<FlatValue> values_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

// A number or truth value as a double.
double as_double(const boost::json::value& value);
bool is_number(const boost::json::value& value);
// As the printer writes it under that path; strings in quotes, control characters replaced.
std::string value_text(std::string_view path, const boost::json::value& value);
// "+5.3 %", "new", "gone", or "" where there is no sense in it. Null: not there.
std::string change_text(const boost::json::value* a, const boost::json::value* b);
// What may be shown on a terminal.
std::string clean(std::string_view text);

// Text of the conditions, one line each; those that hold are added to comparison.held.
void check_conditions(const FlatReport& a, const FlatReport& b,
                      std::span<const std::string> conditions, Comparison& comparison);

}  // namespace nvmesim::report
