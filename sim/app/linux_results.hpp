// The results of a command under a real kernel, as JSON: what a replay's are, from the commands as
// the bridge sees them. Measured is what the command did, from its start to its end; the kernel's
// boot and shutdown are outside, as a warm-up is.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <vector>

#include "sim/app/measured_span.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"
#include "sim/report/run_report.hpp"
#include "sim/system/linux_system.hpp"

namespace nvmesim::app {

// --json, --slowest.
po::options_description linux_result_options();

class LinuxResults {
 public:
  // Opens the file. Throws UserError. taken: files that it must not be.
  LinuxResults(const po::variables_map& values, const std::vector<std::string>& taken);

  bool wanted() const { return file_ != nullptr; }
  // Into the options of the system that is to be measured.
  void attach(system_::LinuxOptions& options);
  // Before it runs, and once it is there.
  void begin(system_::LinuxSystem& system);

  struct End {
    boost::json::object workload;
    int exit_status = 0;
    std::string partial;  // why the command did not come to its end; empty if it did
  };
  void write(const End& end);

 private:
  void ended(const bridge::CommandWatch::Command& command);
  void marked(unsigned char mark);
  void keep_slow(const bridge::CommandWatch::Command& command, report::Operation operation);
  report::RunReport make_report(const End& end);

  std::unique_ptr<OutputFile> file_;
  std::size_t slowest_limit_ = 0;
  system_::LinuxSystem* system_ = nullptr;
  MeasuredSpan span_;
  bool begun_ = false;
  base::Time begin_{0};
  base::Time open_at_begin_{0};
  base::Time open_at_end_{0};
  bridge::CommandWatch::Counts at_begin_;
  bridge::CommandWatch::Counts at_end_;
  report::OperationReports operations_;
  std::uint64_t counted_ = 0;  // in operations_
  std::uint64_t other_ = 0;    // of the measured span: commands of other kinds
  std::vector<report::SlowRequest> slowest_;
};

}  // namespace nvmesim::app
