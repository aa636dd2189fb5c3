#include "pcie/link_config.hpp"

#include <fmt/format.h>

#include <bit>
#include <string_view>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

void require(bool condition, std::string_view name, std::uint64_t value, std::string_view allowed) {
  if (!condition) {
    throw base::UserError(fmt::format("{} is {}; it must be {}", name, value, allowed));
  }
}

}  // namespace

std::span<const base::ParamInfo> LinkCredits::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"posted_headers", "TLPs", 0, 1 << 20,
       "receive buffer of each end, in TLPs; 0: never full; any limit simulates each TLP"},
      {"posted_data", "16 B", 0, 1 << 20, "the same for their data, at least one MPS; 0: infinite"},
      {"non_posted_headers", "TLPs", 0, 1 << 20, "for reads and configuration requests"},
      {"non_posted_data", "16 B", 0, 1 << 20, "for configuration writes"},
      {"completion_headers", "TLPs", 0, 1 << 20, "for completions"},
      {"completion_data", "16 B", 0, 1 << 20, "for their data, at least one MPS"},
      {"update_latency_ns", "ns", 0, 1'000'000,
       "from a TLP's arrival until its place in the receive buffer is free again"},
  };
  return kParams;
}

void LinkCredits::validate(std::uint32_t max_payload_bytes) const {
  const auto holds = [&](std::uint32_t credits) {
    return credits == 0 || credits * std::uint64_t{kDataCreditBytes} >= max_payload_bytes;
  };
  require(holds(posted_data), "credits.posted_data", posted_data,
          "0 or enough for one max_payload_bytes (16 bytes each)");
  require(holds(completion_data), "credits.completion_data", completion_data,
          "0 or enough for one max_payload_bytes (16 bytes each)");
}

std::span<const base::ParamInfo> LinkTraining::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"initial_us", "us", 0, 10'000'000,
       "from power on until the link is up; 0: it is up from the start"},
      {"detect_us", "us", 0, 1'000'000, "looking for a receiver"},
      {"polling_us", "us", 0, 1'000'000, "bit and symbol lock: 1024 ordered sets of 64 ns"},
      {"configuration_us", "us", 0, 1'000'000, "lane and link numbers"},
      {"recovery_us", "us", 0, 1'000'000, "retraining, a change of speed"},
      {"equalization_us", "us", 0, 1'000'000,
       "more in recovery when the speed rises to 8 GT/s or beyond"},
      {"hot_reset_us", "us", 0, 1'000'000, "in the hot reset state"},
  };
  return kParams;
}

std::span<const base::ParamInfo> LinkPower::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"aspm", "", 0, 0,
       "deepest state of an idle link that firmware enables in the registers of its ports"},
      {"supported", "", 0, 0, "deepest state that these registers offer"},
      {"l0s_entry_ns", "ns", 0, 1'000'000'000, "idle time of one direction until it enters L0s"},
      {"l0s_exit_ns", "ns", 0, 1'000'000, "from L0s back to L0"},
      {"l1_entry_ns", "ns", 0, 1'000'000'000, "idle time of both directions until L1"},
      {"l1_exit_ns", "ns", 0, 10'000'000, "from L1 back to L0"},
      {"l1_substate_entry_ns", "ns", 0, 1'000'000'000, "time in L1 until L1.1 or L1.2"},
      {"l1_1_exit_ns", "ns", 0, 10'000'000, "from L1.1 back to L0"},
      {"l1_2_exit_ns", "ns", 0, 10'000'000, "from L1.2 back to L0, common mode restored"},
  };
  return kParams;
}

std::span<const base::ParamInfo> LinkFaults::params() {
  constexpr std::int64_t kAll = 1'000'000'000;
  static constexpr base::ParamInfo kParams[] = {
      {"corrupt_ppb", "1/10^9", 0, kAll,
       "TLPs whose first transmission arrives with wrong bits: LCRC, NAK; the replay is spared"},
      {"drop_completion_ppb", "1/10^9", 0, kAll,
       "completions that never come: the requester's completion timeout"},
      {"poison_ppb", "1/10^9", 0, kAll, "TLPs with data that arrive poisoned"},
      {"unsupported_request_ppb", "1/10^9", 0, kAll,
       "reads and configuration requests that are answered with Unsupported Request"},
      {"completer_abort_ppb", "1/10^9", 0, kAll, "the same with Completer Abort"},
      {"malformed_ppb", "1/10^9", 0, kAll, "TLPs that are discarded as malformed, a fatal error"},
      {"surprise_down_ppb", "1/10^9", 0, kAll, "TLPs at whose start the link goes down"},
      {"most_of_each", "1", 0, 1'000'000'000, "so many faults of each kind at most; 0: any number"},
      {"direction", "", 0, 0, "TLPs of that direction only: down is towards the drive"},
      {"from_us", "us", 0, std::int64_t{1} << 40, "TLPs before that simulated time are spared"},
      {"seed", "", 0, base::kNoLimit, "other faults with the same rates, in the same run"},
  };
  return kParams;
}

std::span<const base::ParamInfo> LinkConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"generation", "", 1, 6, "PCIe generation: 2.5, 5, 8, 16, 32, 64 GT/s"},
      {"lanes", "lanes", 1, 16, "width: 1, 2, 4, 8 or 16"},
      {"max_payload_bytes", "bytes", 128, 4096, "MPS: longest payload of one TLP, a power of two"},
      {"max_read_request_bytes", "bytes", 128, 4096,
       "MRRS: most that one read request asks for, a power of two"},
      {"read_completion_boundary_bytes", "bytes", 0, 128,
       "RCB: 64 or 128 if completions are cut at it; 0: they are cut at MPS"},
      {"propagation_ns", "ns", 0, 100'000, "flight time over the wire"},
      {"stack_latency_ns", "ns", 0, 100'000,
       "physical and data link layers of both ends together, per direction"},
      {"deferral_limit_us", "us", 1, 1'000'000,
       "a deferrable write is delivered at latest so long after its arrival"},
      {"resolution", "", 0, 0, "burst: computes with whole transfers; tlp: simulates each TLP"},
      {"bit_errors_per_petabit", "1/Pb", 0, 1'000'000'000'000,
       "wrong bits in 10^15, seeded; 1000000 is a rate of 1e-9; generation 6: behind its FEC"},
      {"replay_buffer_tlps", "TLPs", 1, 2048, "most TLPs that may wait for their ACK"},
      {"lost_requests", "", 0, 0, "how reads end that a link has lost when it went down"},
  };
  return kParams;
}

void LinkConfig::validate() const {
  require(generation >= 1 && generation <= 6, "generation", generation, "1 to 6");
  require(std::has_single_bit(lanes) && lanes <= 16, "lanes", lanes, "1, 2, 4, 8 or 16");
  require(std::has_single_bit(max_payload_bytes) && max_payload_bytes >= 128 &&
              max_payload_bytes <= 4096,
          "max_payload_bytes", max_payload_bytes, "a power of two from 128 to 4096");
  require(std::has_single_bit(max_read_request_bytes) && max_read_request_bytes >= 128 &&
              max_read_request_bytes <= 4096,
          "max_read_request_bytes", max_read_request_bytes, "a power of two from 128 to 4096");
  require(read_completion_boundary_bytes == 0 || read_completion_boundary_bytes == 64 ||
              read_completion_boundary_bytes == 128,
          "read_completion_boundary_bytes", read_completion_boundary_bytes, "0, 64 or 128");
  require(bit_errors_per_petabit <= 1'000'000'000'000, "bit_errors_per_petabit",
          bit_errors_per_petabit, "at most 10^12");
  require(replay_buffer_tlps >= 1 && replay_buffer_tlps <= 2048, "replay_buffer_tlps",
          replay_buffer_tlps, "1 to 2048");
  require(training.initial_us == 0 || training.initial_us >= training.least_us(generation),
          "training.initial_us", training.initial_us,
          "0, or at least polling, configuration, recovery and equalization together");
  if (power.aspm > power.supported) {
    throw base::UserError("power.aspm is deeper than what power.supported offers");
  }
  credits.validate(max_payload_bytes);
}

}  // namespace nvmesim::pcie
