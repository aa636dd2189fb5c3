// Parameters of the read cache and of reading ahead.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct ReadCacheConfig {
  std::uint64_t bytes = 0;
  std::uint32_t hit_ns = 500;
  bool keep_reads = true;
  std::uint32_t ahead_units = 0;
  std::uint32_t ahead_after = 2;
  std::uint32_t ahead_streams = 8;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(ReadCacheConfig, (),
                      (bytes, hit_ns, keep_reads, ahead_units, ahead_after, ahead_streams))

}  // namespace nvmesim::models
