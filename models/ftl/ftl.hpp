// The flash translation layer: maps units to places, gives out places for what is programmed,
// checks what is read, and keeps space free through its garbage collector.
//
// Host and collector each write into an open superblock of their own (or into one, if the streams
// are not separate; the host into several with host_streams), program by program. Which die a
// program goes to is the Allocation's: the next in the order, the one with the least before it, or
// the home of its data, which is then kept apart by home until it fills a program; a home whose
// share of the open superblock is full sends its data to the die with most room, so that free space
// stays one pool. The last free superblock is the collector's, so that it can always finish.
// Between gc_start_superblocks and that, the host is let on only as fast as the collection under
// way makes room.
//
// With map_cache pages of the mapping table are units behind those of the host and have an open
// superblock too; one more is kept free for it from the host (every threshold is one higher).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/cache/dram.hpp"
#include "models/ftl/deal.hpp"
#include "models/ftl/frontier.hpp"
#include "models/ftl/ftl_config.hpp"
#include "models/ftl/garbage_collector.hpp"
#include "models/ftl/gc_policy.hpp"
#include "models/ftl/initial_layout.hpp"
#include "models/ftl/stripe.hpp"
#include "models/ftl/superblocks.hpp"
#include "models/ftl/table_pages.hpp"
#include "models/ftl/unit_map.hpp"
#include "models/media_points.hpp"
#include "models/nand/nand.hpp"
#include "models/nand/reliability.hpp"
#include "models/object_pool.hpp"

namespace nvmesim::models {

class Ftl : private DieJobOwner {
 public:
  // Superblocks that the FTL needs beyond those that hold the logical units.
  // `table`: pages of the mapping table have an open one, too, and one that is kept for them.
  static std::uint32_t spare_superblocks(const FtlConfig& config, bool table) {
    return config.gc_stop_superblocks + 3 + config.slc_superblocks + config.host_streams - 1 +
           (table ? 2 : 0);
  }

  // `hold_old`: what a host write replaces must stay readable until the new data is programmed.
  Ftl(const FtlConfig& config, std::uint32_t cell_bits, const Geometry& geometry,
      base::Scheduler& scheduler, Nand& nand, Reliability& reliability, Dram& dram,
      MediaPoints& points, bool hold_old, std::uint64_t seed, base::StatisticsRegistry& statistics,
      const std::string& name);

  // Where a unit lies, as the mapping has it (and as a rule at ftl.map_lookup left it).
  UnitMap::Mapped look_up(UnitId unit) const;
  // Soon to be looked up: a hint to the processor.
  void prefetch(UnitId unit) const { map_.prefetch(unit.value()); }
  bool is_mapped(UnitId unit) const { return map_.find(unit.value()).place != kNoPlace; }
  base::Time mapping_time() const { return mapping_time_; }

  // Around each array read of a place: bars the erase of its superblock in between.
  void read_begins(Place place);
  // The host has a read for the array, now.
  void host_reads() { collector_->host_active(); }
  void read_ends(Place place);
  // How often the unit at `place` must be read, with reliability.bit_errors. Draws.
  Reliability::Outcome read_outcome(Place place, bool limited = false);
  // Whether the place is in a superblock that is used with one bit a cell.
  bool in_slc(Place place) const {
    return slc_most_ != 0 && superblocks_[geometry_.superblock_of(place)].slc;
  }
  // Whether the spare area at `place` names this unit as programmed under this mark. Counts.
  bool record_matches(UnitId unit, UnitMap::Mapped mapped);
  // The unit whose data lies at `place`; UnitMap::kNoUnit if none.
  std::uint64_t record(Place place) const { return map_.record(place); }

  bool host_may_write(std::uint32_t lane) const;
  // Of the host. The one behind them is for pages of the mapping table.
  std::uint32_t lanes() const {
    return static_cast<std::uint32_t>(frontiers_.size()) - (table_ ? 2 : 1);
  }
  std::uint32_t table_lane() const { return lanes(); }
  bool is_table_lane(std::uint32_t lane) const { return table_ && lane == table_lane(); }
  // Unlike the host's writes these are not held back to the pace of the collection: only the last
  // superblock is the collector's.
  bool table_may_write() const;
  // Where writes under a stream of the host go, 0 for none.
  std::uint32_t lane_of(std::uint16_t stream) const {
    return stream == 0 || lanes() == 1 ? 0 : 1 + (stream - 1) % (lanes() - 1);
  }
  // Data of one lane is kept apart in so many parts until each fills a program: one by home with
  // allocation by address; else what consecutive pages are dealt to.
  std::uint32_t parts() const { return by_address() ? geometry_.dies : deal_.inner; }
  // The part of a unit that is the so manieth to come.
  std::uint32_t part_of(UnitId unit, std::uint64_t arrival) const {
    const std::uint64_t order = by_address() ? unit.value() : arrival;
    return parts() == 1 ? 0 : deal_.program_of(order / geometry_.page_units, geometry_.planes);
  }
  // Called whenever a host write that was refused may have become possible.
  void set_space_listener(base::Callback listener) { space_ = listener; }
  void set_table_space_listener(base::Callback listener) { table_space_ = listener; }
  void set_table_updates(TableUpdates& updates) { table_updates_ = &updates; }
  // The superblock may not be erased, or once less.
  void hold(std::uint32_t superblock) { ++superblocks_[superblock].readers; }
  void release(std::uint32_t superblock);

  // Gives the stripe's units their places and programs them. The host's units are mapped there at
  // once (the buffer serves them until they are on the medium); moved ones when programmed. `part`:
  // of all its units.
  void program(Stripe& stripe, Stream stream, std::uint32_t lane, std::uint32_t part);
  // In two steps, for a copyback: the places of a program of the collector on the die, if it may
  // take that one now; and the program, from array_done() of the read that left the data there.
  bool reserve(Stripe& stripe, std::uint32_t die);
  // The die whose turn is next in the order.
  std::uint32_t next_die(Stream stream) const;
  void program_reserved(Stripe& stripe) { submit(stripe); }
  // Unmaps all units of [first, first + count).
  void deallocate(std::uint64_t first, std::uint64_t count);
  // Forgets what was on its way: host units lie again where they lay before (nowhere, if that was
  // not held), superblocks under collection are candidates again.
  void power_cut();
  void power_on();

  // Of the host.
  std::uint64_t mapped_units() const { return map_.mapped() - mapped_pages_; }
  const UnitMap& map() const { return map_; }
  const Superblocks& superblocks() const { return superblocks_; }
  const GarbageCollector& collector() const { return *collector_; }
  // Throws ModelBug if map, records, valid bits, counts and states contradict each other. Walks
  // every place: for tests and tools. `sample` > 1: of what never changed only one in so many.
  void check_invariants(std::uint32_t sample = 1) const;

 private:
  friend class GarbageCollector;
  friend class FtlState;
  // The programs of parity, which belong to nobody else.
  class ParityPrograms : public DieJobOwner {
   public:
    explicit ParityPrograms(Ftl& ftl) : ftl_(ftl) {}
    void start(std::uint32_t superblock, std::uint32_t number);

   private:
    struct Job : DieJob {
      std::uint32_t superblock = 0;
    };
    void array_done(DieJob& job) override;
    void job_dropped(DieJob& job) override { array_done(job); }
    Ftl& ftl_;
    ObjectPool<Job> jobs_;
  };

  void add_statistics(base::StatisticsRegistry& statistics, const std::string& name);
  std::uint64_t check_places(std::uint32_t superblock) const;
  std::uint64_t check_initial(std::uint32_t superblock, std::uint32_t sample) const;
  void check_valid_place(Place place) const;
  void check_states() const;
  void array_done(DieJob& job) override;
  void job_dropped(DieJob& job) override;
  void program_ended(std::uint32_t superblock);
  void place(Stripe& stripe, Place first);
  void submit(Stripe& stripe);
  bool failed(Stripe& stripe);
  void place_again(Stripe& stripe);
  std::size_t frontier_of(Stream stream, std::uint32_t lane) const {
    if (stream == Stream::kGc) return separate_ ? 1 : 0;
    return lane == 0 ? 0 : lane + 1;
  }
  bool by_address() const { return allocation_ == Allocation::by_address; }
  // Parts that the collector keeps apart: those of homes.
  std::uint32_t homes() const { return by_address() ? geometry_.dies : 1; }
  Frontier& opened(Stream stream, std::uint32_t lane);
  Place allocate(Stripe& stripe);
  Place take(Frontier& frontier, std::uint32_t turn);
  std::uint32_t choose_turn(const Frontier& frontier, const Stripe& stripe);
  std::uint32_t idlest(const Frontier& frontier) const;
  bool slc_allowed() const;
  void bind_host_units(Stripe& stripe);
  void release_old(const Stripe& stripe);
  void revert(Stripe& stripe);
  // For the collector: the unit moves from `old` to `place` unless it has changed meanwhile.
  void rebind(UnitId unit, Place old, Place place);
  bool is_page(std::uint64_t unit) const { return unit >= geometry_.host_units; }
  // Programs that can be given out without another superblock.
  std::uint32_t programs_left(Stream stream, std::uint32_t lane = 0) const;
  // Programs that a superblock takes, in its mode.
  std::uint32_t programs_of(std::uint32_t superblock) const {
    return superblocks_[superblock].slc ? slc_programs_ : geometry_.superblock_programs;
  }
  std::uint32_t rows_of(std::uint32_t superblock) const {
    return programs_of(superblock) / geometry_.dies;
  }
  std::uint32_t data_programs() const { return geometry_.data_units / geometry_.program_units; }
  Reliability::Age age_of(const Superblock& block) const;
  void unmap(std::uint64_t unit);
  void space_changed();

  const Geometry& geometry_;
  const Allocation allocation_;
  const Deal deal_;
  base::Scheduler& scheduler_;
  Nand& nand_;
  Reliability& reliability_;
  Dram& dram_;
  MediaPoints& points_;
  bool hold_old_;
  bool separate_;
  bool table_;  // pages of the mapping table are units here
  bool yields_;
  bool ages_;  // reads are counted by superblock
  base::Time mapping_time_;
  std::uint32_t gc_start_;
  std::uint32_t slc_limit_;  // out of the over-provisioning,
  std::uint32_t slc_most_;   // and with those that are used while there are free ones
  std::uint32_t slc_plenty_;
  std::uint32_t slc_programs_;
  InitialLayout layout_;
  std::unique_ptr<GcPolicy> policy_;
  UnitMap map_;
  Superblocks superblocks_;
  std::vector<Frontier> frontiers_;  // the host's, the collector's, the other lanes
  std::unique_ptr<GarbageCollector> collector_;
  std::vector<Stripe*> in_flight_;  // of the host, in the order of their beginning
  ParityPrograms parity_{*this};
  base::Callback space_;
  base::Callback table_space_;
  TableUpdates* table_updates_ = nullptr;
  std::uint32_t reads_open_ = 0;

  std::uint64_t host_units_ = 0;
  std::uint64_t slc_units_ = 0;
  std::uint64_t table_units_ = 0;
  std::uint64_t mapped_pages_ = 0;  // of the mapping table
  std::uint64_t stream_units_ = 0;
  std::uint64_t gc_units_ = 0;
  std::uint64_t padding_units_ = 0;
  std::uint64_t parity_units_ = 0;
  std::uint64_t failed_programs_ = 0;
  std::uint64_t strayed_units_ = 0;
  std::uint64_t deallocated_units_ = 0;
  std::uint64_t integrity_errors_ = 0;
};

}  // namespace nvmesim::models
