// From what a workload measured to what a report shows.
#pragma once

#include "sim/report/run_report.hpp"
#include "sim/workload/result.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::app {

void add_result(report::RunReport& report, const workload::WorkloadResult& result);
report::HangReport hang_report(std::string reason, base::Time at, const workload::Runner& workload);

}  // namespace nvmesim::app
