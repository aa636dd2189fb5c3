// The mapping table of a drive without room for all of it: the table is cut into segments (the
// mapping of entries_per_page units each), a few are cached in the controller, more in memory that
// the host lends (models/borrowed_memory.hpp), all are in pages of the table on the medium
// (table_pages.hpp; a page holds one segment or several). A read waits until the segments of its
// units are cached: at once for one in the controller, a DMA round trip for one in host memory, a
// read of its page otherwise. A segment from host memory carries its number and is checked; what
// fails the check is read from its page. A segment whose page was never written says nothing and
// costs nothing.
//
// With write_back a write waits in the same way and leaves its segments changed, and so does a
// deallocation of what it covers in part, and the collector for what it has moved. A changed
// segment that leaves the cache is written (the host may take its memory back at any time); only
// when that has left the cache's memory something else is loaded in its room. Without write_back a
// page is written once, when the first unit in it is, and updates are taken as buffered.
//
// No deadlock: a load waits for room, room for a write of a page, that for a slot, given back by a
// program, which needs a place; the last ones of those can only be made by the collector, which
// waits for loads. So whenever writes of pages are stuck for a place, loads of the collector (and
// only these) go beyond the cache: they need a read and nothing else, and the collector goes on.
// What is beyond is worked off as soon as pages can be written.
//
// It knows which segments are where; the mapping itself is UnitMap's.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/borrowed_memory.hpp"
#include "models/ftl/map_cache_config.hpp"
#include "models/ftl/table_pages.hpp"
#include "models/ring.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::models {

class MapCache : public BorrowedMemoryUser, public TableUpdates {
 public:
  enum class Use : std::uint8_t {
    kLookUp,
    kChange,  // leaves its segments changed
    kTrim,    // the same of those that say something
  };
  // Units [first, first + count), whose mapping is needed, but for segments that lie wholly in
  // [gap, gap_end).
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint64_t gap = 0;
    std::uint64_t gap_end = 0;
  };

  // `units`: of the host.
  MapCache(const MapCacheConfig& config, std::uint64_t units, TablePages& pages,
           base::Scheduler& scheduler, base::StatisticsRegistry& statistics,
           const std::string& name);

  bool write_back() const { return write_back_; }
  // True if the segments of the range are all cached, or need not be. Otherwise `ready` comes from
  // an entry, once, when they were.
  bool ready_or_wait(const Range& range, Use use, std::uint64_t token, base::Callback ready);
  // Without write_back: units [first, first + count) are written.
  void written(std::uint64_t first, std::uint64_t count);
  // Units [first, first + count) are mapped no more: segments go, and pages of
  // which that is all.
  void unmapped(std::uint64_t first, std::uint64_t count);
  // Nobody waits for `token` any more; false if nobody did.
  bool forget(std::uint64_t token);
  // Power went, for the medium already: nothing is cached in the controller. What had changed
  // counts as brought back with the rest of the drive's state.
  void power_cut();

  void unit_moved(std::uint64_t unit, std::uint32_t superblock) override;
  void updates_follow() override;

  void lent(BorrowedMemory& memory, bool intact) override;
  void withdraw(base::Callback done) override;
  void dropped() override;

  // Segments in the controller, with those on their way in or out. Throws ModelBug if the books
  // contradict each other.
  std::size_t check_invariants() const;

 private:
  enum class State : std::uint8_t { kQueued, kFromHost, kFromPage, kCached, kLeaving };
  using Order = std::list<std::uint64_t>;  // most recently used first
  struct Segment {
    State state = State::kQueued;
    bool changed = false;
    bool urgent = false;  // queued: the collector waits for it
    bool wanted = false;  // leaving: to be loaded again
    bool fresh = false;   // who waits for it has not been told: it stays
    Order::iterator order;
  };
  struct Waiter {
    base::Callback ready;
    std::uint64_t token = 0;
    std::uint64_t next = 0;  // segment that it waits for
    std::uint64_t last = 0;
    std::uint64_t gap = 0;
    std::uint64_t gap_end = 0;
    Use use = Use::kLookUp;
  };

  std::uint64_t page_of(std::uint64_t segment) const { return segment / page_segments_; }
  std::uint64_t tagged(std::uint64_t number) const { return std::uint64_t{epoch_} << 32 | number; }
  std::uint64_t first_whole(std::uint64_t unit) const {
    return base::ceil_div(unit, segment_units_);
  }
  // The last segment of all may be short.
  std::uint64_t end_of_whole(std::uint64_t end) const {
    return end == units_ ? base::ceil_div(end, segment_units_) : end / segment_units_;
  }
  bool is_old(std::uint64_t tagged) const { return tagged >> 32 != epoch_; }
  static std::uint64_t number_of(std::uint64_t tagged) { return tagged & 0xFFFF'FFFF; }
  bool advance(Waiter& waiter);
  bool use(std::uint64_t number, Use use);
  void want(std::uint64_t number, bool urgent);
  void make_room();
  void pages_stuck();
  bool evict_one();
  void evict_changed(std::uint64_t number, Segment& segment);
  void drop_cached(std::map<std::uint64_t, Segment>::iterator found);
  void write_page(std::uint64_t number);
  bool needs_merge(std::uint64_t number) const;
  void page_merged(std::uint64_t tagged_segment);
  void page_left(std::uint64_t tagged_segment);
  void load_next();
  void load_urgent();
  void load(std::uint64_t number);
  void load_from_page(std::uint64_t number, Segment& segment);
  void page_read(std::uint64_t tagged_segment);
  void loaded(std::uint64_t number);
  void settle_soon();
  void settle();
  void settle_by_entry();
  void update(std::uint64_t number);
  void updated(std::uint64_t number);

  bool in_host(std::uint64_t number) const;
  void load_from_host(std::uint64_t number, Segment& segment);
  void from_host(std::uint64_t tagged_segment);
  void keep_in_host(std::uint64_t number, bool changed);
  void host_has_it(std::uint64_t);
  void host_access_ended();
  void give_back();

  base::Scheduler& scheduler_;
  TablePages& pages_;
  const std::uint64_t units_;
  const std::uint32_t segment_units_;
  const std::uint32_t segment_bytes_;
  const std::uint32_t page_segments_;
  const std::size_t capacity_;  // segments in the controller
  const std::size_t updates_at_a_time_;
  const bool write_back_;
  std::map<std::uint64_t, Segment> segments_;
  Order order_;                      // of those that are cached
  std::size_t used_ = 0;             // rooms: all segments but the queued ones
  std::size_t leaving_ = 0;          // of these, leaving
  std::list<std::uint64_t> queue_;   // for rooms
  std::set<std::uint64_t> writing_;  // pages
  std::list<Waiter> waiters_;
  Ring<std::uint64_t> loaded_;  // waiters have not been told
  bool settling_ = false;
  bool settle_pending_ = false;
  bool making_room_ = false;
  bool look_again_ = false;
  std::uint32_t epoch_ = 0;  // counts power cuts

  std::map<std::uint64_t, std::vector<std::uint32_t>> holds_;  // superblocks, by segment
  Ring<std::uint64_t> updates_;                                // segments, not begun
  std::set<std::uint64_t> updating_;

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
  std::uint64_t merges_ = 0;
  std::uint64_t host_errors_ = 0;
  std::uint64_t write_backs_ = 0;
  std::uint64_t updates_done_ = 0;
  std::uint64_t update_loads_ = 0;
  std::uint64_t most_ = 0;
};

}  // namespace nvmesim::models
