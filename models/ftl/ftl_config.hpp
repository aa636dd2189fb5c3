// Parameters of the flash translation layer.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>

#include "models/ftl/initial_layout.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::models {

// Which die a program goes to: the next in the order; the one with the least before it (dynamic
// allocation); or the one that the logical address of its data names (static allocation).
enum class Allocation : std::uint8_t { in_order, idle_die, by_address };
BOOST_DESCRIBE_ENUM(Allocation, in_order, idle_die, by_address)

struct FtlConfig {
  std::uint32_t over_provisioning_percent = 7;
  std::uint32_t mapping_ns = 200;
  bool separate_streams = true;
  std::uint32_t host_streams = 1;
  bool parity = false;
  Allocation allocation = Allocation::in_order;
  std::string allocation_order = "PCWD";
  std::string gc_policy = "greedy";
  std::uint32_t gc_choices = 10;
  std::uint32_t gc_start_superblocks = 3;
  std::uint32_t gc_stop_superblocks = 4;
  std::uint32_t gc_window_stripes = 0;  // 0: two per die
  std::uint32_t gc_urgent_superblocks = 1;
  bool gc_yields_to_reads = false;
  std::uint32_t gc_idle_us = 1000;
  bool copyback = false;
  std::uint32_t erase_parallel_dies = 4;
  std::uint32_t slc_superblocks = 0;
  std::uint32_t slc_dynamic_superblocks = 0;
  std::uint32_t slc_fold_start = 1;
  bool dynamic_wear_levelling = false;
  std::uint32_t static_wear_gap = 0;
  std::uint32_t prefill_percent = 0;
  Precondition precondition = Precondition::none;
  std::uint32_t deallocate_ns = 1'000;
  std::uint32_t deallocate_ns_per_mib = 100;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(FtlConfig, (),
                      (over_provisioning_percent, mapping_ns, separate_streams, host_streams,
                       parity, allocation, allocation_order, gc_policy, gc_choices,
                       gc_start_superblocks, gc_stop_superblocks, gc_window_stripes,
                       gc_urgent_superblocks, gc_yields_to_reads, gc_idle_us, copyback,
                       erase_parallel_dies, slc_superblocks, slc_dynamic_superblocks,
                       slc_fold_start, dynamic_wear_levelling, static_wear_gap, prefill_percent,
                       precondition, deallocate_ns, deallocate_ns_per_mib))

}  // namespace nvmesim::models
