// Parameters of the controller's DRAM.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct DramConfig {
  std::uint32_t mb_per_s = 0;
  std::uint32_t map_access_bytes = 64;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(DramConfig, (), (mb_per_s, map_access_bytes))

}  // namespace nvmesim::models
