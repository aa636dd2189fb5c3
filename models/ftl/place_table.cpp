#include "models/ftl/place_table.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

PlaceTable::PlaceTable(const Geometry& geometry, const InitialLayout& layout)
    : geometry_(geometry), layout_(layout), blocks_(geometry.superblocks) {
  restart();
}

void PlaceTable::restart() {
  for (std::uint32_t i = 0; i < geometry_.superblocks; ++i) {
    blocks_[i] = {nullptr, nullptr, layout_.closed(i) ? State::kInitial : State::kErased};
  }
}

std::uint64_t PlaceTable::record(Place place) const {
  const std::uint32_t number = geometry_.superblock_of(place);
  const Block& block = blocks_[number];
  if (block.state == State::kInitial) return layout_.record(place);
  if (block.state == State::kErased) return InitialLayout::kNoUnit;
  const std::uint32_t record = block.records[place - number * geometry_.superblock_units];
  return record == 0 ? InitialLayout::kNoUnit : record - 1;
}

bool PlaceTable::valid(Place place) const {
  const std::uint32_t number = geometry_.superblock_of(place);
  const Block& block = blocks_[number];
  if (block.state == State::kErased) return false;
  const std::uint32_t offset = place - number * geometry_.superblock_units;
  const bool bit = block.bits && (block.bits[offset / 64] >> (offset % 64) & 1) != 0;
  return block.state == State::kWritten ? bit : !bit && layout_.valid(place);
}

std::uint64_t PlaceTable::valid_bits(Place first, std::uint32_t count) const {
  const std::uint32_t number = geometry_.superblock_of(first);
  const Block& block = blocks_[number];
  if (block.state == State::kErased) return 0;
  const std::uint64_t mask = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  const std::uint32_t offset = first - number * geometry_.superblock_units;
  std::uint64_t bits = 0;
  if (block.bits) {
    bits = block.bits[offset / 64] >> (offset % 64);
    if (offset % 64 + count > 64) bits |= block.bits[offset / 64 + 1] << (64 - offset % 64);
  }
  if (block.state == State::kWritten) return bits & mask;
  std::uint64_t initial = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if ((bits >> i & 1) == 0 && layout_.valid(first + i)) initial |= std::uint64_t{1} << i;
  }
  return initial;
}

PlaceTable::Block& PlaceTable::written(std::uint32_t superblock) {
  Block& block = blocks_[superblock];
  if (block.state == State::kWritten) return block;
  NVMESIM_ASSERT(block.state == State::kErased, "a place was programmed that was not erased");
  block.records = zeroed<std::uint32_t>(geometry_.superblock_units);
  block.bits = zeroed<std::uint64_t>(words());
  block.state = State::kWritten;
  return block;
}

void PlaceTable::write_record(Place place, std::uint64_t unit) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Block& block = written(number);
  std::uint32_t& record = block.records[place - number * geometry_.superblock_units];
  NVMESIM_ASSERT(record == 0, "a place was programmed twice without an erase between");
  record = static_cast<std::uint32_t>(unit) + 1;
}

void PlaceTable::set_valid(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Block& block = blocks_[number];
  NVMESIM_ASSERT(block.state == State::kWritten, "an unwritten place became valid");
  const std::uint32_t offset = place - number * geometry_.superblock_units;
  block.bits[offset / 64] |= std::uint64_t{1} << (offset % 64);
}

void PlaceTable::clear_valid(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Block& block = blocks_[number];
  const std::uint32_t offset = place - number * geometry_.superblock_units;
  const std::uint64_t bit = std::uint64_t{1} << (offset % 64);
  if (!block.bits) block.bits = zeroed<std::uint64_t>(words());
  std::uint64_t& word = block.bits[offset / 64];
  const bool initial = block.state == State::kInitial;
  NVMESIM_ASSERT(((word & bit) != 0) != initial, "a place was invalidated twice");
  word ^= bit;
}

void PlaceTable::revalidate(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Block& block = blocks_[number];
  const std::uint32_t offset = place - number * geometry_.superblock_units;
  NVMESIM_ASSERT(block.bits && !valid(place), "a place became valid again that was not invalid");
  block.bits[offset / 64] ^= std::uint64_t{1} << (offset % 64);
}

void PlaceTable::clear_valid_64(Place first) {
  const std::uint32_t number = geometry_.superblock_of(first);
  Block& block = blocks_[number];
  const std::uint32_t offset = first - number * geometry_.superblock_units;
  NVMESIM_ASSERT(block.state == State::kInitial && offset % 64 == 0, "not an initial leaf");
  if (!block.bits) block.bits = zeroed<std::uint64_t>(words());
  NVMESIM_ASSERT(block.bits[offset / 64] == 0, "a place was invalidated twice");
  block.bits[offset / 64] = ~std::uint64_t{0};
}

void PlaceTable::erased(std::uint32_t superblock) {
  blocks_[superblock] = {nullptr, nullptr, State::kErased};
}

void PlaceTable::clear_all_valid() {
  for (Block& block : blocks_) {
    if (block.state == State::kErased) continue;
    if (!block.bits) block.bits = zeroed<std::uint64_t>(words());
    const std::uint64_t all = block.state == State::kInitial ? ~std::uint64_t{0} : 0;
    std::fill_n(block.bits.get(), words(), all);
  }
}

void PlaceTable::save(std::uint32_t superblock, StateWriter& out) const {
  const Block& block = blocks_[superblock];
  out.number(static_cast<std::uint64_t>(block.state));
  out.number(block.bits != nullptr);
  for (std::size_t i = 0; block.bits && i < words(); ++i) out.number(block.bits[i]);
  if (block.state != State::kWritten) return;
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < geometry_.superblock_units; ++i) {
    const auto step = static_cast<std::int64_t>(block.records[i]) - before;
    out.number(static_cast<std::uint64_t>(step * 2) ^ static_cast<std::uint64_t>(step >> 63));
    before = block.records[i];
  }
}

void PlaceTable::load(std::uint32_t superblock, StateReader& in) {
  Block& block = blocks_[superblock];
  const auto state = static_cast<State>(in.number("a kind of superblock", 2));
  if (state == State::kInitial && !layout_.closed(superblock)) {
    in.fail("a superblock holds data of the beginning that was not there");
  }
  block = {nullptr, nullptr, state};
  const bool bits = in.number("a flag", 1) != 0;
  if (bits == (state == State::kErased) && state != State::kInitial) in.fail("bits are missing");
  if (bits) block.bits = zeroed<std::uint64_t>(words());
  for (std::size_t i = 0; bits && i < words(); ++i) {
    block.bits[i] = in.number("valid bits");
    const std::uint64_t in_word = geometry_.superblock_units - i * 64;
    if (in_word < 64 && block.bits[i] >> in_word != 0 && state == State::kWritten) {
      in.fail("valid bits beyond a superblock");
    }
  }
  if (state != State::kWritten) return;
  block.records = zeroed<std::uint32_t>(geometry_.superblock_units);
  std::uint64_t before = 0;
  for (std::uint32_t i = 0; i < geometry_.superblock_units; ++i) {
    const std::uint64_t coded = in.number("a record");
    before += (coded >> 1) ^ (0 - (coded & 1));
    if (before > geometry_.logical_units) in.fail("a record beyond the capacity");
    block.records[i] = static_cast<std::uint32_t>(before);
    const bool valid = (block.bits[i / 64] >> (i % 64) & 1) != 0;
    if (valid && before == 0) in.fail("a valid place without a record");
  }
}

}  // namespace nvmesim::models
