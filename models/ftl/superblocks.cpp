#include "models/ftl/superblocks.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

Superblocks::Superblocks(const Geometry& geometry, std::uint64_t prefilled, GcPolicy& policy)
    : geometry_(geometry),
      policy_(policy),
      table_(geometry.superblocks),
      next_sequence_(geometry.superblocks) {
  for (std::uint32_t i = 0; i < count(); ++i) {
    const std::uint64_t first = std::uint64_t{i} * geometry.superblock_units;
    table_[i].sequence = i;
    if (first >= prefilled) {
      free_.push(i);
      continue;
    }
    table_[i].state = SuperblockState::kClosed;
    table_[i].valid = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(geometry.superblock_units, prefilled - first));
    policy_.closed(i, table_[i].valid);
  }
}

std::uint32_t Superblocks::open() {
  NVMESIM_ASSERT(!free_.empty(), "the FTL ran out of free superblocks");
  const std::uint32_t number = free_.pop();
  table_[number].state = SuperblockState::kOpen;
  table_[number].full = false;
  table_[number].sequence = next_sequence_++;
  return number;
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
  block.state = SuperblockState::kClosed;
  policy_.closed(number, block.valid);
  return true;
}

void Superblocks::collect(std::uint32_t number) {
  table_[number].state = SuperblockState::kCollecting;
  policy_.removed(number);
}

void Superblocks::erased(std::uint32_t number) {
  Superblock& block = table_[number];
  NVMESIM_ASSERT(block.valid == 0, "a superblock was erased with valid units in it");
  block.state = SuperblockState::kFree;
  ++block.erases;
  free_.push(number);
}

std::uint8_t Superblocks::mark(Place place) const {
  const std::uint32_t number = geometry_.superblock_of(place);
  return mark_of(table_[number].sequence, place % geometry_.superblock_units);
}

std::uint8_t Superblocks::prefill_mark(const Geometry& geometry, Place place) {
  return mark_of(geometry.superblock_of(place), place % geometry.superblock_units);
}

std::uint8_t Superblocks::mark_of(std::uint64_t sequence, std::uint32_t offset) {
  std::uint64_t mixed = (sequence << 32) | offset;
  mixed = (mixed ^ (mixed >> 31)) * 0x9E37'79B9'7F4A'7C15;
  return static_cast<std::uint8_t>(mixed >> 56);
}

}  // namespace nvmesim::models
