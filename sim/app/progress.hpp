// What a person sees while a run goes on: a bar on the terminal, and Ctrl-C that ends the run early
// with a partial report. Both look at the wall clock and touch nothing that a result depends on.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "sim/base/scheduler.hpp"

namespace nvmesim::app {

class Progress {
 public:
  // `fraction` of the run that is done, 0..1; `requests` that have ended.
  struct State {
    double fraction = 0;
    std::uint64_t requests = 0;
  };

  Progress(base::Scheduler& scheduler, std::function<State()> state,
           std::function<void()> interrupt);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // True after Ctrl-C.
  bool interrupted() const { return interrupted_; }
  // Wall seconds since construction.
  double elapsed() const;
  // Removes the bar.
  void clear();

 private:
  void look();
  void draw();

  base::Scheduler& scheduler_;
  std::function<State()> state_;
  std::function<void()> interrupt_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_draw_ = begin_;
  bool terminal_ = false;
  bool drawn_ = false;
  bool interrupted_ = false;
};

}  // namespace nvmesim::app
