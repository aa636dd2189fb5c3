// The mapping table of a drive without room for all of it: the table is cut into segments (the
// mapping of entries_per_page units each), a few are cached in the controller, more in memory that
// the host lends (models/borrowed_memory.hpp), all are on the NAND. A read waits until the segments
// of its units are cached: at once for one in the controller, a DMA round trip for one in host
// memory, a read of the NAND otherwise. A segment from host memory carries its number and is
// checked; what fails the check is read from the NAND.
//
// With write_back a write waits in the same way and leaves its segments changed. A changed segment
// that leaves the controller is written to the NAND (the host may take back its memory at any
// time), and what takes its place is read after that. Without, updates are taken as buffered.
//
// It models time only: the mapping itself is UnitMap's.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/borrowed_memory.hpp"
#include "models/ftl/map_cache_config.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::models {

class MapCache : public BorrowedMemoryUser {
 public:
  static constexpr std::uint32_t kEntryBytes = 4;

  MapCache(const MapCacheConfig& config, base::Scheduler& scheduler,
           base::StatisticsRegistry& statistics, const std::string& name);

  bool write_back() const { return write_back_; }
  // True if the segments of [first, first + count) units are all cached. Otherwise `ready` comes
  // from an entry, once, when they were. `change`: for a write, with write_back.
  bool ready_or_wait(std::uint64_t first, std::uint64_t count, bool change, std::uint64_t token,
                     base::Callback ready);
  // Nobody waits for `token` any more; false if nobody did.
  bool forget(std::uint64_t token);
  // Power went: nothing is cached in the controller. What had changed counts as brought back with
  // the rest of the drive's state.
  void power_cut();

  void lent(BorrowedMemory& memory, bool intact) override;
  void withdraw(base::Callback done) override;
  void dropped() override;

 private:
  enum class Load : std::uint8_t { kNone, kFromHost, kFromNand };
  struct Waiter {
    base::Callback ready;
    std::uint64_t token = 0;
    std::uint64_t next = 0;  // segment that it waits for
    std::uint64_t last = 0;
    bool change = false;
  };
  using Order = std::list<std::uint64_t>;  // most recently used first

  bool cached(std::uint64_t segment) const { return places_.count(segment) != 0; }
  void touch(std::uint64_t segment);
  base::Time evict();
  void load(std::uint64_t segment);
  void load_from_nand(std::uint64_t segment);
  void read_nand(std::uint64_t segment);
  void loaded(std::uint64_t segment);
  void from_host(std::uint64_t segment);
  void written(std::uint64_t slot);
  void keep_in_host(std::uint64_t segment, bool changed);
  void host_access_ended();
  void give_back();
  bool advance(Waiter& waiter);

  base::Scheduler& scheduler_;
  const std::uint32_t segment_units_;
  const std::uint32_t segment_bytes_;
  const std::size_t capacity_;  // segments in the controller
  const base::Time read_time_;
  const bool write_back_;
  const base::Time write_time_;
  std::vector<base::Timeline> readers_;  // reads of the NAND at a time
  std::vector<base::Timeline> writers_;
  std::set<std::uint64_t> changed_;  // of those in the controller
  Order order_;
  std::map<std::uint64_t, Order::iterator> places_;
  std::map<std::uint64_t, Load> loading_;
  std::list<Waiter> waiters_;

  BorrowedMemory* memory_ = nullptr;
  bool withdrawing_ = false;
  base::Callback withdrawn_;
  std::uint32_t host_accesses_ = 0;
  std::vector<std::uint64_t> slots_;  // segment kept in a page of host memory, + 1; 0 = none
  std::map<std::uint64_t, base::BufferRef> arriving_;
  base::BufferPool buffers_;

  std::uint64_t hits_ = 0;
  std::uint64_t host_hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t host_errors_ = 0;
  std::uint64_t write_backs_ = 0;
};

}  // namespace nvmesim::models
