// Parameters of the data path's optional parts: controller memory buffer, persistent memory
// region, host memory buffer, Copy, atomicity. A part of ControllerConfig.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::device {

// Controller memory buffer (sections 3.1.12 to 3.1.17 and 4.7); absent with 0 pages.
struct CmbConfig {
  std::uint32_t pages = 0;  // of 4 KiB
  std::uint32_t bar = 2;
  bool submission_queues = true;
  bool completion_queues = false;
  bool lists = true;
  bool read_data = true;
  bool write_data = true;
  std::uint32_t access_ns = 100;
  std::uint32_t mb_per_s = 6'400;

  std::uint64_t bytes() const { return std::uint64_t{pages} * 4096; }
  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(CmbConfig, (),
                      (pages, bar, submission_queues, completion_queues, lists, read_data,
                       write_data, access_ns, mb_per_s))

// Persistent memory region (sections 3.1.18 to 3.1.23 and 4.8); absent with 0 pages.
struct PmrConfig {
  std::uint32_t pages = 0;  // of 4 KiB
  std::uint32_t bar = 4;
  std::uint32_t ready_latency_us = 1'000;
  std::uint32_t timeout_500ms = 2;

  std::uint64_t bytes() const { return std::uint64_t{pages} * 4096; }
  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(PmrConfig, (), (pages, bar, ready_latency_us, timeout_500ms))

// Host memory buffer (section 8.9); hmpre 0 = the controller wants none.
struct HmbConfig {
  std::uint32_t hmpre_pages = 0;
  std::uint32_t hmmin_pages = 0;
  std::uint32_t hmminds_pages = 0;
  std::uint32_t hmmaxd = 0;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(HmbConfig, (), (hmpre_pages, hmmin_pages, hmminds_pages, hmmaxd))

// Limits of Copy (Identify Namespace) and atomic units (Identify Controller and Namespace).
struct BlockLimitsConfig {
  std::uint32_t mssrl = 128;
  std::uint32_t mcl = 1'024;
  std::uint32_t msrc = 127;  // 0's based
  std::uint32_t awun = 0;    // 0's based, as the others
  std::uint32_t awupf = 0;
  std::uint32_t acwu = 0;
  std::uint32_t nabsn = 0;  // 0: no boundary
  std::uint32_t nabo = 0;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(BlockLimitsConfig, (), (mssrl, mcl, msrc, awun, awupf, acwu, nabsn, nabo))

}  // namespace nvmesim::device
