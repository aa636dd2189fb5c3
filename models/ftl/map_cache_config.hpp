// Parameters of the cache of the mapping table.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct MapCacheConfig {
  std::uint64_t bytes = 0;  // 0: the whole table is in the controller
  std::uint32_t entries_per_page = 1024;
  std::uint32_t read_ns = 60'000;
  std::uint32_t reads = 8;
  bool write_back = false;
  std::uint32_t write_ns = 500'000;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(MapCacheConfig, (),
                      (bytes, entries_per_page, read_ns, reads, write_back, write_ns))

}  // namespace nvmesim::models
