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
const FtlConfig& checked(const FtlConfig& config, std::uint32_t cell_bits,
                         const Geometry& geometry) {
  if (config.allocation == Allocation::by_address && config.parity) {
    throw base::UserError("ftl.allocation: by_address leaves no die for parity");
  }
  if (config.gc_stop_superblocks <= config.gc_start_superblocks) {
    throw base::UserError("ftl.gc_stop_superblocks: must be more than gc_start_superblocks");
  }
  if (config.host_streams > 1 && !config.separate_streams) {
    throw base::UserError("ftl.host_streams: more than one needs separate_streams");
  }
  const bool slc = config.slc_superblocks != 0 || config.slc_dynamic_superblocks != 0;
  if (slc && cell_bits == 1) {
    throw base::UserError("ftl.slc_superblocks: the cells hold one bit anyway (nand.cell_bits)");
  }
  if (slc && !config.separate_streams) {
    throw base::UserError("ftl.slc_superblocks: an SLC cache needs separate_streams");
  }
  const std::uint64_t lost = config.allocation == Allocation::by_address ? geometry.dies : 1;
  const std::uint64_t at_most = geometry.data_units - lost * geometry.program_units;
  const bool table = geometry.logical_units > geometry.host_units;
  const std::uint32_t not_full = 1 + config.host_streams + config.slc_superblocks + (table ? 1 : 0);
  if ((geometry.superblocks - not_full) * at_most < geometry.logical_units) {
    throw base::UserError(
        "nand.pages_per_block: superblocks are too small and too many for this capacity");
  }
  return config;
}

Deal deal_of(const FtlConfig& config, const Geometry& geometry) {
  const std::uint32_t inner = geometry.order.before_plane;
  return {inner, config.allocation == Allocation::by_address ? geometry.dies / inner : 1};
}

}  // namespace

Ftl::Ftl(const FtlConfig& config, std::uint32_t cell_bits, const Geometry& geometry,
         base::Scheduler& scheduler, Nand& nand, Reliability& reliability, Dram& dram,
         MediaPoints& points, bool hold_old, std::uint64_t seed,
         base::StatisticsRegistry& statistics, const std::string& name)
    : geometry_(geometry),
      allocation_(config.allocation),
      deal_(deal_of(config, geometry)),
      scheduler_(scheduler),
      nand_(nand),
      reliability_(reliability),
      dram_(dram),
      points_(points),
      hold_old_(hold_old),
      separate_(config.separate_streams),
      table_(geometry.logical_units > geometry.host_units),
      yields_(config.gc_yields_to_reads),
      ages_(reliability.ages()),
      mapping_time_(
          base::Time{std::int64_t{checked(config, cell_bits, geometry).mapping_ns} * 1000}),
      gc_start_(config.gc_start_superblocks + (table_ ? 1 : 0)),
      slc_limit_(config.slc_superblocks),
      slc_most_(config.slc_superblocks + config.slc_dynamic_superblocks),
      slc_plenty_(config.gc_stop_superblocks + (table_ ? 2 : 1)),
      slc_programs_(std::max(geometry.superblock_programs / cell_bits / geometry.dies, 1u) *
                    geometry.dies),
      layout_(geometry, config.precondition, geometry.host_units * config.prefill_percent / 100,
              config.gc_stop_superblocks + config.slc_superblocks + config.host_streams - 1 +
                  (table_ ? 2 : 0),
              deal_, seed),
      policy_(make_gc_policy(config.gc_policy, {geometry.superblocks, geometry.superblock_units,
                                                config.gc_choices, seed})),
      map_(geometry, layout_, &Superblocks::initial_mark),
      superblocks_(geometry, layout_, *policy_, config.dynamic_wear_levelling),
      frontiers_(std::size_t{1} + config.host_streams + (table_ ? 1 : 0),
                 Frontier(geometry.dies, geometry.parity)),
      collector_(std::make_unique<GarbageCollector>(config, geometry, scheduler, nand, *this,
                                                    statistics, name)),
      mapped_pages_(layout_.pages()) {
  add_statistics(statistics, name);
}

void Ftl::add_statistics(base::StatisticsRegistry& statistics, const std::string& name) {
  statistics.add(name + ".ftl.host_units", "1", "4 KiB units programmed for the host", host_units_);
  statistics.add(name + ".ftl.slc_units", "1", "of these, into the SLC cache", slc_units_);
  statistics.add(name + ".ftl.stream_units", "1", "of these, under a stream of the host",
                 stream_units_);
  if (table_) {
    statistics.add(name + ".ftl.table_units", "1", "pages of the mapping table programmed",
                   table_units_);
  }
  statistics.add_level(name + ".ftl.slc_in_use", "1",
                       "superblocks that are used with one bit a cell",
                       [this] { return std::uint64_t{superblocks_.slc_used()}; });
  statistics.add(name + ".ftl.gc_units", "1", "4 KiB units programmed by garbage collection",
                 gc_units_);
  statistics.add(name + ".ftl.padding_units", "1",
                 "4 KiB units programmed without data, to fill a program", padding_units_);
  statistics.add(name + ".ftl.parity_units", "1", "4 KiB units of parity programmed",
                 parity_units_);
  statistics.add(name + ".ftl.failed_programs", "1", "programs that failed and were done again",
                 failed_programs_);
  statistics.add(name + ".ftl.strayed_units", "1",
                 "units programmed on another die than their address names", strayed_units_);
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
                       [this] { return mapped_units(); });
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
// victim, or for the worst one to come; and in any case one superblock for pages of the table.
bool Ftl::host_may_write(std::uint32_t lane) const {
  const std::uint32_t free = superblocks_.free_count();
  const std::uint32_t left = programs_left(Stream::kHost, lane);
  if (separate_) {
    if (left == 0 && free <= (table_ ? 2 : 1)) return false;
  } else {
    const std::uint64_t room = left + std::uint64_t{free} * data_programs();
    const std::uint64_t table = table_ ? data_programs() : 0;
    if (room <= collector_->programs_needed() + table) return false;
  }
  return free > gc_start_ || !collector_->moving() || collector_->host_within_share() ||
         collector_->gives_way();
}

bool Ftl::table_may_write() const {
  if (programs_left(Stream::kHost, table_lane()) > 0) return true;
  const std::uint32_t free = superblocks_.free_count();
  if (separate_) return free > 1;
  const std::uint64_t room = programs_left(Stream::kGc) + std::uint64_t{free} * data_programs();
  return free > 0 && room >= collector_->programs_needed() + data_programs();
}

void Ftl::release(std::uint32_t superblock) {
  Superblock& block = superblocks_[superblock];
  NVMESIM_ASSERT(block.readers > 0, "a superblock was released that was not held");
  if (--block.readers == 0 && block.state == SuperblockState::kErasing) {
    collector_->readers_left(superblock);
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

void Ftl::unmap(std::uint64_t unit) {
  const Place old = map_.unbind(unit);
  if (old == kNoPlace) return;
  superblocks_.valid_less(geometry_.superblock_of(old));
  if (is_page(unit)) {
    --mapped_pages_;
  } else {
    ++deallocated_units_;
  }
}

void Ftl::deallocate(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t end = first + count;
  if (first == 0 && count == geometry_.host_units) {
    deallocated_units_ += mapped_units();
    mapped_pages_ = 0;  // a table that says nothing goes with it
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
  if (table_space_) table_space_();
}

}  // namespace nvmesim::models
