// Everything that a drive configuration says about its medium.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "models/cache/dram_config.hpp"
#include "models/cache/read_cache_config.hpp"
#include "models/cache/write_buffer_config.hpp"
#include "models/ftl/ftl_config.hpp"
#include "models/ftl/map_cache_config.hpp"
#include "models/nand/nand_config.hpp"
#include "models/nand/reliability_config.hpp"
#include "models/xpoint/xpoint_config.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::models {

enum class MediaKind : std::uint8_t { nand, xpoint };
BOOST_DESCRIBE_ENUM(MediaKind, nand, xpoint)

struct MediaConfig {
  MediaKind kind = MediaKind::nand;
  std::uint64_t capacity_bytes = 1'000'000'000'000;  // logical; rounded down to whole units
  bool keep_data = true;
  bool keep_metadata = false;  // a spare area with every unit
  NandConfig nand;
  ReliabilityConfig reliability;
  FtlConfig ftl;
  WriteBufferConfig write_buffer;
  ReadCacheConfig read_cache;
  DramConfig dram;
  XpointConfig xpoint;
  MapCacheConfig map_cache;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(MediaConfig, (),
                      (kind, capacity_bytes, keep_data, keep_metadata, nand, reliability, ftl,
                       write_buffer, read_cache, dram, xpoint, map_cache))

}  // namespace nvmesim::models
