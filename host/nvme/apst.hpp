// The table for the Autonomous Power State Transition feature: for each power state, into which
// deeper state the drive may go by itself and after how much idle time. A pure function of what the
// drive says of its states and of the parameters.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "host/nvme/driver_config.hpp"

namespace nvmesim::host {

struct PowerState {
  std::uint32_t entry_latency_us = 0;
  std::uint32_t exit_latency_us = 0;
  bool non_operational = false;
};

struct ApstTable {
  // Entries as the drive reads them: target state in bits 7:3, idle time in ms in 31:8.
  std::array<std::uint64_t, 32> entries{};
  bool enable = false;
};

// states: state 0 up to the deepest. ps_max_latency_us 0 turns the feature off.
ApstTable build_apst_table(std::span<const PowerState> states, std::uint64_t ps_max_latency_us,
                           bool skip_deepest, const DriverConfig& config);

}  // namespace nvmesim::host
