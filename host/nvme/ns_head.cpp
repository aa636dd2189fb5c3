#include "host/nvme/ns_head.hpp"

#include <utility>

namespace nvmesim::host {

NsHead::NsHead(std::string name, NsPath& path, Machine& machine)
    : name_(std::move(name)),
      path_(path),
      machine_(machine),
      requeue_(machine.scheduler(), base::Callback::of<&NsHead::requeue_work>(this)) {}

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

// Down the path; or it waits for one; or it fails.
void NsHead::start(Clone& clone) {
  if (path_.path_usable()) {
    told_ = false;
    return disk().submit(clone.bio);
  }
  if (!path_.path_may_return()) {
    machine_.log.print(PrintLevel::kWarning, "block {}: no available path - failing I/O", name_);
    return finish(clone, BlockStatus::kIoError);
  }
  if (!std::exchange(told_, true))
    machine_.log.print(PrintLevel::kWarning, "block {}: no usable path - requeuing I/O", name_);
  clone.next = nullptr;
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = &clone;
  last_waiting_ = &clone;
  ++waiting_;
}

void NsHead::ended(Clone& clone) {
  Bio& of = *clone.of;
  of.stages.append(clone.bio.stages);
  of.submit_cost = clone.bio.submit_cost;
  of.ended_in_block_layer = clone.bio.ended_in_block_layer;
  if (!std::exchange(clone.bio.path_error, false)) return finish(clone, clone.bio.status);
  ++failovers_;
  clone.bio.engine_cost = base::kTimeZero;  // the submitter has paid it
  clone.bio.plugged = false;
  clone.next = nullptr;
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = &clone;
  last_waiting_ = &clone;
  ++waiting_;
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

void NsHead::for_each_open(void (*visit)(void* context, const OpenBio& open), void* context) const {
  for (const Clone* clone = first_waiting_; clone != nullptr; clone = clone->next) {
    OpenBio open;
    open.bio = clone->of;
    open.submitted = clone->of->stages.start();
    open.stage = "a usable path";
    visit(context, open);
  }
  struct Outer {
    void (*visit)(void* context, const OpenBio& open);
    void* context;
  } outer{visit, context};
  disk().for_each_open(
      [](void* inner, const OpenBio& open) {
        OpenBio seen = open;
        const auto* clone = reinterpret_cast<const Clone*>(open.bio->user_data);
        if (clone != nullptr) seen.bio = clone->of;
        const auto& to = *static_cast<const Outer*>(inner);
        to.visit(to.context, seen);
      },
      &outer);
}

}  // namespace nvmesim::host
