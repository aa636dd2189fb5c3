// The flash translation layer: maps units to places, gives out places for what is programmed,
// checks what is read, and keeps space free through its garbage collector.
//
// Host and collector each write into an open superblock of their own, stripe by stripe round all
// channels and dies. The last free superblock is the collector's, so that it can always finish.
// Between gc_start_superblocks and that, the host is let on only as fast as the collection under
// way makes room.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "models/ftl/ftl_config.hpp"
#include "models/ftl/garbage_collector.hpp"
#include "models/ftl/gc_policy.hpp"
#include "models/ftl/stripe.hpp"
#include "models/ftl/superblocks.hpp"
#include "models/ftl/unit_map.hpp"
#include "models/media_points.hpp"
#include "models/nand/nand.hpp"

namespace nvmesim::models {

class Ftl : private DieJobOwner {
 public:
  // Superblocks that the FTL needs beyond those that hold the logical units.
  static std::uint32_t spare_superblocks(const FtlConfig& config) {
    return config.gc_stop_superblocks + 3;
  }

  Ftl(const FtlConfig& config, const Geometry& geometry, base::Scheduler& scheduler, Nand& nand,
      MediaPoints& points, base::StatisticsRegistry& statistics, const std::string& name);

  // Where a unit lies, as the mapping has it (and as a rule at ftl.map_lookup left it).
  UnitMap::Mapped look_up(UnitId unit) const;
  bool is_mapped(UnitId unit) const { return map_.find(unit.value()).place != kNoPlace; }
  base::Time mapping_time() const { return mapping_time_; }

  // Around each array read of a place: bars the erase of its superblock in between.
  void read_begins(Place place) { ++superblocks_[geometry_.superblock_of(place)].readers; }
  void read_ends(Place place);
  // Whether the spare area at `place` names this unit as programmed under this mark. Counts.
  bool record_matches(UnitId unit, UnitMap::Mapped mapped);
  // The unit whose data lies at `place`; UnitMap::kNoUnit if none.
  std::uint64_t record(Place place) const { return map_.record(place); }

  bool host_may_write() const;
  // Called whenever a host write that was refused may have become possible.
  void set_space_listener(base::Callback listener) { space_ = listener; }

  // Gives the stripe's units their places and programs them. The host's units are mapped there at
  // once (the buffer serves them until they are on the medium); moved ones when programmed.
  void program(Stripe& stripe, Stream stream);
  // Unmaps all units of [first, first + count).
  void deallocate(std::uint64_t first, std::uint64_t count);

  std::uint64_t mapped_units() const { return map_.mapped(); }
  const UnitMap& map() const { return map_; }
  const Superblocks& superblocks() const { return superblocks_; }
  const GarbageCollector& collector() const { return *collector_; }
  // Throws ModelBug if map, records, valid bits, counts and states contradict each other. Walks
  // every place: for tests on small geometries.
  void check_invariants() const;

 private:
  friend class GarbageCollector;
  struct Frontier {
    std::uint32_t superblock = 0;
    std::uint32_t next_stripe = 0;  // in the superblock
    bool open = false;
  };

  void array_done(DieJob& job) override;
  Place allocate(Stream stream);
  void bind_host_units(const Stripe& stripe);
  // For the collector: the unit moves from `old` to `place` unless it has changed meanwhile.
  void rebind(UnitId unit, Place old, Place place);
  std::uint32_t stripes_left(Stream stream) const;
  void unmap(std::uint64_t unit);
  void space_changed();

  const Geometry& geometry_;
  Nand& nand_;
  MediaPoints& points_;
  base::Time mapping_time_;
  std::uint32_t gc_start_;
  std::unique_ptr<GcPolicy> policy_;
  UnitMap map_;
  Superblocks superblocks_;
  std::array<Frontier, kStreams> frontiers_;
  std::unique_ptr<GarbageCollector> collector_;
  base::Callback space_;

  std::uint64_t host_units_ = 0;
  std::uint64_t gc_units_ = 0;
  std::uint64_t padding_units_ = 0;
  std::uint64_t deallocated_units_ = 0;
  std::uint64_t integrity_errors_ = 0;
};

}  // namespace nvmesim::models
