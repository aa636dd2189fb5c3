// A stage of the pipeline whose end is an entry of its own: what enters is called back in order
// when the stage is done with it. One of 0 cycles is absent: its user does not enter it and pays a
// branch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/pipeline_stage.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

class TimedStage {
 public:
  TimedStage(base::Scheduler& scheduler, const std::string& name, std::uint32_t width,
             base::Time interval, base::Time latency);

  bool present() const { return present_; }
  void enter(base::Callback done);
  // Forgets what is inside.
  void clear();
  base::Time busy() const { return unit_.busy(); }

 private:
  struct Item {
    base::Time when;
    base::Callback done;
  };
  void first_done();

  base::Scheduler& scheduler_;
  PipelineStage unit_;
  const base::Time latency_;
  const bool present_;
  std::vector<Item> items_;  // [first_, end) are inside, in the order of their ends
  std::size_t first_ = 0;
  base::Scheduler::Handle timer_;
};

}  // namespace nvmesim::device
