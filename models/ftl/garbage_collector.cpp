#include "models/ftl/garbage_collector.hpp"

#include <algorithm>
#include <bit>

#include "models/ftl/ftl.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

GarbageCollector::GarbageCollector(const FtlConfig& config, const Geometry& geometry,
                                   base::Scheduler& scheduler, Nand& nand, Ftl& ftl,
                                   base::StatisticsRegistry& statistics, const std::string& name)
    : geometry_(geometry),
      scheduler_(scheduler),
      nand_(nand),
      ftl_(ftl),
      start_below_(config.gc_start_superblocks),
      stop_at_(config.gc_stop_superblocks),
      window_units_((config.gc_window_stripes == 0 ? 2 * geometry.dies : config.gc_window_stripes) *
                    geometry.stripe_units),
      erase_parallel_(std::min(config.erase_parallel_dies, geometry.dies)) {
  statistics.add(name + ".ftl.gc_runs", "1", "superblocks collected", runs_);
  statistics.add(name + ".ftl.erased_superblocks", "1", "superblocks erased", erased_);
}

bool GarbageCollector::wanted() {
  const std::uint32_t free = ftl_.superblocks_.free_count() + soon_free();
  if (free <= start_below_) running_ = true;
  if (free >= stop_at_) running_ = false;
  return running_;
}

void GarbageCollector::kick() {
  while (victim_ == kNone && wanted()) {
    if (!choose_victim()) return;
    read_on();
    finish_victim_if_done();
  }
}

// Takes only what gives back at least one stripe, and what surely fits into the places that the
// collector can have; if it does not fit now, an erase under way will make the room.
bool GarbageCollector::choose_victim() {
  const std::uint32_t stripe = geometry_.stripe_units;
  const auto pick = ftl_.policy_->pick(geometry_.superblock_units - stripe);
  if (!pick) return false;
  const std::uint32_t valid = ftl_.superblocks_[*pick].valid;
  const std::uint64_t room =
      ftl_.stripes_left(Stream::kGc) +
      std::uint64_t{ftl_.superblocks_.free_count()} * geometry_.superblock_stripes;
  if (base::ceil_div(valid, stripe) > room) return false;
  victim_ = *pick;
  victim_valid_ = valid;
  next_stripe_ = 0;
  units_settled_ = 0;
  host_since_victim_ = 0;
  ftl_.superblocks_.collect(victim_);
  ++runs_;
  return true;
}

// host : collected room = moved : to be moved, with a few stripes of slack.
bool GarbageCollector::host_within_share() const {
  const std::uint64_t gain = geometry_.superblock_units - victim_valid_;
  const std::uint64_t slack = 4 * geometry_.stripe_units;
  return host_since_victim_ * victim_valid_ <= units_settled_ * gain + slack * victim_valid_;
}

void GarbageCollector::read_on() {
  while (units_open_ < window_units_ && next_stripe_ < geometry_.superblock_stripes &&
         ftl_.superblocks_[victim_].valid > 0) {
    read_stripe(next_stripe_++);
  }
}

void GarbageCollector::read_stripe(std::uint32_t stripe) {
  const Place first = victim_ * geometry_.superblock_units + stripe * geometry_.stripe_units;
  Move* move = nullptr;
  for (std::uint32_t done = 0; done < geometry_.stripe_units; done += 64) {
    const std::uint32_t count = std::min(64u, geometry_.stripe_units - done);
    std::uint64_t bits = ftl_.map_.valid_bits(first + done, count);
    if (bits != 0 && move == nullptr) {
      move = moves_.take();
      move->units.clear();
    }
    for (; bits != 0; bits &= bits - 1) {
      const Place place = first + done + static_cast<std::uint32_t>(std::countr_zero(bits));
      move->units.push_back({UnitId{ftl_.map_.record(place)}, place});
    }
  }
  if (move == nullptr) return;
  units_open_ += static_cast<std::uint32_t>(move->units.size());
  ++moves_open_;
  const std::uint32_t number = geometry_.stripe_of(first);
  move->owner = this;
  move->job_class = JobClass::kGcRead;
  move->die = geometry_.die_of_stripe(number);
  move->row = geometry_.row_of_stripe(number);
  move->ready_at = base::kTimeZero;
  nand_.submit(*move);
}

void GarbageCollector::array_done(DieJob& job) {
  if (job.job_class == JobClass::kErase) {
    auto& erase = static_cast<Erase&>(job);
    Erasing* erasing = find_erasing(erase.superblock);
    erases_.give(&erase);
    if (++erasing->dies_done < geometry_.dies) {
      erase_next_die(*erasing);
      return;
    }
    const std::uint32_t superblock = erasing->superblock;
    erasing_.erase(erasing_.begin() + (erasing - erasing_.data()));
    ftl_.superblocks_.erased(superblock);
    ++erased_;
    kick();
    ftl_.space_changed();
    return;
  }
  auto& move = static_cast<Move&>(job);
  const auto bytes = static_cast<std::uint32_t>(move.units.size()) * kUnitBytes;
  const Nand::Transfer out = nand_.transfer_out(move.die, bytes, true);
  scheduler_.at<&GarbageCollector::moved_in>(out.decoded, this,
                                             reinterpret_cast<std::uint64_t>(&move));
}

// The data of a move is in the controller: on to the stripe that is being filled, without what was
// overwritten meanwhile.
void GarbageCollector::moved_in(std::uint64_t argument) {
  auto* move = reinterpret_cast<Move*>(argument);
  --moves_open_;
  for (const Stripe::Unit& unit : move->units) {
    if (!ftl_.map_.valid(unit.source)) {
      --units_open_;
      ++units_settled_;
      continue;
    }
    if (filling_ == nullptr) {
      filling_ = stripes_.take();
      filling_->units.clear();
    }
    filling_->units.push_back(unit);
    if (filling_->units.size() == geometry_.stripe_units) program_filling();
  }
  moves_.give(move);
  read_on();
  finish_victim_if_done();
  ftl_.space_changed();
}

void GarbageCollector::program_filling() {
  Stripe* stripe = filling_;
  filling_ = nullptr;
  stripe->stripe_owner = this;
  ftl_.program(*stripe, Stream::kGc);
}

void GarbageCollector::stripe_programmed(Stripe& stripe) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    ftl_.rebind(stripe.units[i].unit, stripe.units[i].source, stripe.first + i);
  }
  units_open_ -= count;
  units_settled_ += count;
  stripes_.give(&stripe);
  read_on();
  finish_victim_if_done();
  ftl_.space_changed();
}

void GarbageCollector::finish_victim_if_done() {
  if (victim_ == kNone || moves_open_ > 0) return;
  const bool all_read =
      next_stripe_ == geometry_.superblock_stripes || ftl_.superblocks_[victim_].valid == 0;
  if (!all_read) return;
  if (filling_ != nullptr) program_filling();
  if (units_open_ > 0) return;
  const std::uint32_t finished = victim_;
  victim_ = kNone;
  ftl_.superblocks_[finished].state = SuperblockState::kErasing;
  erasing_.push_back({finished, 0, 0, false});
  if (ftl_.superblocks_[finished].readers == 0) start_erase(erasing_.back());
  kick();
}

void GarbageCollector::readers_left(std::uint32_t superblock) {
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
