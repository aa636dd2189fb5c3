#include "models/ftl/superblocks.hpp"

#include <utility>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

Superblocks::Superblocks(const Geometry& geometry, const InitialLayout& layout, GcPolicy& policy,
                         bool least_worn_first)
    : geometry_(geometry),
      policy_(policy),
      table_(geometry.superblocks),
      least_worn_first_(least_worn_first),
      next_sequence_(geometry.superblocks) {
  for (std::uint32_t i = 0; i < count(); ++i) {
    table_[i].sequence = i;
    if (!layout.closed(i)) {
      free_.push(i);
      continue;
    }
    table_[i].state = SuperblockState::kClosed;
    table_[i].valid = layout.valid_in(i);
    policy_.closed(i, table_[i].valid);
  }
}

void Superblocks::forget_closed() {
  for (std::uint32_t i = 0; i < count(); ++i) {
    if (table_[i].state == SuperblockState::kClosed) policy_.removed(i);
  }
}

std::uint32_t Superblocks::open(base::Time now, bool slc) {
  NVMESIM_ASSERT(!free_.empty(), "the FTL ran out of free superblocks");
  if (least_worn_first_) {
    std::size_t least = 0;
    for (std::size_t i = 1; i < free_.size(); ++i) {
      if (table_[free_[i]].erases < table_[free_[least]].erases) least = i;
    }
    std::swap(free_[0], free_[least]);
  }
  const std::uint32_t number = free_.pop();
  Superblock& block = table_[number];
  block.state = SuperblockState::kOpen;
  block.full = false;
  block.suspect = 0;
  block.slc = slc;
  if (slc) ++slc_used_;
  block.reads = 0;
  block.sequence = next_sequence_++;
  block.opened_at = now;
  return number;
}

void Superblocks::valid_more(std::uint32_t number) {
  Superblock& block = table_[number];
  ++block.valid;
  if (block.state == SuperblockState::kClosed) policy_.changed(number, block.valid);
}

void Superblocks::valid_less(std::uint32_t number, std::uint32_t by) {
  Superblock& block = table_[number];
  NVMESIM_ASSERT(block.valid >= by, "a superblock has fewer than no valid units");
  block.valid -= by;
  if (block.state == SuperblockState::kClosed) policy_.changed(number, block.valid);
}

bool Superblocks::close_if_done(std::uint32_t number) {
  Superblock& block = table_[number];
  if (block.state != SuperblockState::kOpen || !block.full || block.programs_open > 0) {
    return false;
  }
  announce_closed(number);
  return true;
}

// Full, or full again: a candidate.
void Superblocks::announce_closed(std::uint32_t number) {
  Superblock& block = table_[number];
  block.state = block.slc ? SuperblockState::kSlc : SuperblockState::kClosed;
  if (block.slc) {
    slc_closed_.push(number);
  } else {
    policy_.closed(number, block.valid);
  }
}

void Superblocks::collect(std::uint32_t number) {
  if (table_[number].state == SuperblockState::kClosed) policy_.removed(number);
  table_[number].state = SuperblockState::kCollecting;
}

void Superblocks::uncollect(std::uint32_t number) {
  announce_closed(number);
}

void Superblocks::retire(std::uint32_t number) {
  NVMESIM_ASSERT(table_[number].valid == 0, "a superblock was retired with valid units in it");
  table_[number].state = SuperblockState::kRetired;
  if (std::exchange(table_[number].slc, false)) --slc_used_;
  ++retired_;
}

void Superblocks::erased(std::uint32_t number) {
  Superblock& block = table_[number];
  NVMESIM_ASSERT(block.valid == 0, "a superblock was erased with valid units in it");
  block.state = SuperblockState::kFree;
  if (std::exchange(block.slc, false)) --slc_used_;
  ++block.erases;
  free_.push(number);
}

std::uint8_t Superblocks::mark(Place place) const {
  const std::uint32_t number = geometry_.superblock_of(place);
  return mark_of(table_[number].sequence, place % geometry_.superblock_units);
}

std::uint8_t Superblocks::initial_mark(const Geometry& geometry, Place place) {
  return mark_of(geometry.superblock_of(place), place % geometry.superblock_units);
}

std::uint8_t Superblocks::mark_of(std::uint64_t sequence, std::uint32_t offset) {
  std::uint64_t mixed = (sequence << 32) | offset;
  mixed = (mixed ^ (mixed >> 31)) * 0x9E37'79B9'7F4A'7C15;
  return static_cast<std::uint8_t>(mixed >> 56);
}

}  // namespace nvmesim::models
