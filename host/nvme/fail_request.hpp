// Injected failures of completions, as the parameter fail_request asks for them:
// "interval,probability,space,times" of the kernel's fault injection. Every interval-th completion
// beyond the first `space` fails with `probability` per cent, `times` times (-1: always).
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/base/random.hpp"

namespace nvmesim::host {

class FailRequest {
 public:
  // Throws UserError for text that is not four numbers. Empty text: nothing ever fails.
  FailRequest(std::string_view text, std::string_view user);

  bool armed() const { return times_ != 0; }
  bool should_fail();

 private:
  std::uint64_t interval_ = 1;
  std::uint64_t probability_ = 0;
  std::uint64_t space_ = 0;
  std::int64_t times_ = 0;
  std::uint64_t count_ = 0;
  base::Random random_;
};

}  // namespace nvmesim::host
