#include "host/nvme/apst.hpp"

#include <algorithm>

namespace nvmesim::host {
namespace {

constexpr std::uint64_t kMaxIdleMs = 0xff'ffff;  // 24 bits

// Chooses the idle time before a state by the class that its total latency puts it in. Each class
// is given to the deepest state that fits, so a second state of the same class is passed over.
class IdleTimes {
 public:
  explicit IdleTimes(const DriverConfig& config) : config_(config) {}

  // False if no transition may lead to a state of this latency.
  bool choose(std::uint64_t total_us, std::uint64_t& idle_ms) {
    if (config_.apst_primary_timeout_ms == 0 || config_.apst_primary_latency_tol_us == 0) {
      idle_ms = std::min((total_us + 19) / 20, kMaxIdleMs);
      return true;
    }
    if (total_us <= config_.apst_primary_latency_tol_us) {
      if (last_class_ == 1) return false;
      last_class_ = 1;
      idle_ms = config_.apst_primary_timeout_ms;
      return true;
    }
    if (config_.apst_secondary_timeout_ms == 0 ||
        total_us > config_.apst_secondary_latency_tol_us || last_class_ != 0)
      return false;
    last_class_ = 2;
    idle_ms = config_.apst_secondary_timeout_ms;
    return true;
  }

 private:
  const DriverConfig& config_;
  int last_class_ = 0;
};

}  // namespace

ApstTable build_apst_table(std::span<const PowerState> states, std::uint64_t ps_max_latency_us,
                           bool skip_deepest, const DriverConfig& config) {
  ApstTable table;
  if (ps_max_latency_us == 0) return table;
  table.enable = true;
  IdleTimes idle_times(config);
  std::uint64_t target = 0;
  for (std::size_t state = std::min(states.size(), table.entries.size()); state-- > 0;) {
    table.entries[state] = target;
    const PowerState& candidate = states[state];
    if (state + 1 == states.size() && skip_deepest) continue;
    if (!candidate.non_operational || candidate.exit_latency_us > ps_max_latency_us) continue;
    const std::uint64_t total =
        std::uint64_t{candidate.entry_latency_us} + candidate.exit_latency_us;
    std::uint64_t idle_ms = 0;
    if (idle_times.choose(total, idle_ms)) target = std::uint64_t{state} << 3 | idle_ms << 8;
  }
  return table;
}

}  // namespace nvmesim::host
