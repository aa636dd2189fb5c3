#include "models/cache/nand_table.hpp"

#include <vector>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

NandTable::NandTable(const WriteBufferConfig& config, const Geometry& geometry,
                     base::Scheduler& scheduler, Ftl& ftl, ReadPath& reads, WriteBuffer& buffer)
    : scheduler_(scheduler),
      ftl_(ftl),
      reads_(reads),
      buffer_(buffer),
      first_unit_(geometry.host_units),
      pages_(geometry.logical_units - geometry.host_units),
      program_units_(geometry.program_units),
      slots_(2 * geometry.program_units),
      protected_(config.power_loss_protection),
      idle_time_(base::nanoseconds(std::uint64_t{config.idle_flush_us} * 1000)) {
  ftl_.set_table_space_listener(base::Callback::of<&NandTable::dispatch>(this));
}

bool NandTable::present(std::uint64_t page) const {
  const auto held = held_.find(page);
  if (held != held_.end() && held->second.wanted) return true;
  return ftl_.is_mapped(UnitId{first_unit_ + page});
}

void NandTable::read(std::uint64_t page, base::Callback done) {
  const auto held = held_.find(page);
  if (held != held_.end() && held->second.wanted) {
    scheduler_.at(scheduler_.now() + buffer_.hit_time(), done);
  } else {
    reads_.fetch(UnitId{first_unit_ + page}, done, scheduler_.now());
  }
}

void NandTable::write(std::uint64_t page, base::Callback done) {
  Held& held = held_[page];
  held.wanted = true;
  last_write_ = scheduler_.now();
  if (held.dirty) {
    arrive({page, done});
  } else if (used_ == slots_) {
    ++held.waiting;
    waiting_.push({page, done});
    if (stuck() && stuck_) stuck_();
  } else {
    accept({page, done});
  }
}

void NandTable::accept(const Write& write) {
  ++used_;
  arrive(write);
  make_dirty(write.page, held_[write.page]);
  dispatch();
  watch_idleness();
}

void NandTable::arrive(const Write& write) {
  const base::Time in = buffer_.take_in();
  if (write.done) scheduler_.at(in, write.done);
}

void NandTable::make_dirty(std::uint64_t page, Held& held) {
  held.dirty = true;
  dirty_.push(page);
}

void NandTable::serve_waiting() {
  while (!waiting_.empty()) {
    const Write& next = waiting_.front();
    Held& held = held_[next.page];
    if (!held.dirty && used_ == slots_) return;
    --held.waiting;
    const Write write = waiting_.pop();
    if (held.dirty) {
      arrive(write);
    } else {
      accept(write);
    }
  }
}

void NandTable::dispatch() {
  bool freed = false;
  while (!dirty_.empty() && (dirty_.size() >= program_units_ || to_drain_ > 0)) {
    if (!ftl_.table_may_write()) {
      if (stuck() && stuck_) stuck_();
      break;
    }
    Stripe* stripe = stripes_.take();
    stripe->units.clear();
    while (stripe->units.size() < program_units_ && !dirty_.empty()) {
      const std::uint64_t page = dirty_.pop();
      if (to_drain_ > 0) --to_drain_;
      Held& held = held_[page];
      held.dirty = false;
      if (!held.wanted) {
        --used_;
        freed = true;
        forget_if_gone(page);
        continue;
      }
      ++held.flushing;
      stripe->units.push_back({UnitId{first_unit_ + page}});
    }
    if (stripe->units.empty()) {
      stripes_.give(stripe);
    } else {
      stripe->stripe_owner = this;
      ftl_.program(*stripe, Stream::kHost, ftl_.table_lane(), 0);
    }
  }
  if (freed) serve_waiting();
}

void NandTable::watch_idleness() {
  if (scheduler_.pending(idle_timer_) || dirty_.empty()) return;
  idle_timer_ = scheduler_.at<&NandTable::idle>(scheduler_.now() + idle_time_, this);
}

void NandTable::idle() {
  if (dirty_.empty()) return;
  const base::Time due = last_write_ + idle_time_;
  if (due > scheduler_.now()) {
    idle_timer_ = scheduler_.at<&NandTable::idle>(due, this);
    return;
  }
  to_drain_ = dirty_.size();
  dispatch();
}

void NandTable::forget_if_gone(std::uint64_t page) {
  const auto held = held_.find(page);
  if (held->second.waiting == 0 && held->second.flushing == 0 && !held->second.dirty) {
    held_.erase(held);
  }
}

void NandTable::stripe_programmed(Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) {
    --held_[page_of(unit)].flushing;
    --used_;
    forget_if_gone(page_of(unit));
  }
  stripes_.give(&stripe);
  serve_waiting();
  dispatch();
}

// Power went while it was on its way; what a protected buffer has goes out again.
void NandTable::stripe_dropped(Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) {
    const std::uint64_t page = page_of(unit);
    Held& held = held_[page];
    --held.flushing;
    if (protected_ && held.wanted && !held.dirty) {
      make_dirty(page, held);
    } else {
      --used_;
      forget_if_gone(page);
    }
  }
  stripes_.give(&stripe);
}

void NandTable::drop(std::uint64_t first, std::uint64_t count) {
  for (auto held = held_.lower_bound(first); held != held_.end() && held->first - first < count;
       ++held) {
    held->second.wanted = false;
  }
  ftl_.deallocate(first_unit_ + first, count);
}

// What waited for a slot has not arrived. Nothing is being programmed any more.
void NandTable::power_cut() {
  scheduler_.cancel(idle_timer_);
  to_drain_ = 0;
  while (!waiting_.empty()) --held_[waiting_.pop().page].waiting;
  if (!protected_) {
    used_ -= static_cast<std::uint32_t>(dirty_.size());
    while (!dirty_.empty()) dirty_.pop();
  }
  for (auto held = held_.begin(); held != held_.end();) {
    NVMESIM_ASSERT(held->second.flushing == 0, "a page is programmed without power");
    held->second.dirty = held->second.dirty && protected_;
    held = held->second.dirty ? std::next(held) : held_.erase(held);
  }
}

void NandTable::power_on() {
  last_write_ = scheduler_.now();
  dispatch();
  watch_idleness();
}

void NandTable::save(StateWriter& out) const {
  std::vector<std::uint64_t> kept;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    if (held_.at(dirty_.at(i)).wanted) kept.push_back(dirty_.at(i));
  }
  out.number(kept.size());
  for (const std::uint64_t page : kept) out.number(page);
}

void NandTable::load(StateReader& in) {
  const std::uint64_t count = in.number("the number of buffered pages of the table", slots_);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t page = in.number("a buffered page of the table", pages_ - 1);
    if (held_.count(page) != 0) in.fail("a page of the table is buffered twice");
    make_dirty(page, held_[page]);
    ++used_;
  }
}

}  // namespace nvmesim::models
