// What the tests of the Scheduler write down and are made of.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

using base::Phase;
using base::Scheduler;
using base::Time;

// Writes down what ran and when, as "5a 7b".
struct Recorder {
  explicit Recorder(Scheduler& used) : scheduler(used) {}
  void note(std::uint64_t letter) {
    if (!text.empty()) text += ' ';
    text += std::to_string(scheduler.now().count()) + static_cast<char>(letter);
  }
  Scheduler::Handle at(std::int64_t when, char letter, Phase phase = Phase::kNormal) {
    return scheduler.at<&Recorder::note>(Time{when}, this, static_cast<std::uint64_t>(letter),
                                         phase);
  }
  Scheduler& scheduler;
  std::string text;
};

// A thread body as a module; foreign code of the tests.
class Script : public sc_core::sc_module {
 public:
  Script(sc_core::sc_module_name name, std::function<void()> body)
      : sc_core::sc_module(name), body_(std::move(body)) {
    NVMESIM_HAS_PROCESS(Script);
    SC_THREAD(run);
  }

 private:
  void run() { body_(); }
  std::function<void()> body_;
};

// An entry made of any function.
struct Function {
  explicit Function(std::function<void()> used) : body(std::move(used)) {}
  void call() { body(); }
  std::function<void()> body;
};

}  // namespace nvmesim::test
