// A resource that serves strictly in order: a bus, a lookup engine, a wire. reserve() answers in
// O(1) when the service begins. It must be called in the order of `earliest`: an earlier value
// than the last one means that somebody reserved ahead of an event, which would give the resource
// to the wrong user, and ends the run.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::base {

class Timeline {
 public:
  explicit Timeline(std::string name) : name_(std::move(name)) {}

  // Returns the start of a service of `duration` that cannot begin before `earliest`.
  Time reserve(Time earliest, Time duration) {
    NVMESIM_ASSERT(earliest >= last_earliest_, "a Timeline was reserved out of order");
    last_earliest_ = earliest;
    const Time start = std::max(earliest, free_at_);
    free_at_ = start + duration;
    busy_ += duration;
    waited_ += start - earliest;
    ++count_;
    return start;
  }

  const std::string& name() const { return name_; }
  Time free_at() const { return free_at_; }
  std::uint64_t count() const { return count_; }
  Time busy() const { return busy_; }
  Time waited() const { return waited_; }

 private:
  std::string name_;
  Time last_earliest_{0};
  Time free_at_{0};
  Time busy_{0};
  Time waited_{0};
  std::uint64_t count_ = 0;
};

}  // namespace nvmesim::base
