// A stage of the command path with `width` equal units, each of which is busy for one interval per
// item. Items are served in order; with equal times the units take turns.
#pragma once

#include <string>
#include <vector>

#include "sim/base/timeline.hpp"

namespace nvmesim::device {

class PipelineStage {
 public:
  PipelineStage(const std::string& name, std::uint32_t width, base::Time interval)
      : interval_(interval), units_(width, base::Timeline(name)) {}

  // When an item that is here at `now` starts.
  base::Time reserve(base::Time now) {
    base::Timeline& unit = units_[next_];
    if (++next_ == units_.size()) next_ = 0;
    return unit.reserve(now, interval_);
  }
  // Mean over the units.
  base::Time busy() const {
    base::Time sum{0};
    for (const base::Timeline& unit : units_) sum += unit.busy();
    return sum / static_cast<std::int64_t>(units_.size());
  }

 private:
  base::Time interval_;
  std::vector<base::Timeline> units_;
  std::size_t next_ = 0;
};

}  // namespace nvmesim::device
