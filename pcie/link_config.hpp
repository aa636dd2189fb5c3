// The parameters of a link: what is built, how it trains, how it sleeps, its receive buffers, its
// errors.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "pcie/credits.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::pcie {

enum class LinkResolution : std::uint8_t { burst, tlp };
BOOST_DESCRIBE_ENUM(LinkResolution, burst, tlp)

// What happens to reads and configuration requests that a link that went down has lost.
enum class LostRequests : std::uint8_t { unsupported_request, unanswered };
BOOST_DESCRIBE_ENUM(LostRequests, unsupported_request, unanswered)

// The deepest state that active-state power management may enter.
enum class AspmLimit : std::uint8_t { none, l0s, l1, l1_1, l1_2 };
BOOST_DESCRIBE_ENUM(AspmLimit, none, l0s, l1, l1_1, l1_2)

struct LinkTraining {
  std::uint32_t initial_us = 0;
  std::uint32_t detect_us = 12'000;
  std::uint32_t polling_us = 66;
  std::uint32_t configuration_us = 20;
  std::uint32_t recovery_us = 10;
  std::uint32_t equalization_us = 5'000;
  std::uint32_t hot_reset_us = 2'000;

  static std::span<const base::ParamInfo> params();
  // Speeds of 8 GT/s and more are equalized.
  std::uint32_t equalization_of(unsigned generation) const {
    return generation >= 3 ? equalization_us : 0;
  }
  // From the end of Detect to L0 at the speed of `generation`; every link starts at 2.5 GT/s.
  std::uint32_t least_us(unsigned generation) const {
    const std::uint32_t recovery = generation > 1 ? recovery_us : 0;
    return polling_us + configuration_us + recovery + equalization_of(generation);
  }
};
BOOST_DESCRIBE_STRUCT(LinkTraining, (),
                      (initial_us, detect_us, polling_us, configuration_us, recovery_us,
                       equalization_us, hot_reset_us))

struct LinkPower {
  AspmLimit aspm = AspmLimit::none;
  AspmLimit supported = AspmLimit::l1_2;
  std::uint32_t l0s_entry_ns = 7'000;
  std::uint32_t l0s_exit_ns = 1'000;
  std::uint32_t l1_entry_ns = 20'000;
  std::uint32_t l1_exit_ns = 4'000;
  std::uint32_t l1_substate_entry_ns = 1'000;
  std::uint32_t l1_1_exit_ns = 20'000;
  std::uint32_t l1_2_exit_ns = 70'000;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(LinkPower, (),
                      (aspm, supported, l0s_entry_ns, l0s_exit_ns, l1_entry_ns, l1_exit_ns,
                       l1_substate_entry_ns, l1_1_exit_ns, l1_2_exit_ns))

// Faults of TLPs on the wire, by chance (pcie/link_faults.hpp).
enum class FaultDirection : std::uint8_t { both, down, up };
BOOST_DESCRIBE_ENUM(FaultDirection, both, down, up)

struct LinkFaults {
  // Of 10^9 TLPs that could meet it. A fault is counted by its name without _ppb.
  std::uint32_t corrupt_ppb = 0;
  std::uint32_t drop_completion_ppb = 0;
  std::uint32_t poison_ppb = 0;
  std::uint32_t unsupported_request_ppb = 0;
  std::uint32_t completer_abort_ppb = 0;
  std::uint32_t malformed_ppb = 0;
  std::uint32_t surprise_down_ppb = 0;
  std::uint32_t most_of_each = 0;
  FaultDirection direction = FaultDirection::both;
  std::uint64_t from_us = 0;
  std::uint64_t seed = 1;

  static std::span<const base::ParamInfo> params();
  bool any() const {
    return (corrupt_ppb | drop_completion_ppb | poison_ppb | unsupported_request_ppb |
            completer_abort_ppb | malformed_ppb | surprise_down_ppb) != 0;
  }
};
BOOST_DESCRIBE_STRUCT(LinkFaults, (),
                      (corrupt_ppb, drop_completion_ppb, poison_ppb, unsupported_request_ppb,
                       completer_abort_ppb, malformed_ppb, surprise_down_ppb, most_of_each,
                       direction, from_us, seed))

struct LinkConfig {
  std::uint32_t generation = 4;
  std::uint32_t lanes = 4;
  std::uint32_t max_payload_bytes = 256;
  std::uint32_t max_read_request_bytes = 512;
  std::uint32_t read_completion_boundary_bytes = 0;
  std::uint32_t propagation_ns = 10;
  std::uint32_t stack_latency_ns = 130;
  std::uint32_t deferral_limit_us = 2000;
  LinkResolution resolution = LinkResolution::burst;
  std::uint64_t bit_errors_per_petabit = 0;
  std::uint32_t replay_buffer_tlps = 2048;
  LostRequests lost_requests = LostRequests::unsupported_request;
  LinkCredits credits;
  LinkTraining training;
  LinkPower power;
  LinkFaults faults;

  static std::span<const base::ParamInfo> params();
  // Throws UserError, which begins with the parameter's name, if a value cannot be built.
  void validate() const;
  // Single TLPs must be simulated: asked for, or arithmetic cannot have what is configured.
  bool needs_tlps() const {
    return resolution == LinkResolution::tlp || bit_errors_per_petabit != 0 ||
           !credits.infinite() || faults.any();
  }
};
BOOST_DESCRIBE_STRUCT(LinkConfig, (),
                      (generation, lanes, max_payload_bytes, max_read_request_bytes,
                       read_completion_boundary_bytes, propagation_ns, stack_latency_ns,
                       deferral_limit_us, resolution, bit_errors_per_petabit, replay_buffer_tlps,
                       lost_requests, credits, training, power, faults))

}  // namespace nvmesim::pcie
