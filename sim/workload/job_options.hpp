// The table of fio's job options that are understood. To add one: a member in JobOptions, a row
// in job_options.cpp, and whoever acts on it.
#pragma once

#include <span>
#include <stdexcept>
#include <string_view>

#include "sim/workload/job_file.hpp"

namespace nvmesim::workload {

// A value that an option cannot take; the text says what it can.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct JobOptionRow {
  std::string_view name;
  bool flag;  // may stand without a value, which means 1
  void (*apply)(JobOptions& options, std::string_view value);  // throws BadValue
};

std::span<const JobOptionRow> job_option_rows();

}  // namespace nvmesim::workload
