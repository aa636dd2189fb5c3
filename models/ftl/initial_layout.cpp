#include "models/ftl/initial_layout.hpp"

#include <algorithm>

#include "models/ftl/table_pages.hpp"
#include "sim/base/assert.hpp"
#include "sim/base/fixed_math.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {
namespace {

using base::Fixed;

Fixed exp_minus(Fixed x) {
  const Fixed log2_e = Fixed::ratio(1'442'695'040'888'963'407, 1'000'000'000'000'000'000);
  return base::exp2(-(x * log2_e));
}

// T = alpha (1 - e^-T), by iteration from above.
Fixed lifetime(Fixed alpha) {
  const Fixed near = Fixed::from_raw(Fixed::Raw{1} << 20);
  Fixed t = alpha;
  for (int i = 0; i < 100'000; ++i) {
    const Fixed next = alpha * (Fixed(1) - exp_minus(t));
    const bool done = t - next < near;
    t = next;
    if (done) break;
  }
  return t;
}

}  // namespace

std::uint64_t InitialLayout::lifetime_q32(std::uint64_t physical, std::uint64_t logical) {
  const Fixed alpha =
      Fixed::ratio(static_cast<std::int64_t>(physical), static_cast<std::int64_t>(logical));
  return static_cast<std::uint64_t>(lifetime(alpha).raw() >> 32);
}

InitialLayout::InitialLayout(const Geometry& geometry, Precondition kind, std::uint64_t units,
                             std::uint32_t kept_free, Deal deal, std::uint64_t seed)
    : geometry_(&geometry),
      kind_(units == 0 ? Precondition::none : kind),
      host_(units),
      units_(units + (geometry.logical_units > geometry.host_units ? table_pages(units) : 0)),
      kept_free_(kept_free),
      deal_(deal),
      seed_(seed),
      unit_order_(std::max<std::uint64_t>(units_, 1), seed),
      place_order_(geometry.data_units, ~seed) {
  const auto needed = static_cast<std::uint32_t>(base::ceil_div(units_, geometry.data_units));
  const std::uint32_t most = geometry.superblocks - std::min(kept_free, geometry.superblocks);
  closed_ = kind_ == Precondition::none ? needed : std::max(needed, most);
  NVMESIM_ASSERT(closed_ <= geometry.superblocks, "more units than the drive has places for");
  first_valid_ = kind_ == Precondition::sequential ? closed_ - needed : 0;
  if (kind_ == Precondition::random) count_random(closed_);
}

void InitialLayout::save(StateWriter& out) const {
  out.number(static_cast<std::uint64_t>(kind_));
  out.number(host_);
  out.number(kept_free_);
  out.number(deal_.inner);
  out.number(deal_.outer);
  out.number(seed_);
}

InitialLayout InitialLayout::load(const Geometry& geometry, StateReader& in) {
  const auto kind = static_cast<Precondition>(
      in.number("a precondition", static_cast<std::uint64_t>(Precondition::random)));
  const std::uint64_t units = in.number("the units of the beginning", geometry.host_units);
  const auto kept = static_cast<std::uint32_t>(in.number("superblocks kept free", 10'000));
  Deal deal;
  deal.inner = static_cast<std::uint32_t>(in.number("dies in turn", geometry.dies));
  deal.outer = static_cast<std::uint32_t>(in.number("groups of dies in turn", geometry.dies));
  const bool all = deal.inner != 0 && std::uint64_t{deal.inner} * deal.outer == geometry.dies;
  const bool good = deal.outer == 1 ? deal.inner != 0 : all && !geometry.parity;
  if (!good) in.fail("an impossible order of dies");
  return {geometry, kind, units, kept, deal, in.number("a seed")};
}

void InitialLayout::count_random(std::uint32_t blocks) {
  const std::uint64_t size = geometry_->data_units;
  const Fixed alpha =
      Fixed::ratio(static_cast<std::int64_t>(blocks * size), static_cast<std::int64_t>(units_));
  const Fixed t = lifetime(alpha);
  const auto count = static_cast<std::int64_t>(blocks);
  const Fixed step = exp_minus(t * Fixed::ratio(1, count));
  std::vector<std::uint64_t> valid(blocks);
  Fixed share = exp_minus(t * Fixed::ratio(1, 2 * count));
  std::uint64_t sum = 0;
  for (std::uint32_t i = blocks; i-- > 0;) {
    valid[i] = static_cast<std::uint64_t>((share * Fixed(static_cast<std::int64_t>(size))).floor());
    sum += valid[i];
    share = share * step;
  }
  // What rounding left over goes, evenly, to those that have room.
  for (std::uint32_t i = 0; sum != units_; i = (i + 1) % blocks) {
    if (sum < units_) {
      const std::uint64_t more = std::min(size - valid[i], base::ceil_div(units_ - sum, blocks));
      valid[i] += more;
      sum += more;
    } else {
      const std::uint64_t less = std::min(valid[i], base::ceil_div(sum - units_, blocks));
      valid[i] -= less;
      sum -= less;
    }
  }
  before_.assign(1, 0);
  for (const std::uint64_t each : valid) before_.push_back(before_.back() + each);
}

bool InitialLayout::is_parity(std::uint64_t offset) const {
  return geometry_->parity && offset % geometry_->row_units >= geometry_->row_data_units;
}

std::uint64_t InitialLayout::data_offset(std::uint64_t offset) const {
  if (!geometry_->parity) return offset;
  return offset / geometry_->row_units * geometry_->row_data_units + offset % geometry_->row_units;
}

std::uint64_t InitialLayout::offset_of(std::uint64_t data_offset) const {
  if (!geometry_->parity) return data_offset;
  return data_offset / geometry_->row_data_units * geometry_->row_units +
         data_offset % geometry_->row_data_units;
}

// The last group of a superblock may lack some programs.
Deal InitialLayout::deal_for(std::uint64_t first_program) const {
  const std::uint64_t left = geometry_->data_units / geometry_->program_units - first_program;
  if (left >= deal_.programs()) return deal_;
  return {static_cast<std::uint32_t>(left), 1};
}

std::uint64_t InitialLayout::dealt(std::uint64_t written) const {
  if (in_place()) return written;
  const std::uint64_t size = geometry_->program_units;
  const std::uint64_t first = written / (size * deal_.programs()) * deal_.programs();
  const Deal deal = deal_for(first);
  const std::uint64_t page = (written - first * size) / geometry_->page_units;
  const std::uint64_t plane = page / deal.inner % geometry_->planes;
  const std::uint64_t row = page / (deal.programs() * geometry_->planes);
  const std::uint64_t slot = row * geometry_->planes + plane;
  return (first + deal.program_of(page, geometry_->planes)) * size + slot * geometry_->page_units +
         written % geometry_->page_units;
}

std::uint64_t InitialLayout::written(std::uint64_t data_offset) const {
  if (in_place()) return data_offset;
  const std::uint64_t size = geometry_->program_units;
  const std::uint64_t number = data_offset / size;
  const std::uint64_t first = number / deal_.programs() * deal_.programs();
  const Deal deal = deal_for(first);
  const std::uint64_t slot = data_offset % size / geometry_->page_units;
  const std::uint64_t row = slot / geometry_->planes;
  const std::uint64_t round =
      (row * deal.outer + (number - first) / deal.inner) * geometry_->planes +
      slot % geometry_->planes;
  const std::uint64_t page = round * deal.inner + (number - first) % deal.inner;
  return first * size + page * geometry_->page_units + data_offset % geometry_->page_units;
}

std::uint32_t InitialLayout::valid_in(std::uint32_t superblock) const {
  if (superblock >= closed_ || superblock < first_valid_) return 0;
  if (kind_ == Precondition::random) {
    return static_cast<std::uint32_t>(before_[superblock + 1] - before_[superblock]);
  }
  const std::uint64_t first = std::uint64_t{superblock - first_valid_} * geometry_->data_units;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(geometry_->data_units, units_ - first));
}

Place InitialLayout::place_of(std::uint64_t number) const {
  const std::uint64_t unit = dense(number);
  std::uint64_t superblock = 0;
  std::uint64_t offset = 0;
  if (kind_ == Precondition::random) {
    const std::uint64_t rank = unit_order_.inverse(unit);
    const auto after = std::upper_bound(before_.begin(), before_.end(), rank);
    superblock = static_cast<std::uint64_t>(after - before_.begin()) - 1;
    offset = place_order_.at(rank - before_[superblock], superblock);
  } else {
    superblock = first_valid_ + unit / geometry_->data_units;
    offset = dealt(unit % geometry_->data_units);
  }
  return static_cast<Place>(superblock * geometry_->superblock_units + offset_of(offset));
}

bool InitialLayout::valid(Place place) const {
  const std::uint32_t superblock = geometry_->superblock_of(place);
  if (superblock >= closed_ || superblock < first_valid_) return false;
  const std::uint64_t offset = place - std::uint64_t{superblock} * geometry_->superblock_units;
  if (is_parity(offset)) return false;
  const std::uint64_t data = data_offset(offset);
  if (kind_ != Precondition::random) return written(data) < valid_in(superblock);
  return place_order_.inverse(data, superblock) < before_[superblock + 1] - before_[superblock];
}

// What is not valid any more holds an older version of some unit.
std::uint64_t InitialLayout::record(Place place) const {
  const std::uint32_t superblock = geometry_->superblock_of(place);
  if (superblock >= closed_) return kNoUnit;
  const std::uint64_t offset = place - std::uint64_t{superblock} * geometry_->superblock_units;
  if (is_parity(offset)) return kNoUnit;
  const std::uint64_t data = data_offset(offset);
  if (kind_ == Precondition::random) {
    const std::uint64_t rank = place_order_.inverse(data, superblock);
    if (rank < before_[superblock + 1] - before_[superblock]) {
      return unit_of(unit_order_.at(before_[superblock] + rank));
    }
    return unit_of((place * std::uint64_t{0x9E37'79B9'7F4A'7C15} >> 20) % units_);
  }
  const std::uint64_t number = std::uint64_t{superblock} * geometry_->data_units + written(data);
  const std::uint64_t base = std::uint64_t{first_valid_} * geometry_->data_units;
  if (number < base) return unit_of(units_ - 1 - (base - 1 - number) % units_);
  return number - base < units_ ? unit_of(number - base) : kNoUnit;
}

}  // namespace nvmesim::models
