// Binds sockets of our modules, with a BaseProtocolChecker between each pair if they are wanted.
// Whoever builds a system binds through it and asks at the end what was broken.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/check/base_protocol_checker.hpp"

namespace nvmesim::check {

class CheckedSockets {
 public:
  using Direction = base::Splice::Direction;

  CheckedSockets(bool wanted, const base::Scheduler& scheduler)
      : wanted_(wanted), scheduler_(scheduler) {}

  // `name` becomes the checker's, as "check_NAME". kUpstream: the requests come from the device.
  template <class Initiator, class Target>
  void bind(const std::string& name, Initiator& initiator, Target& target,
            Direction direction = Direction::kDownstream, CheckerOptions options = {}) {
    if (!wanted_) {
      initiator.bind(target);
      return;
    }
    checkers_.push_back(std::make_unique<BaseProtocolChecker>(fmt::format("check_{}", name).c_str(),
                                                              scheduler_, options));
    base::Splice::Lane& lane = direction == Direction::kDownstream ? checkers_.back()->downstream
                                                                   : checkers_.back()->upstream;
    initiator.bind(lane.in);
    lane.out.bind(target);
  }

  // What was broken, one line each. With `ended`, of a run that was not cut short, requests that
  // are still open count too.
  std::vector<std::string> violations(bool ended) {
    std::vector<std::string> texts;
    for (auto& checker : checkers_) {
      if (ended) checker->finish();
      for (const Violation& violation : checker->violations()) texts.push_back(violation.text);
    }
    return texts;
  }
  std::uint64_t requests() const {
    std::uint64_t sum = 0;
    for (const auto& checker : checkers_) sum += checker->requests();
    return sum;
  }

 private:
  const bool wanted_;
  const base::Scheduler& scheduler_;
  std::vector<std::unique_ptr<BaseProtocolChecker>> checkers_;
};

}  // namespace nvmesim::check
