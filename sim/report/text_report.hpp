// A RunReport for the eye: at most 100 columns, no more lines than there is to say, units that fit
// the numbers. Empty sections are left out.
#pragma once

#include <string>

#include "sim/report/run_report.hpp"

namespace nvmesim::report {

struct TextOptions {
  bool colour = false;  // ANSI codes: bold headings, red for failures
};

std::string to_text(const RunReport& report, TextOptions options = {});

}  // namespace nvmesim::report
