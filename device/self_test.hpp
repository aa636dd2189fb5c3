// Device Self-test (sections 5.8 and 8.6): one test per controller, in the background of other
// commands, with progress and the last twenty results (log page 06h). A short test ends with a
// controller reset; an extended one goes on over it.
#pragma once

#include <array>
#include <cstdint>

#include "device/spec/logs.hpp"
#include "device/spec/management.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

struct Core;

class SelfTest {
 public:
  explicit SelfTest(Core& core) : core_(core) {}

  bool running() const { return operation_ != 0; }
  // STC 1h or 2h, none is running. nsid: 0 controller only, one namespace, or all.
  void start(unsigned operation, std::uint32_t nsid);
  // Ends the running test with this result; nothing if none is running.
  void stop(spec::SelfTestResult result);
  void controller_reset();
  // A namespace that it tests is formatted or goes away.
  void namespace_gone(std::uint32_t nsid, spec::SelfTestResult result);
  spec::SelfTestLog log() const;

 private:
  base::Time duration() const;
  void time_over();

  Core& core_;
  unsigned operation_ = 0;
  std::uint32_t nsid_ = 0;
  base::Time began_{0};
  base::Scheduler::Handle timer_;
  std::array<spec::SelfTestEntry, 20> results_{};  // newest first
  std::uint32_t count_ = 0;
};

}  // namespace nvmesim::device
