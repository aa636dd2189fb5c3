#include "host/nvme/fail_request.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "sim/base/assert.hpp"

namespace nvmesim::host {

FailRequest::FailRequest(std::string_view text, std::string_view user) : random_(0, user) {
  if (text.empty()) return;
  std::array<std::int64_t, 4> values{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto [rest, error] = std::from_chars(at, end, values[i]);
    const bool last = i + 1 == values.size();
    const bool separated = last ? rest == end : rest != end && *rest == ',';
    const bool in_range = values[i] >= (last ? -1 : 0);
    if (error != std::errc{} || !separated || !in_range) {
      throw base::UserError(
          fmt::format("driver.fail_request: '{}' is not interval,probability,space,times", text));
    }
    at = last ? rest : rest + 1;
  }
  interval_ = values[0] == 0 ? 1 : static_cast<std::uint64_t>(values[0]);
  probability_ = static_cast<std::uint64_t>(values[1]);
  space_ = static_cast<std::uint64_t>(values[2]);
  times_ = values[3];
}

bool FailRequest::should_fail() {
  if (times_ == 0) return false;
  if (space_ != 0) {
    --space_;
    return false;
  }
  if (++count_ % interval_ != 0) return false;
  if (probability_ < 100 && !random_.chance(probability_, 100)) return false;
  if (times_ > 0) --times_;
  return true;
}

}  // namespace nvmesim::host
