#include "device/namespaces.hpp"

#include <algorithm>
#include <bit>

#include "models/media.hpp"

namespace nvmesim::device {

NamespaceSet::NamespaceSet(const ControllerConfig& config, std::uint64_t media_units)
    : media_units_(media_units),
      spaces_(config.management.namespaces ? config.management.max_namespaces
                                           : config.namespaces.size()) {
  for (std::uint32_t i = 0; i < spaces_.size(); ++i) spaces_[i].id = i + 1;
  const auto shift = static_cast<unsigned>(std::countr_zero(config.logical_block_bytes));
  const std::uint64_t blocks_per_unit = models::kUnitBytes >> shift;
  for (const NamespaceConfig& wanted : config.namespaces) {
    const BlockFormat format{shift, wanted.metadata_bytes, wanted.extended_metadata,
                             wanted.protection_type, wanted.protection_first};
    const std::uint64_t blocks =
        wanted.blocks != 0 ? wanted.blocks : unallocated_units() * blocks_per_unit;
    Namespace& space = *create(blocks, format);
    space.identity = 0;  // those of the configuration are the same in every run
    space.shared = wanted.shared;
    space.ana_group = wanted.ana_group;
    space.attached = wanted.shared ? ~std::uint64_t{0} : 1;
  }
}

std::uint32_t NamespaceSet::allocated() const {
  return static_cast<std::uint32_t>(
      std::count_if(spaces_.begin(), spaces_.end(), [](const auto& s) { return s.allocated(); }));
}

std::uint64_t NamespaceSet::unallocated_units() const {
  std::uint64_t left = media_units_;
  for (const Namespace& space : spaces_) left -= space.units;
  return left;
}

std::uint64_t NamespaceSet::find_gap(std::uint64_t units) const {
  std::uint64_t candidate = 0;
  while (candidate + units <= media_units_) {
    std::uint64_t behind = 0;  // of a namespace in the way
    for (const Namespace& space : spaces_) {
      const std::uint64_t first = space.first_byte / models::kUnitBytes;
      if (space.allocated() && first < candidate + units && candidate < first + space.units) {
        behind = std::max(behind, first + space.units);
      }
    }
    if (behind == 0) return candidate;
    candidate = behind;
  }
  return media_units_;
}

Namespace* NamespaceSet::create(std::uint64_t blocks, const BlockFormat& format) {
  const std::uint64_t blocks_per_unit = models::kUnitBytes >> format.block_shift;
  const std::uint64_t units = base::ceil_div(blocks, blocks_per_unit);
  if (units == 0 || units > media_units_) return nullptr;
  const std::uint64_t first = find_gap(units);
  const auto free = std::find_if(spaces_.begin(), spaces_.end(),
                                 [](const Namespace& space) { return !space.allocated(); });
  if (first == media_units_ || free == spaces_.end()) return nullptr;
  free->first_byte = first * models::kUnitBytes;
  free->blocks = blocks;
  free->format = format;
  free->units = units;
  free->identity = ++next_identity_;
  return &*free;
}

bool NamespaceSet::restore(const std::vector<Namespace>& wanted) {
  std::vector<Namespace> spaces(spaces_.size());
  for (std::uint32_t i = 0; i < spaces.size(); ++i) spaces[i].id = i + 1;
  std::uint64_t identity = 0;
  for (const Namespace& space : wanted) {
    if (space.id - 1 >= spaces.size() || spaces[space.id - 1].allocated()) return false;
    const std::uint64_t first = space.first_byte / models::kUnitBytes;
    const std::uint64_t blocks_per_unit = models::kUnitBytes >> space.format.block_shift;
    if (space.units == 0 || first >= media_units_ || space.units > media_units_ - first ||
        space.blocks == 0 || space.blocks > space.units * blocks_per_unit) {
      return false;
    }
    for (const Namespace& other : spaces) {
      const std::uint64_t start = other.first_byte / models::kUnitBytes;
      if (other.allocated() && first < start + other.units && start < first + space.units) {
        return false;
      }
    }
    spaces[space.id - 1] = space;
    identity = std::max(identity, space.identity);
  }
  std::copy(spaces.begin(), spaces.end(), spaces_.begin());
  next_identity_ = identity;
  return true;
}

}  // namespace nvmesim::device
