// What the kernel of the simulated host said in a run: all of it for a run that did not come up,
// else its warnings and errors, the first few of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/kernel/kernel_log.hpp"

namespace nvmesim::app {

class HostLog {
 public:
  void add(const host::PrintLine& line);

  const std::vector<std::string>& lines() const { return lines_; }
  // The first warnings and errors, and a line that says how many more there are.
  std::vector<std::string> warnings() const;

 private:
  static constexpr std::size_t kWarningsKept = 20;
  static constexpr std::size_t kLinesKept = 1000;

  std::vector<std::string> lines_;
  std::vector<std::string> warnings_;
  std::uint64_t more_ = 0;
};

}  // namespace nvmesim::app
