// From what a workload measured to what a report shows.
#pragma once

#include <string>
#include <string_view>

#include "models/media_config.hpp"
#include "sim/app/measured_span.hpp"
#include "sim/report/run_report.hpp"
#include "sim/workload/result.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::app {

void add_result(report::RunReport& report, const workload::WorkloadResult& result);
report::StageTimes stage_times(const base::StageRecord& record);
// Statistics and busy times of the measured span, and what follows from them.
void add_measured(report::RunReport& report, const MeasuredSpan& span,
                  const base::StatisticsRegistry& registry, models::MediaKind media);
// `in_flight`: what the controller says of its commands (Controller::describe_in_flight()).
report::HangReport hang_report(std::string reason, base::Time at, const workload::Runner& workload,
                               std::string_view in_flight);

}  // namespace nvmesim::app
