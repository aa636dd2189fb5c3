// Parameters of what goes wrong in the array: bit errors, bad blocks, and what is done about them.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct ReliabilityConfig {
  bool bit_errors = false;
  std::uint32_t initial_cycles = 0;
  std::uint32_t initial_retention_days = 0;
  std::uint32_t rber_ppb = 100'000;
  std::uint32_t wear_rber_ppb_per_kcycle = 400'000;
  std::uint32_t retention_rber_ppb_per_day = 10'000;
  std::uint32_t read_rber_ppb_per_kread = 1'000;
  std::uint32_t variation_percent = 50;
  std::uint32_t ecc_limit_ppb = 8'500'000;
  std::uint32_t retry_gain_percent = 70;
  std::uint32_t max_retries = 8;
  std::uint32_t limited_retries = 2;
  std::uint32_t soft_limit_ppb = 12'000'000;
  std::uint32_t soft_decode_ns = 40'000;
  std::uint32_t refresh_reads = 0;
  std::uint32_t refresh_days = 0;
  std::uint32_t spare_blocks_per_plane = 4;
  std::uint32_t factory_bad_per_million = 0;
  std::uint32_t program_fail_per_million = 0;
  std::uint32_t erase_fail_per_million = 0;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(ReliabilityConfig, (),
                      (bit_errors, initial_cycles, initial_retention_days, rber_ppb,
                       wear_rber_ppb_per_kcycle, retention_rber_ppb_per_day,
                       read_rber_ppb_per_kread, variation_percent, ecc_limit_ppb,
                       retry_gain_percent, max_retries, limited_retries, soft_limit_ppb,
                       soft_decode_ns, refresh_reads, refresh_days, spare_blocks_per_plane,
                       factory_bad_per_million, program_fail_per_million, erase_fail_per_million))

}  // namespace nvmesim::models
