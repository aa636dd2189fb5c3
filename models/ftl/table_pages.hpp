// The pages of the mapping table on a medium: units like any other, numbered beyond the host's
// capacity (unit = units of the host + page). A medium keeps them; MapCache reads and writes them.
// Where the pages themselves lie stands in a global directory, four bytes for each 4 MiB of data,
// which is always in the controller: finding, moving or losing a page changes no page.
//
// Contract. Call-backs come from an entry; after power went the user ignores those of before.
#pragma once

#include <cstdint>

#include "models/media.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

inline constexpr std::uint32_t kMapEntryBytes = 4;
// Units whose mapping is in one page.
inline constexpr std::uint32_t kPageEntries = kUnitBytes / kMapEntryBytes;

// Pages that hold the mapping of units [0, units).
constexpr std::uint64_t table_pages(std::uint64_t units) {
  return base::ceil_div(units, kPageEntries);
}

class TablePages {
 public:
  virtual ~TablePages() = default;

  // Whether the page was ever written (or is on its way) and not dropped since.
  virtual bool present(std::uint64_t page) const = 0;
  // `done`: the page is in the controller.
  virtual void read(std::uint64_t page, base::Callback done) = 0;
  // `done` (may be empty): its data has left the cache's memory.
  virtual void write(std::uint64_t page, base::Callback done) = 0;
  // Pages [first, first + count) hold nothing any more.
  virtual void drop(std::uint64_t first, std::uint64_t count) = 0;

  // Whether writes wait for places that only the collector can make; `listener` is called whenever
  // that may have begun.
  virtual bool stuck() const { return false; }
  virtual void set_stuck_listener(base::Callback /*listener*/) {}
  // The superblock is not erased before as many releases as holds.
  virtual void hold(std::uint32_t /*superblock*/) {}
  virtual void release(std::uint32_t /*superblock*/) {}
};

// Who must hear of what the collector has moved.
class TableUpdates {
 public:
  virtual ~TableUpdates() = default;
  // A unit of the host was moved out of the superblock: its segment is to be changed before the
  // superblock is erased. Nothing happens before updates_follow().
  virtual void unit_moved(std::uint64_t unit, std::uint32_t superblock) = 0;
  virtual void updates_follow() = 0;
};

}  // namespace nvmesim::models
