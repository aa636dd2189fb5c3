// A RunReport as JSON, described by schema.json next to this file, and the printer for it. Keys
// keep their order, units are in the names; counts are integers, a time in ns has three decimals, a
// ratio has six.
// Equal reports give equal bytes.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "sim/report/run_report.hpp"

namespace nvmesim::report {

inline constexpr int kFormatVersion = 1;

boost::json::value to_json(const RunReport& report);

// Two spaces of indentation, a newline at the end. Numbers with a fraction print with six decimals
// under a key that ends in "_ratio", with three elsewhere.
std::string print_json(const boost::json::value& document);

}  // namespace nvmesim::report
