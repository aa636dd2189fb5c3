// GarbageCollector: collected superblocks are erased, or retired.
#include <algorithm>

#include "models/ftl/ftl.hpp"
#include "models/ftl/garbage_collector.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

void GarbageCollector::superblock_erased(Erasing& erasing) {
  const std::uint32_t superblock = erasing.superblock;
  bool bad = erasing.bad;
  if (const std::uint32_t suspect = ftl_.superblocks_[superblock].suspect; suspect != 0) {
    bad |= !ftl_.reliability_.take_spare(suspect - 1);
  }
  erasing_.erase(erasing_.begin() + (&erasing - erasing_.data()));
  ftl_.map_.erased(superblock);
  if (bad && may_retire()) {
    ftl_.superblocks_.retire(superblock);
  } else {
    ftl_.superblocks_.erased(superblock);
  }
  ++erased_;
  if (wear_gap_ != 0) level_wear();
  kick();
  ftl_.space_changed();
}

// Only while the rest can hold all logical units and still be collected.
bool GarbageCollector::may_retire() const {
  const std::uint64_t in_use = geometry_.superblocks - ftl_.superblocks_.retired_count() -
                               ftl_.slc_limit_ - (ftl_.lanes() - 1);
  return in_use > stop_at_ + 3 && (in_use - stop_at_ - 3) * most_valid() >= geometry_.logical_units;
}

void GarbageCollector::erase_drained() {
  for (std::size_t i = 0; i < draining_.size();) {
    const std::uint32_t superblock = draining_[i];
    if (ftl_.superblocks_[superblock].valid > 0) {
      ++i;
      continue;
    }
    draining_.erase(draining_.begin() + static_cast<std::ptrdiff_t>(i));
    ftl_.superblocks_[superblock].state = SuperblockState::kErasing;
    erasing_.push_back({superblock, false, 0, 0, false});
    if (ftl_.superblocks_[superblock].readers == 0) start_erase(erasing_.back());
  }
}

void GarbageCollector::readers_left(std::uint32_t superblock) {
  if (off_) return;
  Erasing* erasing = find_erasing(superblock);
  if (!erasing->started) start_erase(*erasing);
}

GarbageCollector::Erasing* GarbageCollector::find_erasing(std::uint32_t superblock) {
  const auto found = std::find_if(erasing_.begin(), erasing_.end(), [&](const Erasing& each) {
    return each.superblock == superblock;
  });
  NVMESIM_ASSERT(found != erasing_.end(), "a superblock that is not being erased");
  return &*found;
}

void GarbageCollector::start_erase(Erasing& erasing) {
  erasing.started = true;
  for (std::uint32_t i = 0; i < erase_parallel_; ++i) erase_next_die(erasing);
}

void GarbageCollector::erase_next_die(Erasing& erasing) {
  if (erasing.next_die == geometry_.dies) return;
  Erase* erase = erases_.take();
  erase->owner = this;
  erase->job_class = JobClass::kErase;
  erase->superblock = erasing.superblock;
  erase->die = erasing.next_die++;
  erase->row = 0;
  erase->ready_at = base::kTimeZero;
  nand_.submit(*erase);
}

}  // namespace nvmesim::models
