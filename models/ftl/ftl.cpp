#include "models/ftl/ftl.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::models {
namespace {

// A victim must give back a whole stripe. There is always one if the logical units do not fit into
// all superblocks but the collector's two, each lacking a stripe.
const FtlConfig& checked(const FtlConfig& config, const Geometry& geometry) {
  if (config.gc_stop_superblocks <= config.gc_start_superblocks) {
    throw base::UserError("ftl.gc_stop_superblocks: must be more than gc_start_superblocks");
  }
  const std::uint64_t at_most = geometry.superblock_units - geometry.stripe_units;
  if ((geometry.superblocks - 2) * at_most < geometry.logical_units) {
    throw base::UserError(
        "nand.pages_per_block: superblocks are too small and too many for this capacity");
  }
  return config;
}

}  // namespace

Ftl::Ftl(const FtlConfig& config, const Geometry& geometry, base::Scheduler& scheduler, Nand& nand,
         MediaPoints& points, base::StatisticsRegistry& statistics, const std::string& name)
    : geometry_(geometry),
      nand_(nand),
      points_(points),
      mapping_time_(base::Time{std::int64_t{checked(config, geometry).mapping_ns} * 1000}),
      gc_start_(config.gc_start_superblocks),
      policy_(make_gc_policy(config.gc_policy, geometry.superblocks, geometry.superblock_units)),
      map_(geometry, geometry.logical_units * config.prefill_percent / 100,
           &Superblocks::prefill_mark),
      superblocks_(geometry, map_.prefilled(), *policy_),
      collector_(std::make_unique<GarbageCollector>(config, geometry, scheduler, nand, *this,
                                                    statistics, name)) {
  statistics.add(name + ".ftl.host_units", "1", "4 KiB units programmed for the host", host_units_);
  statistics.add(name + ".ftl.gc_units", "1", "4 KiB units programmed by garbage collection",
                 gc_units_);
  statistics.add(name + ".ftl.padding_units", "1",
                 "4 KiB units programmed without data, to fill a stripe", padding_units_);
  statistics.add(name + ".ftl.deallocated_units", "1", "mapped units that were deallocated",
                 deallocated_units_);
  statistics.add(name + ".ftl.integrity_errors", "1",
                 "media reads whose spare area did not name the unit asked for", integrity_errors_);
  statistics.add_level(name + ".ftl.free_superblocks", "1",
                       "superblocks that are erased and unused",
                       [this] { return std::uint64_t{superblocks_.free_count()}; });
  statistics.add_level(name + ".ftl.mapped_units", "1", "4 KiB units with data on the medium",
                       [this] { return map_.mapped(); });
}

UnitMap::Mapped Ftl::look_up(UnitId unit) const {
  UnitMap::Mapped mapped = map_.find(unit.value());
  if (points_.map_lookup.armed() && mapped.place != kNoPlace) {
    PhysicalUnit place{mapped.place};
    points_.map_lookup(unit, place);
    mapped.place = static_cast<Place>(place.value() % geometry_.physical_units);
  }
  return mapped;
}

void Ftl::read_ends(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Superblock& block = superblocks_[number];
  NVMESIM_ASSERT(block.readers > 0, "a read ended that did not begin");
  if (--block.readers == 0 && block.state == SuperblockState::kErasing) {
    collector_->readers_left(number);
  }
}

bool Ftl::record_matches(UnitId unit, UnitMap::Mapped mapped) {
  if (map_.record(mapped.place) == unit.value() && superblocks_.mark(mapped.place) == mapped.mark) {
    return true;
  }
  ++integrity_errors_;
  return false;
}

bool Ftl::host_may_write() const {
  const std::uint32_t free = superblocks_.free_count();
  if (stripes_left(Stream::kHost) == 0 && free <= 1) return false;
  return free > gc_start_ || !collector_->moving() || collector_->host_within_share();
}

std::uint32_t Ftl::stripes_left(Stream stream) const {
  const Frontier& frontier = frontiers_[static_cast<std::size_t>(stream)];
  return frontier.open ? geometry_.superblock_stripes - frontier.next_stripe : 0;
}

Place Ftl::allocate(Stream stream) {
  Frontier& frontier = frontiers_[static_cast<std::size_t>(stream)];
  if (!frontier.open) frontier = {superblocks_.open(), 0, true};
  const Place first = frontier.superblock * geometry_.superblock_units +
                      frontier.next_stripe * geometry_.stripe_units;
  Superblock& block = superblocks_[frontier.superblock];
  ++block.programs_open;
  if (++frontier.next_stripe == geometry_.superblock_stripes) {
    block.full = true;
    frontier.open = false;
  }
  return first;
}

void Ftl::program(Stripe& stripe, Stream stream) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  NVMESIM_ASSERT(count > 0 && count <= geometry_.stripe_units, "a stripe of a wrong size");
  stripe.first = allocate(stream);
  for (std::uint32_t i = 0; i < count; ++i) {
    map_.write_record(stripe.first + i, stripe.units[i].unit.value());
  }
  if (stream == Stream::kHost) {
    bind_host_units(stripe);
    host_units_ += count;
    collector_->host_wrote(count);
  } else {
    gc_units_ += count;
  }
  padding_units_ += geometry_.stripe_units - count;

  const std::uint32_t number = geometry_.stripe_of(stripe.first);
  stripe.owner = this;
  stripe.job_class = stream == Stream::kHost ? JobClass::kHostProgram : JobClass::kGcProgram;
  stripe.die = geometry_.die_of_stripe(number);
  stripe.row = geometry_.row_of_stripe(number);
  stripe.pages = static_cast<std::uint32_t>(base::ceil_div(count, geometry_.page_units));
  stripe.ready_at = base::kTimeZero;
  nand_.submit(stripe);
  if (stream == Stream::kHost) collector_->kick();
}

void Ftl::bind_host_units(const Stripe& stripe) {
  const std::uint32_t number = geometry_.superblock_of(stripe.first);
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    const Place place = stripe.first + i;
    const Place old = map_.bind(stripe.units[i].unit.value(), place, superblocks_.mark(place));
    superblocks_.valid_more(number);
    if (old != kNoPlace) superblocks_.valid_less(geometry_.superblock_of(old));
  }
}

void Ftl::rebind(UnitId unit, Place old, Place place) {
  const auto was = map_.move(unit.value(), old, place, superblocks_.mark(place));
  if (was.place != old) return;
  record_matches(unit, was);  // counts; what is wrong stays wrong when moved
  superblocks_.valid_more(geometry_.superblock_of(place));
  superblocks_.valid_less(geometry_.superblock_of(old));
}

void Ftl::array_done(DieJob& job) {
  auto& stripe = static_cast<Stripe&>(job);
  const std::uint32_t number = geometry_.superblock_of(stripe.first);
  --superblocks_[number].programs_open;
  stripe.stripe_owner->stripe_programmed(stripe);  // the collector maps moved units here
  if (superblocks_.close_if_done(number)) collector_->kick();
}

void Ftl::unmap(std::uint64_t unit) {
  const Place old = map_.unbind(unit);
  if (old == kNoPlace) return;
  superblocks_.valid_less(geometry_.superblock_of(old));
  ++deallocated_units_;
}

void Ftl::deallocate(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t end = first + count;
  const bool whole_leaves = geometry_.superblock_units % 64 == 0;
  for (std::uint64_t unit = first; unit < end;) {
    std::uint64_t gap_end = 0;
    if (map_.in_gap(unit, gap_end)) {
      unit = gap_end;
    } else if (whole_leaves && unit % 64 == 0 && unit + 64 <= end && map_.unbind_prefilled(unit)) {
      superblocks_.valid_less(geometry_.superblock_of(static_cast<Place>(unit)), 64);
      deallocated_units_ += 64;
      unit += 64;
    } else {
      unmap(unit++);
    }
  }
  collector_->kick();
}

void Ftl::space_changed() {
  if (space_) space_();
}

void Ftl::check_invariants() const {
  std::vector<std::uint32_t> valid(superblocks_.count(), 0);
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < geometry_.physical_units; ++i) {
    const auto place = static_cast<Place>(i);
    if (!map_.valid(place)) continue;
    const std::uint64_t unit = map_.record(place);
    NVMESIM_ASSERT(unit < geometry_.logical_units, "a valid place has no unit");
    const auto mapped = map_.find(unit);
    NVMESIM_ASSERT(mapped.place == place, "a valid place is not the place of its unit");
    NVMESIM_ASSERT(mapped.mark == superblocks_.mark(place), "a mapping carries a wrong mark");
    ++valid[geometry_.superblock_of(place)];
    ++total;
  }
  NVMESIM_ASSERT(total == map_.mapped(), "the count of mapped units is wrong");
  std::uint64_t mapped_units = 0;
  for (std::uint64_t unit = 0; unit < geometry_.logical_units; ++unit) {
    const Place place = map_.find(unit).place;
    if (place == kNoPlace) continue;
    ++mapped_units;
    NVMESIM_ASSERT(map_.valid(place), "a unit is mapped to a place that is not valid");
  }
  NVMESIM_ASSERT(mapped_units == total, "units and valid places are not as many");
  std::uint32_t free = 0;
  for (std::uint32_t i = 0; i < superblocks_.count(); ++i) {
    const Superblock& block = superblocks_[i];
    NVMESIM_ASSERT(block.valid == valid[i], "the valid count of a superblock is wrong");
    const bool empty =
        block.state == SuperblockState::kFree || block.state == SuperblockState::kErasing;
    NVMESIM_ASSERT(!empty || block.valid == 0, "a free superblock holds valid units");
    if (block.state == SuperblockState::kFree) ++free;
  }
  NVMESIM_ASSERT(free == superblocks_.free_count(), "the free list is wrong");
}

}  // namespace nvmesim::models
