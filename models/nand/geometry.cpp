#include "models/nand/geometry.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/media.hpp"
#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {
namespace {

std::uint32_t superblocks_for(const NandConfig& config, std::uint64_t logical_units,
                              std::uint64_t superblock_units, std::uint32_t percent,
                              std::uint32_t spare) {
  const std::uint64_t least = base::ceil_div(logical_units, superblock_units) + spare;
  if (config.blocks_per_plane == 0) {
    const std::uint64_t wanted =
        base::ceil_div(logical_units * (100 + percent), superblock_units * 100);
    return static_cast<std::uint32_t>(std::max(least, wanted));
  }
  if (config.blocks_per_plane < least) {
    throw base::UserError(
        fmt::format("nand.blocks_per_plane: {} blocks are too few for the capacity, at least {} "
                    "are needed (0 computes it)",
                    config.blocks_per_plane, least));
  }
  return config.blocks_per_plane;
}

}  // namespace

Geometry Geometry::make(const NandConfig& config, std::uint64_t logical_units,
                        std::uint32_t over_provisioning_percent, std::uint32_t spare_superblocks,
                        bool parity, std::string_view allocation_order) {
  if (config.page_bytes == 0 || config.page_bytes % kUnitBytes != 0) {
    throw base::UserError(
        fmt::format("nand.page_bytes: {} is not a multiple of {}", config.page_bytes, kUnitBytes));
  }
  if (config.read_ns.empty()) throw base::UserError("nand.read_ns: at least one time is needed");
  if (config.program_ns.empty())
    throw base::UserError("nand.program_ns: at least one time is needed");
  if (config.one_shot && config.pages_per_block % config.cell_bits != 0) {
    throw base::UserError(fmt::format(
        "nand.pages_per_block: {} is not a multiple of cell_bits ({}), as one_shot needs",
        config.pages_per_block, config.cell_bits));
  }
  if (logical_units == 0) throw base::UserError("capacity_bytes: less than one 4 KiB unit");
  Geometry shape;
  shape.channels = config.channels;
  shape.dies = config.channels * config.dies_per_channel;
  if (config.dies_per_channel % config.dies_per_way != 0) {
    throw base::UserError(fmt::format("nand.dies_per_way: {} does not divide dies_per_channel ({})",
                                      config.dies_per_way, config.dies_per_channel));
  }
  shape.order = DieOrder::make(allocation_order, config.channels,
                               config.dies_per_channel / config.dies_per_way, config.dies_per_way);
  shape.planes = config.planes_per_die;
  shape.rows = config.pages_per_block;
  shape.page_bytes = config.page_bytes;
  shape.page_units = config.page_bytes / kUnitBytes;
  shape.stripe_units = shape.planes * shape.page_units;
  const std::uint64_t stripes = std::uint64_t{shape.dies} * shape.rows;
  const std::uint64_t units = stripes * shape.stripe_units;
  if (units >= kNoPlace) throw base::UserError("nand: one block on every plane exceeds 16 TiB");
  shape.superblock_stripes = static_cast<std::uint32_t>(stripes);
  shape.superblock_units = static_cast<std::uint32_t>(units);
  shape.program_rows = config.one_shot ? config.cell_bits : 1;
  shape.program_units = shape.stripe_units * shape.program_rows;
  shape.superblock_programs = shape.superblock_stripes / shape.program_rows;
  if (parity && shape.dies < 3) throw base::UserError("ftl.parity: needs at least three dies");
  shape.parity = parity;
  shape.row_units = shape.dies * shape.program_units;
  shape.row_data_units = shape.row_units - (parity ? shape.program_units : 0);
  shape.data_units = shape.superblock_units / shape.row_units * shape.row_data_units;
  shape.logical_units = logical_units;
  shape.superblocks = superblocks_for(config, logical_units, shape.data_units,
                                      over_provisioning_percent, spare_superblocks);
  shape.physical_units = units * shape.superblocks;
  if (shape.physical_units >= kNoPlace) {
    throw base::UserError("capacity_bytes: more than 16 TiB of NAND is not supported");
  }
  return shape;
}

}  // namespace nvmesim::models
