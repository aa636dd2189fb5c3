#include "device/range_locks.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

RangeLocks::RangeLocks(Core& core)
    : core_(core), on_(core.config.limits.awun != 0 || core.config.fuses != 0) {}

// Of AWUN, or of AWUPF if the host does not want more (feature 0Ah), and within a boundary.
bool RangeLocks::atomic(const Command& command, std::uint64_t lba, std::uint64_t blocks,
                        bool writes) const {
  const BlockLimitsConfig& limits = core_.config.limits;
  if (command.fused()) return true;
  if (!writes) return false;
  const bool less = core_.features.value(spec::FeatureId::kWriteAtomicityNormal) != 0;
  if (blocks > std::uint64_t{less ? limits.awupf : limits.awun} + 1) return false;
  if (limits.nabsn == 0) return true;
  const std::uint64_t size = std::uint64_t{limits.nabsn} + 1;
  const std::uint64_t shift = size - limits.nabo % size;
  return (lba + shift) / size == (lba + blocks - 1 + shift) / size;
}

// Two conflict if they share blocks, one of them writes and a write among them is atomic.
bool RangeLocks::blocked(std::size_t index) const {
  const Holder& mine = holders_[index];
  for (std::size_t i = 0; i < index; ++i) {
    const Holder& other = holders_[i];
    if (other.nsid != mine.nsid || other.end <= mine.first || mine.end <= other.first) continue;
    if ((mine.writes && (mine.atomic || other.atomic)) || (other.writes && other.atomic) ||
        (other.atomic && mine.writes)) {
      return true;
    }
  }
  return false;
}

void RangeLocks::enter(Command& command, std::uint64_t lba, std::uint64_t blocks, bool writes,
                       Command::Step step) {
  if (command.locked) {  // taken over from the first of its pair
    step(core_, command);
    return;
  }
  command.locked = true;
  Holder holder{&command, command.space->id,
                lba,      lba + blocks,
                writes,   atomic(command, lba, blocks, writes),
                true,     step};
  // Compare is there for the write behind it.
  if (command.fused()) holder.writes = true;
  holders_.push_back(holder);
  if (blocked(holders_.size() - 1)) {
    ++waits_;
    command.state = CommandState::kLocked;
    return;
  }
  holders_.back().waiting = false;
  step(core_, command);
}

void RangeLocks::hand_over(Command& from, Command& to) {
  for (Holder& holder : holders_) {
    if (holder.command == &from) holder.command = &to;
  }
  to.locked = from.locked;
  from.locked = false;
}

void RangeLocks::release(Command& command) {
  command.locked = false;
  const auto found = std::find_if(holders_.begin(), holders_.end(),
                                  [&](const Holder& holder) { return holder.command == &command; });
  if (found != holders_.end()) holders_.erase(found);
  if (!admitting_) admit();
}

// A step may end its command at once, so that the list changes under way.
void RangeLocks::admit() {
  admitting_ = true;
  for (std::size_t i = 0; i < holders_.size();) {
    if (!holders_[i].waiting || blocked(i)) {
      ++i;
      continue;
    }
    holders_[i].waiting = false;
    Command& command = *holders_[i].command;
    holders_[i].step(core_, command);
    i = 0;
  }
  admitting_ = false;
}

void RangeLocks::reset() {
  holders_.clear();
}

}  // namespace nvmesim::device
