// Ftl: proof that map, records, valid bits, counts and states agree.
#include <bit>

#include "models/ftl/ftl.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

// On a large drive what is still as the initial layout computes it is only looked at here and
// there; what has changed is checked in full.
void Ftl::check_invariants(std::uint32_t sample) const {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < superblocks_.count(); ++i) {
    const bool initial = sample > 1 && map_.places().is_initial(i) && !map_.forgotten();
    const std::uint64_t valid = initial ? check_initial(i, sample) : check_places(i);
    NVMESIM_ASSERT(superblocks_[i].valid == valid, "the valid count of a superblock is wrong");
    total += valid;
  }
  NVMESIM_ASSERT(total == map_.mapped(), "the count of mapped units is wrong");
  std::uint64_t mapped_units = 0;
  std::uint64_t pages = 0;
  for (std::uint64_t unit = 0; unit < geometry_.logical_units; unit += sample) {
    const Place place = map_.find(unit).place;
    if (place == kNoPlace) continue;
    ++mapped_units;
    if (is_page(unit)) ++pages;
    NVMESIM_ASSERT(map_.valid(place), "a unit is mapped to a place that is not valid");
    NVMESIM_ASSERT(map_.record(place) == unit, "a unit is mapped to the place of another one");
  }
  NVMESIM_ASSERT(sample > 1 || mapped_units == total, "units and valid places are not as many");
  NVMESIM_ASSERT(sample > 1 || pages == mapped_pages_, "the count of pages of the table is wrong");
  check_states();
}

std::uint64_t Ftl::check_places(std::uint32_t superblock) const {
  std::uint64_t valid = 0;
  for (std::uint32_t i = 0; i < geometry_.superblock_units; ++i) {
    const Place place = superblock * geometry_.superblock_units + i;
    if (!map_.valid(place)) continue;
    ++valid;
    check_valid_place(place);
  }
  return valid;
}

void Ftl::check_valid_place(Place place) const {
  const std::uint64_t unit = map_.record(place);
  NVMESIM_ASSERT(unit < geometry_.logical_units, "a valid place has no unit");
  const auto mapped = map_.find(unit);
  NVMESIM_ASSERT(mapped.place == place, "a valid place is not the place of its unit");
  NVMESIM_ASSERT(mapped.mark == superblocks_.mark(place), "a mapping carries a wrong mark");
}

std::uint64_t Ftl::check_initial(std::uint32_t superblock, std::uint32_t sample) const {
  const Place first = superblock * geometry_.superblock_units;
  std::uint64_t dead = 0;
  for (std::uint32_t word = 0; word * 64 < geometry_.superblock_units; ++word) {
    std::uint64_t bits = map_.places().dead_bits(superblock, word);
    for (; bits != 0; bits &= bits - 1) {
      const Place place = first + word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      ++dead;
      NVMESIM_ASSERT(layout_.valid(place), "a place became invalid that was not valid");
      NVMESIM_ASSERT(map_.find(layout_.record(place)).place != place,
                     "a unit is mapped to a place that is not valid");
    }
  }
  for (Place i = superblock % sample; i < geometry_.superblock_units; i += sample) {
    if (map_.valid(first + i)) check_valid_place(first + i);
  }
  return layout_.valid_in(superblock) - dead;
}

void Ftl::check_states() const {
  std::uint32_t free = 0;
  for (std::uint32_t i = 0; i < superblocks_.count(); ++i) {
    const Superblock& block = superblocks_[i];
    const bool empty = block.state == SuperblockState::kFree ||
                       block.state == SuperblockState::kErasing ||
                       block.state == SuperblockState::kRetired;
    NVMESIM_ASSERT(!empty || block.valid == 0, "a free superblock holds valid units");
    if (block.state == SuperblockState::kFree) ++free;
  }
  NVMESIM_ASSERT(free == superblocks_.free_count(), "the free list is wrong");
}

}  // namespace nvmesim::models
