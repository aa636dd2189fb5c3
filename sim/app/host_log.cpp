#include "sim/app/host_log.hpp"

#include <fmt/format.h>

namespace nvmesim::app {

void HostLog::add(const host::PrintLine& line) {
  if (lines_.size() < kLinesKept) lines_.push_back(line.to_string());
  if (line.level > host::PrintLevel::kWarning) return;
  if (warnings_.size() < kWarningsKept) {
    warnings_.push_back(line.to_string());
  } else {
    ++more_;
  }
}

std::vector<std::string> HostLog::warnings() const {
  std::vector<std::string> result = warnings_;
  if (more_ != 0) {
    result.push_back(fmt::format("... and {} more {} of the simulated host", more_,
                                 more_ == 1 ? "warning" : "warnings and errors"));
  }
  return result;
}

}  // namespace nvmesim::app
