// nvmesim drives --check: runs the jobs that a preset's published figures were measured with and
// compares what comes out. Figures stand in the preset itself:
//
//   "published": [{"job": ["line of a fio job file", ...], "settings": ["path=value", ...],
//     "warmup_ms": 1, "figures": [{"figure": "what", "measure": "read.mean_us", "target": 82,
//     "target_max": 90, "tolerance_percent": 10, "source": "who measured it"}]}]
//
// A measure is OPERATION.QUANTITY; quantities: gb_per_s, kiops, mean_us, median_us, p99_us,
// p99999_us (all of fio's clat) and device_us (mean, from arbitration to the completion entry).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::app {

struct PublishedFigure {
  std::string figure;
  std::string measure;
  double target = 0;  // the least of a range
  double target_max = 0;
  double tolerance_percent = 0;
  std::string source;
};

struct PublishedJob {
  std::string text;  // of a fio job file
  std::vector<std::string> settings;
  std::uint64_t warmup_ms = 0;
  std::vector<PublishedFigure> figures;
};

// The published figures of a preset; none is fine. Throws UserError for a malformed section.
std::vector<PublishedJob> published_jobs(std::string_view drive);

// How far `ours` is from the range, in percent of its nearer end; 0 within.
double error_percent(const PublishedFigure& figure, double ours);

// Runs all jobs, each in a process of its own, and prints the table. Status 1 if a figure is out
// of its tolerance.
int check_drive(const std::string& drive);

}  // namespace nvmesim::app
