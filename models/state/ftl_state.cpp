#include "models/state/ftl_state.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

namespace nvmesim::models {

void FtlState::save(const Ftl& ftl, StateWriter& out) {
  const Geometry& shape = ftl.geometry_;
  for (const std::uint64_t value :
       {shape.logical_units, std::uint64_t{shape.superblocks},
        std::uint64_t{shape.superblock_units}, std::uint64_t{shape.program_units},
        std::uint64_t{shape.dies}, std::uint64_t{shape.parity}}) {
    out.number(value);
  }
  ftl.layout_.save(out);
  ftl.map_.save(out);
  for (std::uint32_t i = 0; i < shape.superblocks; ++i) save_superblock(ftl, i, out);
  const Superblocks& blocks = ftl.superblocks_;
  out.number(blocks.next_sequence_);
  out.number(blocks.free_.size());
  for (std::size_t i = 0; i < blocks.free_.size(); ++i) out.number(blocks.free_.at(i));
  out.number(ftl.slc_most_);
  out.number(ftl.separate_);
  out.number(ftl.frontiers_.size());
  for (const Frontier& frontier : ftl.frontiers_) {
    out.number(frontier.is_open());
    if (!frontier.is_open()) continue;
    out.number(frontier.superblock());
    for (const std::uint32_t rows : frontier.rows()) out.number(rows);
  }
  out.number(ftl.reliability_.planes());
  for (std::uint32_t plane = 0; plane < ftl.reliability_.planes(); ++plane) {
    out.number(ftl.reliability_.spares(plane));
  }
}

void FtlState::save_superblock(const Ftl& ftl, std::uint32_t number, StateWriter& out) {
  const Superblock& block = ftl.superblocks_[number];
  out.number(static_cast<std::uint64_t>(block.state));
  out.number(block.full);
  out.number(block.suspect);
  out.number(block.slc);
  out.number(block.erases);
  out.number(block.reads);
  out.number(block.sequence);
  const base::Time age = ftl.scheduler_.now() - block.opened_at;
  out.number(static_cast<std::uint64_t>(age.count()) / 1'000'000'000'000);  // seconds
  ftl.map_.places().save(number, out);
}

void FtlState::load(Ftl& ftl, StateReader& in) {
  const Geometry& shape = ftl.geometry_;
  in.expect("its capacity in units", shape.logical_units);
  in.expect("the number of superblocks", shape.superblocks);
  in.expect("the size of a superblock", shape.superblock_units);
  in.expect("the size of a program", shape.program_units);
  in.expect("the number of dies", shape.dies);
  in.expect("parity", shape.parity);
  ftl.superblocks_.forget_closed();
  ftl.layout_ = InitialLayout::load(shape, in);
  ftl.map_.load(in);
  for (std::uint32_t i = 0; i < shape.superblocks; ++i) load_superblock(ftl, i, in);
  ftl.map_.bind_loaded(in, ftl.superblocks_);
  count_valid(ftl, in);
  load_order(ftl, in);
}

// Of a superblock that is as the layout has it, less what became invalid. Those places were valid:
// UnitMap::bind_loaded() has looked at each.
std::uint64_t FtlState::count_initial(const Ftl& ftl, std::uint32_t superblock) {
  const std::uint32_t units = ftl.geometry_.superblock_units;
  std::uint64_t dead = 0;
  for (std::uint32_t at = 0; at < units; at += 64) {
    std::uint64_t bits = ftl.map_.places().dead_bits(superblock, at / 64);
    if (units - at < 64) bits &= (std::uint64_t{1} << (units - at)) - 1;
    dead += static_cast<std::uint64_t>(std::popcount(bits));
  }
  return ftl.layout_.valid_in(superblock) - dead;
}

std::uint64_t FtlState::count_places(const Ftl& ftl, std::uint32_t superblock) {
  const std::uint32_t units = ftl.geometry_.superblock_units;
  std::uint64_t valid = 0;
  for (std::uint32_t at = 0; at < units; at += 64) {
    const std::uint32_t count = std::min(64u, units - at);
    valid += static_cast<std::uint64_t>(
        std::popcount(ftl.map_.valid_bits(superblock * units + at, count)));
  }
  return valid;
}

void FtlState::count_valid(Ftl& ftl, StateReader& in) {
  const Geometry& shape = ftl.geometry_;
  for (std::uint32_t i = 0; i < shape.superblocks; ++i) {
    Superblock& block = ftl.superblocks_[i];
    const bool initial = ftl.map_.places().is_initial(i) && !ftl.map_.forgotten();
    const std::uint64_t valid = initial ? count_initial(ftl, i) : count_places(ftl, i);
    block.valid = static_cast<std::uint32_t>(valid);
    const bool empty = block.state == SuperblockState::kFree ||
                       block.state == SuperblockState::kErasing ||
                       block.state == SuperblockState::kRetired;
    if (empty && valid != 0) in.fail("a free superblock holds valid units");
  }
}

void FtlState::load_superblock(Ftl& ftl, std::uint32_t number, StateReader& in) {
  Superblock& block = ftl.superblocks_[number];
  block = {};
  block.state = static_cast<SuperblockState>(
      in.number("a state", static_cast<std::uint64_t>(SuperblockState::kRetired)));
  if (block.state == SuperblockState::kCollecting) in.fail("a superblock is being collected");
  block.full = in.number("a flag", 1) != 0;
  block.suspect = static_cast<std::uint32_t>(in.number("a plane", ftl.reliability_.planes()));
  block.slc = in.number("a flag", 1) != 0;
  if (block.slc && block.state == SuperblockState::kFree) in.fail("a free superblock has a mode");
  block.erases = static_cast<std::uint32_t>(in.number("an erase count", 0xFFFF'FFFF));
  block.reads = static_cast<std::uint32_t>(in.number("a read count", 0xFFFF'FFFF));
  block.sequence = in.number("a sequence", std::uint64_t{1} << 48);
  // A Time ends after 106 days: what is older counts as so old.
  const std::uint64_t seconds =
      std::min<std::uint64_t>(in.number("an age", std::uint64_t{1} << 40), 9'000'000);
  block.opened_at =
      ftl.scheduler_.now() - base::Time{static_cast<std::int64_t>(seconds) * 1'000'000'000'000};
  ftl.map_.places().load(number, in);
  if (ftl.map_.places().is_initial(number) && block.sequence != number) {
    in.fail("a superblock of the beginning has a wrong sequence");
  }
  const bool erased = ftl.map_.places().is_erased(number);
  const bool may_be_erased =
      block.state != SuperblockState::kClosed && block.state != SuperblockState::kSlc;
  if (erased && !may_be_erased) in.fail("a closed superblock is erased");
  if (!erased && block.state == SuperblockState::kFree) in.fail("a free superblock is written");
}

// Free list and open superblocks; then the policy learns of the closed ones, in their order.
void FtlState::load_order(Ftl& ftl, StateReader& in) {
  Superblocks& blocks = ftl.superblocks_;
  const std::uint32_t count = blocks.count();
  blocks.next_sequence_ = in.number("the next sequence", std::uint64_t{1} << 49);
  std::vector<bool> seen(count);
  const std::uint64_t free = in.number("the number of free superblocks", count);
  while (!blocks.free_.empty()) blocks.free_.pop();
  for (std::uint64_t i = 0; i < free; ++i) {
    const auto number = static_cast<std::uint32_t>(in.number("a free superblock", count - 1));
    if (seen[number] || blocks[number].state != SuperblockState::kFree) {
      in.fail("the list of free superblocks is wrong");
    }
    seen[number] = true;
    blocks.free_.push(number);
  }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> closed;
  std::int64_t open = 0;
  blocks.retired_ = 0;
  blocks.slc_used_ = 0;
  while (!blocks.slc_closed_.empty()) blocks.slc_closed_.pop();
  for (std::uint32_t i = 0; i < count; ++i) {
    Superblock& block = blocks[i];
    if (block.sequence >= blocks.next_sequence_) in.fail("a sequence is from the future");
    if (block.state == SuperblockState::kFree && !seen[i]) in.fail("a free superblock is missing");
    if (block.state == SuperblockState::kRetired) ++blocks.retired_;
    if (block.slc) ++blocks.slc_used_;
    if (block.state == SuperblockState::kOpen && block.full) block.state = SuperblockState::kClosed;
    if (block.state == SuperblockState::kOpen) ++open;
    if (block.state == SuperblockState::kErasing) ftl.collector_->adopt_erasing(i);
    const bool candidate =
        block.state == SuperblockState::kClosed || block.state == SuperblockState::kSlc;
    if (candidate) closed.emplace_back(block.sequence, i);
  }
  in.expect("the SLC cache (ftl.slc_*)", ftl.slc_most_);
  in.expect("separate_streams", ftl.separate_);
  in.expect("the number of open superblocks (ftl.host_streams)", ftl.frontiers_.size());
  for (Frontier& frontier : ftl.frontiers_) {
    frontier.close();
    if (in.number("a flag", 1) == 0) continue;
    const auto number = static_cast<std::uint32_t>(in.number("an open superblock", count - 1));
    std::vector<std::uint32_t> rows;
    for (std::uint32_t turn = 0; turn < frontier.turns(); ++turn) {
      rows.push_back(static_cast<std::uint32_t>(in.number("a place in it", ftl.geometry_.rows)));
    }
    const bool right = blocks[number].state == SuperblockState::kOpen && !seen[number] &&
                       frontier.restore(number, ftl.rows_of(number), std::move(rows));
    if (!right) in.fail("an open superblock is not open");
    seen[number] = true;
    --open;
  }
  if (open != 0) in.fail("the open superblocks are wrong");
  std::sort(closed.begin(), closed.end());
  for (const auto& each : closed) blocks.announce_closed(each.second);
  in.expect("the number of planes", ftl.reliability_.planes());
  for (std::uint32_t plane = 0; plane < ftl.reliability_.planes(); ++plane) {
    ftl.reliability_.set_spares(plane,
                                static_cast<std::uint32_t>(in.number("a count of spares", 65'536)));
  }
}

}  // namespace nvmesim::models
