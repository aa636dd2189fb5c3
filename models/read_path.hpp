// Host reads from the NAND: looks each part up, joins parts of one stripe into one array read (all
// planes at once), sends each unit over the channel as it is needed, checks its spare area, stamps
// where the time went. Two scheduler entries for a read of one unit.
// Units in the write buffer are served from there; units without data cost the look-up only.
#pragma once

#include <cstdint>

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
           DataStore& store, Delivery& delivery, base::StatisticsRegistry& statistics,
           const std::string& name);

  void start(MediaCommand& command, const WriteBuffer& buffer);
  void cancel(MediaCommand& command);
  // Reads a mapped unit for the media's own use (a merge): `done` when it is in the controller.
  void fetch(UnitId unit, base::Callback done);

 private:
  struct Unit {
    MediaPart* part = nullptr;  // none: fetch() or cancelled
    UnitId unit;
    UnitMap::Mapped mapped;
    MediaStatus status = MediaStatus::kOk;
    std::uint64_t found = UnitMap::kNoUnit;  // whose data the array gave
    base::Callback fetched;
    Unit* next = nullptr;
  };
  struct Job : DieJob {
    std::uint32_t stripe = 0;
    Unit* first = nullptr;
    Unit* last = nullptr;
  };

  Job* append(Job* job, Unit& unit, base::Time ready_at);
  void array_done(DieJob& job) override;
  void stamp(MediaPart& part, const DieJob& job, const Nand::Transfer& out) const;
  void deliver(std::uint64_t unit);
  Unit* take_unit(MediaPart* part, UnitId unit);

  const Geometry& geometry_;
  base::Scheduler& scheduler_;
  Nand& nand_;
  Ftl& ftl_;
  DataStore& store_;
  Delivery& delivery_;
  ObjectPool<Unit> units_;
  ObjectPool<Job> jobs_;
  std::uint64_t media_units_ = 0;
  std::uint64_t buffer_hits_ = 0;
  std::uint64_t unmapped_units_ = 0;
  std::uint64_t commands_ = 0;
  std::uint64_t unmapped_commands_ = 0;
};

}  // namespace nvmesim::models
