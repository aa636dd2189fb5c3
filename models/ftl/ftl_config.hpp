// Parameters of the flash translation layer.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct FtlConfig {
  std::uint32_t over_provisioning_percent = 7;
  std::uint32_t mapping_ns = 200;
  std::string gc_policy = "greedy";
  std::uint32_t gc_start_superblocks = 3;
  std::uint32_t gc_stop_superblocks = 4;
  std::uint32_t gc_window_stripes = 0;  // 0: two per die
  std::uint32_t erase_parallel_dies = 4;
  std::uint32_t prefill_percent = 0;
  std::uint32_t deallocate_ns = 1'000;
  std::uint32_t deallocate_ns_per_mib = 100;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(FtlConfig, (),
                      (over_provisioning_percent, mapping_ns, gc_policy, gc_start_superblocks,
                       gc_stop_superblocks, gc_window_stripes, erase_parallel_dies, prefill_percent,
                       deallocate_ns, deallocate_ns_per_mib))

}  // namespace nvmesim::models
