// What the FTL knows of each superblock: state, valid units, readers, sequence, wear, age; and the
// list of free ones, used first in first out or, with dynamic wear levelling, least worn first.
// Tells the collection policy of every change to a closed superblock.
#pragma once

#include <cstdint>
#include <vector>

#include "models/ftl/gc_policy.hpp"
#include "models/ftl/initial_layout.hpp"
#include "models/nand/geometry.hpp"
#include "models/ring.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

enum class SuperblockState : std::uint8_t {
  kFree,
  kOpen,        // being written, or full with programs still running
  kClosed,      // a candidate for collection
  kSlc,         // closed with one bit a cell: waits to be folded
  kCollecting,  // its valid units are being moved
  kErasing,
  kRetired,  // a block of it is bad and no spare is left
};

struct Superblock {
  SuperblockState state = SuperblockState::kFree;
  bool full = false;                // open: no stripe is left
  std::uint32_t valid = 0;          // units
  std::uint32_t programs_open = 0;  // stripes on their way to the array
  std::uint32_t readers = 0;        // reads whose data has not left the array: they bar the erase
  std::uint32_t erases = 0;
  std::uint32_t reads = 0;     // array reads since its erase, counted with reliability only
  std::uint32_t suspect = 0;   // plane + 1 where a program failed: that block goes bad at its erase
  bool slc = false;            // used with one bit a cell
  bool queued = false;         // waits to be refreshed
  std::uint64_t sequence = 0;  // of its opening, unique in the drive's life
  base::Time opened_at{0};
};

class Superblocks {
 public:
  // `layout` says which are closed from the start.
  Superblocks(const Geometry& geometry, const InitialLayout& layout, GcPolicy& policy,
              bool least_worn_first);

  Superblock& operator[](std::uint32_t number) { return table_[number]; }
  const Superblock& operator[](std::uint32_t number) const { return table_[number]; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(table_.size()); }
  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }

  std::uint32_t open(base::Time now, bool slc);  // takes a free one; a bug if there is none
  void valid_more(std::uint32_t number);
  void valid_less(std::uint32_t number, std::uint32_t by = 1);
  // Closes it if it is full and its programs have ended; true if it did.
  bool close_if_done(std::uint32_t number);
  void collect(std::uint32_t number);
  // What was being collected is a candidate again.
  void uncollect(std::uint32_t number);
  void erased(std::uint32_t number);
  void retire(std::uint32_t number);
  std::uint32_t retired_count() const { return retired_; }
  std::uint32_t slc_used() const { return slc_used_; }
  // Full ones, oldest first.
  Ring<std::uint32_t>& slc_closed() { return slc_closed_; }

  // One byte that depends on when and where `place` was programmed: kept with the mapping, it
  // tells a current place from an older one of the same unit.
  std::uint8_t mark(Place place) const;
  static std::uint8_t initial_mark(const Geometry& geometry, Place place);

  // For a state that is loaded: the policy knows of no closed one; then of each.
  void forget_closed();
  void announce_closed(std::uint32_t number);

 private:
  friend class FtlState;
  static std::uint8_t mark_of(std::uint64_t sequence, std::uint32_t offset);

  const Geometry& geometry_;
  GcPolicy& policy_;
  std::vector<Superblock> table_;
  Ring<std::uint32_t> free_;
  Ring<std::uint32_t> slc_closed_;
  std::uint32_t slc_used_ = 0;
  bool least_worn_first_;
  std::uint32_t retired_ = 0;
  std::uint64_t next_sequence_;
};

}  // namespace nvmesim::models
