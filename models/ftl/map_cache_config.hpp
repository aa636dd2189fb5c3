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
  bool write_back = false;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(MapCacheConfig, (), (bytes, entries_per_page, write_back))

}  // namespace nvmesim::models
