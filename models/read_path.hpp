// Host reads from the NAND: looks each part up, joins parts of one stripe into one array read (all
// planes at once), sends each unit over the channel as it is needed, checks its spare area, stamps
// where the time went. Two scheduler entries for a read of one unit.
// Units in the write buffer are served from there; units without data cost the look-up only.
// What is in the read cache is served from there; sequential streams are read ahead into it.
// A unit with too many bit errors is read again, and what no retry corrects is rebuilt from the
// other dies of its row if there is parity, else lost.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cache/dram.hpp"
#include "models/cache/read_cache.hpp"
#include "models/cache/read_streams.hpp"
#include "models/delivery.hpp"
#include "models/ftl/ftl.hpp"
#include "models/media.hpp"
#include "models/nand/nand.hpp"
#include "models/object_pool.hpp"
#include "models/store/data_store.hpp"

namespace nvmesim::models {

class WriteBuffer;

class ReadPath : private DieJobOwner {
 public:
  ReadPath(const Geometry& geometry, base::Scheduler& scheduler, Nand& nand, Ftl& ftl,
           Reliability& reliability, DataStore& store, Delivery& delivery, Dram& dram,
           const ReadCacheConfig& cache, base::StatisticsRegistry& statistics,
           const std::string& name);

  void start(MediaCommand& command, const WriteBuffer& buffer);
  void cancel(MediaCommand& command);
  // Reads a mapped unit for the media's own use (a merge, a page of the mapping table), whose
  // place is known from `looked_up` on: `done` when it is in the controller.
  void fetch(UnitId unit, base::Callback done, base::Time looked_up);
  void fetch(UnitId unit, base::Callback done) {
    fetch(unit, done, scheduler_.now() + ftl_.mapping_time());
  }
  // The read cache forgets units [first, first + count): their data changes.
  void forget(std::uint64_t first, std::uint64_t count) {
    if (cache_.enabled()) cache_.forget(first, count);
  }
  // Every command was cancelled before, and no fetch is wanted any more.
  void power_cut();

 private:
  struct Unit {
    MediaPart* part = nullptr;  // none: fetch() or cancelled
    UnitId unit;
    UnitMap::Mapped mapped;
    MediaStatus status = MediaStatus::kOk;
    std::uint64_t found = UnitMap::kNoUnit;  // whose data the array gave
    base::Callback fetched;
    Unit* next = nullptr;
    std::uint32_t retries = 0;              // still to come
    std::uint32_t pieces = 0;               // of a rebuild, still to come
    std::uint32_t epoch = 0;                // of a fetch, or of reading ahead
    std::uint32_t slot = ReadCache::kNone;  // of the read cache, where it loads
    bool tried = false;                     // what the reads need has been drawn
    bool soft = false;
    bool limited = false;  // gives up early
    bool lost = false;
  };
  struct Job : DieJob {
    Unit* rebuilt = nullptr;  // a piece of the row of that unit
    std::uint32_t stripe = 0;
    Unit* first = nullptr;
    Unit* last = nullptr;
  };

  bool serve_cached(MediaPart& part, base::Time looked_up);
  void read_ahead(const MediaCommand& command, const WriteBuffer& buffer);
  void settle_cache(Unit& unit);
  Job* append(Job* job, Unit& unit, base::Time ready_at);
  Job* take_job(std::uint32_t stripe, base::Time ready_at);
  void touch_plane(Job& job, const Unit& unit) const {
    if (nand_.independent_planes()) job.planes |= 1u << geometry_.plane_of(unit.mapped.place);
  }
  bool wanted(const Unit& unit) const;
  void array_done(DieJob& job) override;
  void job_dropped(DieJob& job) override;
  void piece_read(Job& job);
  void draw(Unit& unit);
  void read_again(Unit& unit);
  void rebuild(Unit& unit);
  void piece_done(std::uint64_t unit);
  void end_hold(Unit& unit);
  void stamp(MediaPart& part, const DieJob& job, const Nand::Transfer& out) const;
  void deliver(std::uint64_t unit);
  Unit* take_unit(MediaPart* part, UnitId unit);

  const Geometry& geometry_;
  base::Scheduler& scheduler_;
  Nand& nand_;
  Ftl& ftl_;
  Reliability& reliability_;
  DataStore& store_;
  Delivery& delivery_;
  Dram& dram_;
  base::Time cache_hit_;
  bool keep_reads_;
  ReadCache cache_;
  ReadStreams streams_;
  std::vector<Unit*> loaders_;  // by slot of the cache: what loads there
  ObjectPool<Unit> units_;
  ObjectPool<Job> jobs_;
  std::uint32_t epoch_ = 0;  // counts power cuts
  std::uint64_t media_units_ = 0;
  std::uint64_t buffer_hits_ = 0;
  std::uint64_t unmapped_units_ = 0;
  std::uint64_t commands_ = 0;
  std::uint64_t unmapped_commands_ = 0;
};

}  // namespace nvmesim::models
