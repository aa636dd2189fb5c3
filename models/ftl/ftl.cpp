#include "models/ftl/ftl.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "sim/base/assert.hpp"

namespace nvmesim::models {
namespace {

// A victim must give back a whole program. There is always one if the logical units do not fit into
// all superblocks but the collector's two, each lacking a program.
const FtlConfig& checked(const FtlConfig& config, const Geometry& geometry) {
  if (config.gc_stop_superblocks <= config.gc_start_superblocks) {
    throw base::UserError("ftl.gc_stop_superblocks: must be more than gc_start_superblocks");
  }
  const std::uint64_t at_most = geometry.data_units - geometry.program_units;
  if ((geometry.superblocks - 2 - config.slc_superblocks) * at_most < geometry.logical_units) {
    throw base::UserError(
        "nand.pages_per_block: superblocks are too small and too many for this capacity");
  }
  return config;
}

}  // namespace

Ftl::Ftl(const FtlConfig& config, std::uint32_t cell_bits, const Geometry& geometry,
         base::Scheduler& scheduler, Nand& nand, Reliability& reliability, MediaPoints& points,
         bool hold_old, std::uint64_t seed, base::StatisticsRegistry& statistics,
         const std::string& name)
    : geometry_(geometry),
      scheduler_(scheduler),
      nand_(nand),
      reliability_(reliability),
      points_(points),
      hold_old_(hold_old),
      separate_(config.separate_streams),
      yields_(config.gc_yields_to_reads),
      ages_(reliability.ages()),
      mapping_time_(base::Time{std::int64_t{checked(config, geometry).mapping_ns} * 1000}),
      gc_start_(config.gc_start_superblocks),
      slc_limit_(config.separate_streams ? config.slc_superblocks : 0),
      slc_programs_(std::max(geometry.superblock_programs / cell_bits / geometry.dies, 1u) *
                    geometry.dies),
      layout_(geometry, config.precondition, geometry.logical_units * config.prefill_percent / 100,
              config.gc_stop_superblocks + config.slc_superblocks, seed),
      policy_(make_gc_policy(config.gc_policy, {geometry.superblocks, geometry.superblock_units,
                                                config.gc_choices, seed})),
      map_(geometry, layout_, &Superblocks::initial_mark),
      superblocks_(geometry, layout_, *policy_, config.dynamic_wear_levelling),
      collector_(std::make_unique<GarbageCollector>(config, geometry, scheduler, nand, *this,
                                                    statistics, name)) {
  add_statistics(statistics, name);
}

void Ftl::add_statistics(base::StatisticsRegistry& statistics, const std::string& name) {
  statistics.add(name + ".ftl.host_units", "1", "4 KiB units programmed for the host", host_units_);
  statistics.add(name + ".ftl.slc_units", "1", "of these, into the SLC cache", slc_units_);
  statistics.add(name + ".ftl.gc_units", "1", "4 KiB units programmed by garbage collection",
                 gc_units_);
  statistics.add(name + ".ftl.padding_units", "1",
                 "4 KiB units programmed without data, to fill a program", padding_units_);
  statistics.add(name + ".ftl.parity_units", "1", "4 KiB units of parity programmed",
                 parity_units_);
  statistics.add(name + ".ftl.failed_programs", "1", "programs that failed and were done again",
                 failed_programs_);
  statistics.add(name + ".ftl.deallocated_units", "1", "mapped units that were deallocated",
                 deallocated_units_);
  statistics.add(name + ".ftl.integrity_errors", "1",
                 "media reads whose spare area did not name the unit asked for", integrity_errors_);
  statistics.add_level(name + ".ftl.free_superblocks", "1",
                       "superblocks that are erased and unused",
                       [this] { return std::uint64_t{superblocks_.free_count()}; });
  statistics.add_level(name + ".ftl.retired_superblocks", "1",
                       "superblocks out of use for bad blocks",
                       [this] { return std::uint64_t{superblocks_.retired_count()}; });
  statistics.add_level(name + ".ftl.mapped_units", "1", "4 KiB units with data on the medium",
                       [this] { return map_.mapped(); });
  const auto wear = [this](bool most) {
    std::uint32_t found = superblocks_[0].erases;
    for (std::uint32_t i = 1; i < superblocks_.count(); ++i) {
      const std::uint32_t erases = superblocks_[i].erases;
      found = most ? std::max(found, erases) : std::min(found, erases);
    }
    return std::uint64_t{found};
  };
  statistics.add_level(name + ".ftl.wear_least", "erases", "erases of the least worn superblock",
                       [wear] { return wear(false); });
  statistics.add_level(name + ".ftl.wear_most", "erases", "erases of the most worn superblock",
                       [wear] { return wear(true); });
  // Of the erases in the simulation: how many superblocks have had 0, 1, 2-3, 4-7, ... of them.
  for (std::uint32_t bucket = 0; bucket < 8; ++bucket) {
    const std::uint32_t from = bucket == 0 ? 0 : 1u << (bucket - 1);
    const std::uint32_t below = bucket == 7 ? 0xFFFF'FFFF : 1u << bucket;
    statistics.add_level(name + ".ftl.wear_from_" + std::to_string(from), "1",
                         "superblocks with so many erases, up to the next step",
                         [this, from, below] {
                           std::uint64_t count = 0;
                           for (std::uint32_t i = 0; i < superblocks_.count(); ++i) {
                             const std::uint32_t erases = superblocks_[i].erases;
                             if (erases >= from && erases < below) ++count;
                           }
                           return count;
                         });
  }
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

void Ftl::read_begins(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Superblock& block = superblocks_[number];
  ++block.readers;
  ++reads_open_;
  if (!ages_) return;
  ++block.reads;
  if (!block.queued && block.state == SuperblockState::kClosed &&
      reliability_.refresh_due(age_of(block))) {
    collector_->refresh(number);
  }
}

void Ftl::read_ends(Place place) {
  const std::uint32_t number = geometry_.superblock_of(place);
  Superblock& block = superblocks_[number];
  NVMESIM_ASSERT(block.readers > 0 && reads_open_ > 0, "a read ended that did not begin");
  --reads_open_;
  if (--block.readers == 0 && block.state == SuperblockState::kErasing) {
    collector_->readers_left(number);
  }
  if (yields_ && reads_open_ == 0) collector_->host_is_quiet();
}

Reliability::Age Ftl::age_of(const Superblock& block) const {
  return {block.erases, block.reads, scheduler_.now() - block.opened_at,
          block.sequence < geometry_.superblocks};
}

Reliability::Outcome Ftl::read_outcome(Place place, bool limited) {
  return reliability_.read(age_of(superblocks_[geometry_.superblock_of(place)]), limited);
}

bool Ftl::record_matches(UnitId unit, UnitMap::Mapped mapped) {
  if (map_.record(mapped.place) == unit.value() && superblocks_.mark(mapped.place) == mapped.mark) {
    return true;
  }
  ++integrity_errors_;
  return false;
}

// With one open superblock for both, the host leaves the collector what it still needs for the
// victim, or for the worst one to come.
bool Ftl::host_may_write() const {
  const std::uint32_t free = superblocks_.free_count();
  const std::uint32_t left = programs_left(Stream::kHost);
  if (separate_) {
    if (left == 0 && free <= 1) return false;
  } else {
    const std::uint64_t room = left + std::uint64_t{free} * data_programs();
    if (room <= collector_->programs_needed()) return false;
  }
  return free > gc_start_ || !collector_->moving() || collector_->host_within_share() ||
         collector_->gives_way();
}

std::uint32_t Ftl::programs_left(Stream stream) const {
  const Frontier& frontier = frontiers_[frontier_of(stream)];
  if (!frontier.open) return 0;
  const std::uint32_t left = programs_of(frontier.superblock) - frontier.next_program;
  return geometry_.parity ? left - (left + geometry_.dies - 1) / geometry_.dies : left;
}

Place Ftl::allocate(Stream stream) {
  Frontier& frontier = frontiers_[frontier_of(stream)];
  if (!frontier.open) {
    const bool slc = stream == Stream::kHost && superblocks_.slc_used() < slc_limit_ &&
                     superblocks_.free_count() > gc_start_ + 1;
    frontier = {superblocks_.open(scheduler_.now(), slc), 0, true};
  }
  const Place first = frontier.superblock * geometry_.superblock_units +
                      frontier.next_program * geometry_.program_units;
  Superblock& block = superblocks_[frontier.superblock];
  ++block.programs_open;
  ++frontier.next_program;
  if (geometry_.parity && frontier.next_program % geometry_.dies == geometry_.dies - 1) {
    parity_.start(frontier.superblock, frontier.next_program++);
  }
  if (frontier.next_program == programs_of(frontier.superblock)) {
    block.full = true;
    frontier.open = false;
  }
  return first;
}

// A row of data is complete: its parity, kept in the controller so far, follows.
void Ftl::ParityPrograms::start(std::uint32_t superblock, std::uint32_t number) {
  const Geometry& geometry = ftl_.geometry_;
  const std::uint32_t stripe =
      (superblock * geometry.superblock_programs + number) * geometry.program_rows;
  ++ftl_.superblocks_[superblock].programs_open;
  ftl_.parity_units_ += geometry.program_units;
  Job* job = jobs_.take();
  job->owner = this;
  job->job_class = JobClass::kHostProgram;
  job->superblock = superblock;
  job->slc = ftl_.superblocks_[superblock].slc;
  job->die = geometry.die_of_stripe(stripe);
  job->row = geometry.row_of_stripe(stripe);
  job->pages = geometry.planes * geometry.program_rows;
  job->ready_at = base::kTimeZero;
  ftl_.nand_.submit(*job);
}

void Ftl::ParityPrograms::array_done(DieJob& job) {
  auto& parity = static_cast<Job&>(job);
  const std::uint32_t superblock = parity.superblock;
  jobs_.give(&parity);
  ftl_.program_ended(superblock);
}

void Ftl::program(Stripe& stripe, Stream stream) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  NVMESIM_ASSERT(count > 0 && count <= geometry_.program_units, "a stripe of a wrong size");
  stripe.stream = stream;
  stripe.holds = false;
  place(stripe);
  if (stream == Stream::kHost) {
    in_flight_.push_back(&stripe);
    collector_->host_wrote(count);
  }
  submit(stripe);
  if (stream == Stream::kHost) collector_->kick();
}

void Ftl::place(Stripe& stripe) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  stripe.first = allocate(stripe.stream);
  for (std::uint32_t i = 0; i < count; ++i) {
    map_.write_record(stripe.first + i, stripe.units[i].unit.value());
  }
  if (stripe.stream == Stream::kHost) {
    bind_host_units(stripe);
    host_units_ += count;
    if (superblocks_[geometry_.superblock_of(stripe.first)].slc) slc_units_ += count;
  } else {
    gc_units_ += count;
  }
  padding_units_ += geometry_.program_units - count;
}

void Ftl::submit(Stripe& stripe) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  const std::uint32_t number = geometry_.stripe_of(stripe.first);
  stripe.owner = this;
  stripe.job_class = stripe.stream == Stream::kHost ? JobClass::kHostProgram : JobClass::kGcProgram;
  stripe.slc = in_slc(stripe.first);
  stripe.die = geometry_.die_of_stripe(number);
  stripe.row = geometry_.row_of_stripe(number);
  stripe.pages = static_cast<std::uint32_t>(base::ceil_div(count, geometry_.page_units));
  stripe.ready_at = base::kTimeZero;
  nand_.submit(stripe);
}

void Ftl::bind_host_units(Stripe& stripe) {
  const std::uint32_t number = geometry_.superblock_of(stripe.first);
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    Stripe::Unit& unit = stripe.units[i];
    const Place place = stripe.first + i;
    const UnitMap::Mapped old = map_.bind(unit.unit.value(), place, superblocks_.mark(place));
    superblocks_.valid_more(number);
    unit.old = old.place;
    unit.old_mark = old.mark;
    if (old.place == kNoPlace) continue;
    Superblock& block = superblocks_[geometry_.superblock_of(old.place)];
    if (hold_old_) ++block.readers;
    superblocks_.valid_less(geometry_.superblock_of(old.place));
  }
  stripe.holds = hold_old_;
}

void Ftl::release_old(const Stripe& stripe) {
  if (!stripe.holds) return;
  for (const Stripe::Unit& unit : stripe.units) {
    if (unit.old == kNoPlace) continue;
    ++reads_open_;
    read_ends(unit.old);
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
  if (failed(stripe)) {
    program_ended(number);
    return;
  }
  if (stripe.stream == Stream::kHost) {
    in_flight_.erase(std::find(in_flight_.begin(), in_flight_.end(), &stripe));
    release_old(stripe);
    stripe.holds = false;
  }
  --superblocks_[number].programs_open;
  stripe.stripe_owner->stripe_programmed(stripe);  // the collector maps moved units here
  if (superblocks_.close_if_done(number)) collector_->kick();
}

// A program fails: the block is bad from its next erase on; what it held is written elsewhere.
bool Ftl::failed(Stripe& stripe) {
  if (!reliability_.program_fails()) return false;
  const std::uint64_t room =
      programs_left(stripe.stream) + std::uint64_t{superblocks_.free_count()} * data_programs();
  if (room <= collector_->programs_needed() + 1) return false;  // no room to fail
  ++failed_programs_;
  superblocks_[geometry_.superblock_of(stripe.first)].suspect = true;
  place_again(stripe);
  submit(stripe);
  return true;
}

void Ftl::place_again(Stripe& stripe) {
  const Place was = stripe.first;
  stripe.first = allocate(stripe.stream);
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    const std::uint64_t unit = stripe.units[i].unit.value();
    const Place place = stripe.first + i;
    map_.write_record(place, unit);
    if (stripe.stream != Stream::kHost || map_.find(unit).place != was + i) continue;
    map_.bind(unit, place, superblocks_.mark(place));
    superblocks_.valid_more(geometry_.superblock_of(place));
    superblocks_.valid_less(geometry_.superblock_of(was + i));
  }
  padding_units_ += geometry_.program_units;
}

void Ftl::job_dropped(DieJob& job) {
  auto& stripe = static_cast<Stripe&>(job);
  program_ended(geometry_.superblock_of(stripe.first));
  stripe.stripe_owner->stripe_dropped(stripe);
}

// Undone in the opposite order: a unit that is on its way twice returns to where it began.
void Ftl::revert(Stripe& stripe) {
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    const Stripe::Unit& unit = stripe.units[i];
    const Place old = stripe.holds ? unit.old : kNoPlace;
    if (stripe.holds && unit.old != kNoPlace) {
      --superblocks_[geometry_.superblock_of(unit.old)].readers;
    }
    const Place place = stripe.first + i;
    if (map_.find(unit.unit.value()).place != place) continue;  // deallocated
    map_.revert(unit.unit.value(), place, old, unit.old_mark);
    superblocks_.valid_less(geometry_.superblock_of(place));
    if (old != kNoPlace) superblocks_.valid_more(geometry_.superblock_of(old));
  }
}

void Ftl::power_cut() {
  collector_->power_cut();
  for (std::size_t i = in_flight_.size(); i-- > 0;) revert(*in_flight_[i]);
  in_flight_.clear();
  nand_.power_cut();
  collector_->forget_victims();
}

void Ftl::power_on() {
  collector_->power_on();
}

void Ftl::program_ended(std::uint32_t superblock) {
  --superblocks_[superblock].programs_open;
  if (superblocks_.close_if_done(superblock)) collector_->kick();
}

void Ftl::unmap(std::uint64_t unit) {
  const Place old = map_.unbind(unit);
  if (old == kNoPlace) return;
  superblocks_.valid_less(geometry_.superblock_of(old));
  ++deallocated_units_;
}

void Ftl::deallocate(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t end = first + count;
  if (first == 0 && count == geometry_.logical_units) {
    deallocated_units_ += map_.mapped();
    map_.unbind_all();
    for (std::uint32_t i = 0; i < superblocks_.count(); ++i) {
      if (superblocks_[i].valid != 0) superblocks_.valid_less(i, superblocks_[i].valid);
    }
    first = end;
  }
  const bool whole_leaves = geometry_.superblock_units % 64 == 0;
  for (std::uint64_t unit = first; unit < end;) {
    std::uint64_t gap_end = 0;
    if (map_.in_gap(unit, gap_end)) {
      unit = gap_end;
      continue;
    }
    if (whole_leaves && unit % 64 == 0 && unit + 64 <= end) {
      const Place place = map_.unbind_initial(unit);
      if (place != kNoPlace) {
        superblocks_.valid_less(geometry_.superblock_of(place), 64);
        deallocated_units_ += 64;
        unit += 64;
        continue;
      }
    }
    unmap(unit++);
  }
  collector_->kick();
}

void Ftl::space_changed() {
  if (space_) space_();
}

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
  for (std::uint64_t unit = 0; unit < geometry_.logical_units; unit += sample) {
    const Place place = map_.find(unit).place;
    if (place == kNoPlace) continue;
    ++mapped_units;
    NVMESIM_ASSERT(map_.valid(place), "a unit is mapped to a place that is not valid");
    NVMESIM_ASSERT(map_.record(place) == unit, "a unit is mapped to the place of another one");
  }
  NVMESIM_ASSERT(sample > 1 || mapped_units == total, "units and valid places are not as many");
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
