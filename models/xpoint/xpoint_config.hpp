// Parameters of an XPoint-like medium: written in place, nothing to erase or to collect.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct XpointConfig {
  std::uint32_t channels = 1;
  std::uint32_t dies_per_channel = 28;
  std::uint32_t mapping_ns = 100;
  std::uint32_t read_ns = 1'000;
  std::uint32_t write_ns = 1'500;
  std::uint32_t read_mb_per_s = 2'450;
  std::uint32_t write_mb_per_s = 2'050;
  std::uint32_t command_ns = 50;
  std::uint32_t ecc_ns = 100;
  std::uint32_t write_slots = 64;
  std::uint32_t jitter_ns = 0;
  std::uint32_t tail_per_million = 0;
  std::uint32_t tail_ns = 0;
  std::uint32_t prefill_percent = 0;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(XpointConfig, (),
                      (channels, dies_per_channel, mapping_ns, read_ns, write_ns, read_mb_per_s,
                       write_mb_per_s, command_ns, ecc_ns, write_slots, jitter_ns, tail_per_million,
                       tail_ns, prefill_percent))

}  // namespace nvmesim::models
