// --trace-tlp FILE: every TLP of the link, one line each, in the order in which they are sent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pcie/tlp_log.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"

namespace nvmesim::app {

po::options_description trace_options();

class TlpTrace {
 public:
  // Null without the option. Throws UserError if OutputFile does.
  static std::unique_ptr<TlpTrace> from(const po::variables_map& values,
                                        const std::vector<std::string>& taken = {});
  TlpTrace(std::string path, const std::vector<std::string>& taken)
      : file_(std::move(path), taken) {}

  // Lives no longer than this object. It throws UserError when the disk is full.
  pcie::TlpLog log();
  // At the end: the file gets its name.
  void commit();

 private:
  OutputFile file_;
  std::string lines_;  // not written yet
};

}  // namespace nvmesim::app
