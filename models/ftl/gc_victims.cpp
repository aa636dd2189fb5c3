// GarbageCollector: which superblock is collected, refreshed, folded or moved next.
#include <algorithm>

#include "models/ftl/ftl.hpp"
#include "models/ftl/garbage_collector.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

bool GarbageCollector::wanted() {
  const std::uint32_t free = ftl_.superblocks_.free_count() + soon_free();
  if (free <= start_below_) running_ = true;
  if (free >= stop_at_) running_ = false;
  return running_;
}

// By home each of the programs but one may be the last of its home, with a single unit.
std::uint64_t GarbageCollector::programs_for(std::uint32_t superblock) const {
  const std::uint64_t units = std::uint64_t{ftl_.superblocks_[superblock].valid} + filling_units_;
  return base::ceil_div(units, geometry_.program_units) + ftl_.homes() - 1;
}

bool GarbageCollector::fits(std::uint32_t superblock) const {
  return programs_for(superblock) <=
         ftl_.programs_left(Stream::kGc) +
             std::uint64_t{ftl_.superblocks_.free_count()} * ftl_.data_programs();
}

// So that what it takes to move it is at least a program less than what it gives.
std::uint32_t GarbageCollector::most_valid() const {
  return geometry_.data_units - ftl_.homes() * geometry_.program_units;
}

// Takes only what gives back at least one program, and what surely fits into the places that the
// collector can have; if it does not fit now, an erase under way will make the room.
bool GarbageCollector::choose_victim() {
  // What a dynamic SLC cache took gives back most.
  if (ftl_.superblocks_.slc_used() > ftl_.slc_limit_ && choose_fold()) return true;
  const auto pick = ftl_.policy_->pick(most_valid());
  if (!pick) return choose_fold();
  if (!fits(*pick)) return false;
  take_victim(*pick, Cause::kSpace);
  return true;
}

// The oldest superblock of the SLC cache moves to where cells hold all their bits.
bool GarbageCollector::choose_fold() {
  Ring<std::uint32_t>& full = ftl_.superblocks_.slc_closed();
  if (full.empty() || (!running_ && full.size() < fold_start_)) return false;
  if (!fits(full.front())) return false;
  take_victim(full.pop(), Cause::kFold);
  ++folds_;
  return true;
}

// While space is wanted but not urgent, every other one may be something else: a host that goes on
// writing must not put it off for ever.
bool GarbageCollector::choose_between() {
  if (cause_ != Cause::kSpace || ftl_.superblocks_.free_count() <= urgent_) return false;
  if (choose_wish()) return true;
  return ftl_.superblocks_.slc_closed().size() >= fold_start_ && choose_fold();
}

// What need not give back anything is moved only while two superblocks are free, and into what the
// host cannot take meanwhile: it is refused the last one.
bool GarbageCollector::choose_wish() {
  while (!wishes_.empty() && ftl_.superblocks_.free_count() >= 2) {
    const Wish wish = wishes_.front();
    const bool closed = ftl_.superblocks_[wish.superblock].state == SuperblockState::kClosed;
    const std::uint64_t room = ftl_.programs_left(Stream::kGc) + ftl_.data_programs();
    if (closed && programs_for(wish.superblock) > room) return false;
    wishes_.pop();
    ftl_.superblocks_[wish.superblock].queued = false;
    if (!closed) continue;
    take_victim(wish.superblock, wish.cause);
    ++(wish.cause == Cause::kRefresh ? refreshes_ : wear_moves_);
    return true;
  }
  return false;
}

void GarbageCollector::take_victim(std::uint32_t superblock, Cause cause) {
  victim_ = superblock;
  cause_ = cause;
  victim_valid_ = ftl_.superblocks_[superblock].valid;
  next_stripe_ = 0;
  first_stripe_ = 0;
  if (copyback_ && ftl_.allocation_ == Allocation::in_order) {  // so that whole stripes meet their
                                                                // own die in the order of writing
    const std::uint32_t die = ftl_.next_die(Stream::kGc);
    while (geometry_.die_of_stripe(first_stripe_) != die) ++first_stripe_;
  }
  units_before_ = units_open_;
  units_settled_ = 0;
  host_since_victim_ = 0;
  ftl_.superblocks_.collect(victim_);
  ++runs_;
}

void GarbageCollector::refresh(std::uint32_t superblock) {
  ftl_.superblocks_[superblock].queued = true;
  wishes_.push({superblock, Cause::kRefresh});
  kick();
}

// What never changes lies where nothing is ever erased: it is moved when the gap is too wide.
void GarbageCollector::level_wear() {
  const Superblocks& blocks = ftl_.superblocks_;
  std::uint32_t most = 0;
  std::uint32_t least = kNone;
  for (std::uint32_t i = 0; i < blocks.count(); ++i) {
    most = std::max(most, blocks[i].erases);
    if (blocks[i].state != SuperblockState::kClosed || blocks[i].queued) continue;
    if (least == kNone || blocks[i].erases < blocks[least].erases) least = i;
  }
  if (least == kNone || most - blocks[least].erases <= wear_gap_) return;
  for (std::size_t i = 0; i < wishes_.size(); ++i) {
    if (wishes_.at(i).cause == Cause::kWear) return;  // one at a time
  }
  ftl_.superblocks_[least].queued = true;
  wishes_.push({least, Cause::kWear});
}

}  // namespace nvmesim::models
