#include "host/nvme/ns_head.hpp"

#include <algorithm>
#include <utility>

namespace nvmesim::host {

NsHead::NsHead(std::string name, const IoPolicy& policy, Machine& machine)
    : MachineDisk(machine),
      name_(std::move(name)),
      policy_(policy),
      requeue_(machine.scheduler(), base::Callback::of<&NsHead::requeue_work>(this)) {}

// --- paths

void NsHead::add_path(NsPath& path) {
  paths_.push_back(&path);
}

void NsHead::remove_path(NsPath& path) {
  std::erase(paths_, &path);
  forget_current(path);
}

void NsHead::forget_current(const NsPath& path) {
  if (current_ == &path) current_ = nullptr;
}

bool NsHead::has(const NsPath* path) const {
  return std::find(paths_.begin(), paths_.end(), path) != paths_.end();
}

void NsHead::set_limits(const BlockLimits& limits, std::uint64_t capacity_sectors, bool several) {
  const BlockLimits before = limits_;
  limits_ = limits;
  capacity_sectors_ = capacity_sectors;
  const bool first = !std::exchange(has_limits_, true);
  if (first || !several) return;
  limits_.max_sectors = std::min(limits_.max_sectors, before.max_sectors);
  limits_.max_segments = std::min(limits_.max_segments, before.max_segments);
  limits_.max_discard_segments =
      std::min(limits_.max_discard_segments, before.max_discard_segments);
  limits_.max_discard_sectors = std::min(limits_.max_discard_sectors, before.max_discard_sectors);
  limits_.max_write_zeroes_sectors =
      std::min(limits_.max_write_zeroes_sectors, before.max_write_zeroes_sectors);
}

// The first path that the drive calls optimized; without one the first that works at all. All
// controllers are at the same distance: that of the drive's node.
NsPath* NsHead::select() {
  NsPath* fallback = nullptr;
  for (NsPath* path : paths_) {
    if (path->path_disabled()) continue;
    const PathAccess access = path->path_access();
    if (access == PathAccess::kOptimized) return current_ = path;
    if (access == PathAccess::kNonOptimized && fallback == nullptr) fallback = path;
  }
  if (fallback != nullptr) current_ = fallback;
  return fallback;
}

// The next optimized path behind the one used last; or that one again; or one that works at all.
NsPath* NsHead::next_path(NsPath& old) {
  if (paths_.size() == 1) return old.path_disabled() ? nullptr : &old;
  const auto at =
      static_cast<std::size_t>(std::find(paths_.begin(), paths_.end(), &old) - paths_.begin());
  NsPath* found = nullptr;
  for (std::size_t i = 1; i < paths_.size(); ++i) {
    NsPath* path = paths_[(at + i) % paths_.size()];
    if (path->path_disabled()) continue;
    const PathAccess access = path->path_access();
    if (access == PathAccess::kOptimized) return current_ = path;
    if (access == PathAccess::kNonOptimized) found = path;
  }
  if (!old.path_disabled()) {
    const PathAccess access = old.path_access();
    if (access == PathAccess::kOptimized) return &old;
    if (access == PathAccess::kNonOptimized && found == nullptr) return &old;
  }
  if (found != nullptr) current_ = found;
  return found;
}

NsPath* NsHead::find_path() {
  if (current_ == nullptr) return select();
  if (policy_ == IoPolicy::round_robin) return next_path(*current_);
  const bool good = current_->path_live() && !current_->path_disabled() &&
                    current_->path_access() == PathAccess::kOptimized;
  return good ? current_ : select();
}

bool NsHead::any_may_return() const {
  return std::any_of(paths_.begin(), paths_.end(),
                     [](const NsPath* path) { return path->path_may_return(); });
}

// --- bios

NsHead::Clone& NsHead::take() {
  if (free_ == nullptr) {
    Clone& made = clones_.emplace_back();
    made.head = this;
    return made;
  }
  return *std::exchange(free_, free_->next);
}

void NsHead::submit(Bio& bio) {
  bio.stages.open(machine_.now());
  Clone& clone = take();
  clone.of = &bio;
  clone.bio.op = bio.op;
  clone.bio.sector = bio.sector;
  clone.bio.sectors = bio.sectors;
  clone.bio.fua = bio.fua;
  clone.bio.preflush = bio.preflush;
  clone.bio.sync = bio.sync;
  clone.bio.write_hint = bio.write_hint;
  clone.bio.polled = bio.polled;
  clone.bio.plugged = bio.plugged;
  clone.bio.buffer = bio.buffer;
  clone.bio.pieces = bio.pieces;
  clone.bio.cpu = bio.cpu;
  clone.bio.engine_cost = bio.engine_cost;
  clone.bio.failover = true;
  clone.bio.path_error = false;
  clone.bio.done = base::Callback::of<&Clone::ended>(&clone);
  clone.bio.user_data = reinterpret_cast<std::uint64_t>(&clone);
  start(clone);
}

// Down a path; or it waits for one; or it fails.
void NsHead::start(Clone& clone) {
  clone.path = find_path();
  if (clone.path != nullptr) {
    told_ = false;
    clone.path->path_disk().submit(clone.bio);
    // The end of a batch is the end of it on all paths.
    if (!clone.bio.plugged && paths_.size() > 1)
      for (NsPath* other : paths_)
        if (other != clone.path) other->path_disk().unplug(clone.bio.cpu);
    return;
  }
  if (!any_may_return()) {
    machine_.log.print(PrintLevel::kWarning, "block {}: no available path - failing I/O", name_);
    return finish(clone, BlockStatus::kIoError);
  }
  if (!std::exchange(told_, true))
    machine_.log.print(PrintLevel::kWarning, "block {}: no usable path - requeuing I/O", name_);
  wait(clone);
}

void NsHead::wait(Clone& clone) {
  clone.next = nullptr;
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = &clone;
  last_waiting_ = &clone;
  ++waiting_;
}

void NsHead::unplug(CpuId cpu) {
  for (NsPath* path : paths_) path->path_disk().unplug(cpu);
}

void NsHead::ended(Clone& clone) {
  Bio& of = *clone.of;
  of.stages.append(clone.bio.stages);
  of.submit_cost = clone.bio.submit_cost;
  of.ended_in_block_layer = clone.bio.ended_in_block_layer;
  // On its way down it may have met the disk of a path that has been taken away meanwhile.
  const bool came_late =
      clone.bio.status == BlockStatus::kIoError && clone.bio.request == nullptr && !has(clone.path);
  if (!std::exchange(clone.bio.path_error, false) && !came_late)
    return finish(clone, clone.bio.status);
  clone.bio.engine_cost = base::kTimeZero;  // the submitter has paid it
  clone.bio.plugged = false;
  clone.bio.polled = false;
  wait(clone);
  kick();
}

void NsHead::finish(Clone& clone, BlockStatus status) {
  Bio& of = *clone.of;
  // What it waited for a path that never came.
  if (of.stages.last() != machine_.now()) of.stages.stamp(base::Stage::kRequeue, machine_.now());
  of.status = status;
  clone.next = free_;
  free_ = &clone;
  of.done();
}

void NsHead::kick() {
  if (!requeue_.pending()) requeue_.modify(machine_.now());
}

void NsHead::requeue_work() {
  Clone* clone = std::exchange(first_waiting_, nullptr);
  last_waiting_ = nullptr;
  waiting_ = 0;
  while (clone != nullptr) {
    Clone& next = *std::exchange(clone, clone->next);
    next.of->stages.stamp(base::Stage::kRequeue, machine_.now());
    start(next);
  }
}

// --- observation

std::uint64_t NsHead::waiting_for_tag() const {
  std::uint64_t sum = 0;
  for (NsPath* path : paths_) sum += path->path_disk().waiting_for_tag();
  return sum;
}

// Oldest first over all paths and what waits for one.
void NsHead::for_each_open(void (*visit)(void* context, const OpenBio& open), void* context) const {
  std::vector<OpenBio> all;
  for (const Clone* clone = first_waiting_; clone != nullptr; clone = clone->next) {
    OpenBio open;
    open.bio = clone->of;
    open.stage = "a usable path";
    all.push_back(open);
  }
  for (NsPath* path : paths_) {
    path->path_disk().for_each_open(
        [](void* list, const OpenBio& open) {
          OpenBio seen = open;
          const auto* clone = reinterpret_cast<const Clone*>(open.bio->user_data);
          // The search for partitions is a bio of the path itself where there is no head yet.
          if (clone != nullptr) seen.bio = clone->of;
          static_cast<std::vector<OpenBio>*>(list)->push_back(seen);
        },
        &all);
  }
  for (OpenBio& open : all) open.submitted = open.bio->stages.start();
  std::stable_sort(all.begin(), all.end(), [](const OpenBio& one, const OpenBio& other) {
    return one.submitted < other.submitted;
  });
  for (const OpenBio& open : all) visit(context, open);
}

}  // namespace nvmesim::host
