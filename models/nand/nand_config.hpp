// Parameters of the NAND array: its shape, its times and the policy of its dies.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct NandConfig {
  std::uint32_t channels = 8;
  std::uint32_t dies_per_channel = 4;
  std::uint32_t dies_per_way = 1;
  std::uint32_t planes_per_die = 4;
  std::uint32_t blocks_per_plane = 0;  // 0: as many as capacity and over-provisioning need
  std::uint32_t pages_per_block = 576;
  std::uint32_t page_bytes = 16384;
  std::uint32_t cell_bits = 3;
  bool one_shot = false;
  std::uint32_t program_passes = 1;
  std::vector<std::uint32_t> read_ns = {40'000};
  std::vector<std::uint32_t> program_ns = {400'000};
  std::uint32_t erase_ns = 3'500'000;
  std::uint32_t slc_read_ns = 25'000;
  std::uint32_t slc_program_ns = 200'000;
  std::uint32_t channel_mb_per_s = 1200;
  std::uint32_t command_ns = 500;
  std::uint32_t status_ns = 300;
  std::uint32_t ecc_ns = 2'000;
  bool command_on_bus = false;
  bool cache_read = true;
  bool independent_plane_reads = false;
  bool cache_program = false;
  std::string die_policy = "read_first";
  std::string channel_policy = "fifo";
  std::uint32_t age_limit_us = 5'000;
  bool program_suspend = false;
  bool erase_suspend = false;
  std::uint32_t program_suspend_ns = 20'000;
  std::uint32_t erase_suspend_ns = 50'000;
  std::uint32_t resume_ns = 5'000;
  std::uint32_t suspend_limit = 8;
  std::uint32_t suspend_gap_ns = 50'000;
  std::uint32_t read_nj = 20'000;
  std::uint32_t program_nj = 120'000;
  std::uint32_t erase_nj = 400'000;
  std::uint32_t transfer_pj_per_byte = 20;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(NandConfig, (),
                      (channels, dies_per_channel, dies_per_way, planes_per_die, blocks_per_plane,
                       pages_per_block, page_bytes, cell_bits, one_shot, program_passes, read_ns,
                       program_ns, erase_ns, slc_read_ns, slc_program_ns, channel_mb_per_s,
                       command_ns, status_ns, ecc_ns, command_on_bus, cache_read,
                       independent_plane_reads, cache_program, die_policy, channel_policy,
                       age_limit_us, program_suspend, erase_suspend, program_suspend_ns,
                       erase_suspend_ns, resume_ns, suspend_limit, suspend_gap_ns, read_nj,
                       program_nj, erase_nj, transfer_pj_per_byte))

}  // namespace nvmesim::models
