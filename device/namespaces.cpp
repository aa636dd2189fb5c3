#include "device/namespaces.hpp"

#include <bit>

#include "models/media.hpp"

namespace nvmesim::device {

Namespaces::Namespaces(const ControllerConfig& config, std::uint64_t media_units) {
  const auto shift = static_cast<unsigned>(std::countr_zero(config.logical_block_bytes));
  const std::uint64_t blocks_per_unit = models::kUnitBytes >> shift;
  std::uint64_t next_unit = 0;
  for (const NamespaceConfig& wanted : config.namespaces) {
    Namespace space;
    space.id = count() + 1;
    space.format = {shift, wanted.metadata_bytes, wanted.extended_metadata, wanted.protection_type,
                    wanted.protection_first};
    space.first_byte = next_unit * models::kUnitBytes;
    space.blocks = wanted.blocks != 0 ? wanted.blocks : (media_units - next_unit) * blocks_per_unit;
    next_unit += base::ceil_div(space.blocks, blocks_per_unit);
    spaces_.push_back(space);
  }
}

}  // namespace nvmesim::device
