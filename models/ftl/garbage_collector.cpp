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
      window_units_(
          std::max((config.gc_window_stripes == 0 ? 2 * geometry.dies : config.gc_window_stripes) *
                       geometry.stripe_units,
                   geometry.program_units)),
      erase_parallel_(std::min(config.erase_parallel_dies, geometry.dies)),
      urgent_(config.gc_urgent_superblocks),
      yields_(config.gc_yields_to_reads),
      wear_gap_(config.static_wear_gap),
      fold_start_(config.slc_fold_start) {
  statistics.add(name + ".ftl.gc_runs", "1", "superblocks collected", runs_);
  statistics.add(name + ".ftl.erased_superblocks", "1", "superblocks erased", erased_);
  statistics.add(name + ".ftl.refreshes", "1",
                 "superblocks written anew for reads, retention or a failed program", refreshes_);
  statistics.add(name + ".ftl.refresh_units", "1", "of gc_units, for that", refresh_units_);
  statistics.add(name + ".ftl.folds", "1", "superblocks of the SLC cache that were folded", folds_);
  statistics.add(name + ".ftl.fold_units", "1", "of gc_units, for that", fold_units_);
  statistics.add(name + ".ftl.wear_moves", "1", "superblocks moved to level wear", wear_moves_);
  statistics.add(name + ".ftl.wear_units", "1", "of gc_units, for that", wear_units_);
}

bool GarbageCollector::wanted() {
  const std::uint32_t free = ftl_.superblocks_.free_count() + soon_free();
  if (free <= start_below_) running_ = true;
  if (free >= stop_at_) running_ = false;
  return running_;
}

void GarbageCollector::kick() {
  if (off_) return;
  if (victim_ != kNone && yields_) read_on();
  erase_drained();
  while (victim_ == kNone) {
    if (wanted()) {
      if (!choose_victim()) {
        flush_if_stuck();
        return;
      }
    } else if (!choose_wish() && !choose_fold()) {
      return;
    }
    read_on();
    finish_victim_if_done();
  }
}

bool GarbageCollector::fits(std::uint32_t superblock) const {
  const std::uint64_t room = ftl_.programs_left(Stream::kGc) +
                             std::uint64_t{ftl_.superblocks_.free_count()} * ftl_.data_programs();
  const std::size_t waiting = filling_ != nullptr ? filling_->units.size() : 0;
  return base::ceil_div(ftl_.superblocks_[superblock].valid + waiting, geometry_.program_units) <=
         room;
}

// Takes only what gives back at least one program, and what surely fits into the places that the
// collector can have; if it does not fit now, an erase under way will make the room.
bool GarbageCollector::choose_victim() {
  const auto pick = ftl_.policy_->pick(geometry_.data_units - geometry_.program_units);
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

// What need not give back anything is moved only while two superblocks are free.
bool GarbageCollector::choose_wish() {
  while (!wishes_.empty() && ftl_.superblocks_.free_count() >= 2) {
    const Wish wish = wishes_.front();
    const bool closed = ftl_.superblocks_[wish.superblock].state == SuperblockState::kClosed;
    if (closed && !fits(wish.superblock)) return false;
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

void GarbageCollector::host_is_quiet() {
  if (off_ || victim_ == kNone) return;
  read_on();
  finish_victim_if_done();
}

bool GarbageCollector::gives_way() const {
  return yields_ && ftl_.reads_open_ > 0 && ftl_.superblocks_.free_count() > urgent_;
}

std::uint64_t GarbageCollector::programs_needed() const {
  if (victim_ == kNone) return ftl_.data_programs();
  const std::uint32_t left = victim_valid_ - std::min(victim_valid_, units_settled_);
  return base::ceil_div(left, geometry_.program_units) + 1;
}

// host : collected room = moved : to be moved, with a few stripes of slack.
bool GarbageCollector::host_within_share() const {
  const std::uint64_t gain = geometry_.data_units - victim_valid_;
  const std::uint64_t slack = 4 * geometry_.program_units;
  return host_since_victim_ * victim_valid_ <= units_settled_ * gain + slack * victim_valid_;
}

void GarbageCollector::read_on() {
  if (victim_ == kNone || gives_way()) return;
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
      move->retries = 0;
      move->epoch = epoch_;
    }
    for (; bits != 0; bits &= bits - 1) {
      const Place place = first + done + static_cast<std::uint32_t>(std::countr_zero(bits));
      move->units.push_back({UnitId{ftl_.map_.record(place)}, place, kNoPlace, 0});
    }
  }
  if (move == nullptr) return;
  units_open_ += static_cast<std::uint32_t>(move->units.size());
  ++moves_open_;
  const std::uint32_t number = geometry_.stripe_of(first);
  move->owner = this;
  move->job_class = JobClass::kGcRead;
  move->slc = ftl_.superblocks_[victim_].slc;
  move->die = geometry_.die_of_stripe(number);
  move->row = geometry_.row_of_stripe(number);
  move->ready_at = base::kTimeZero;
  if (ftl_.reliability_.bit_errors()) draw_retries(*move);
  nand_.submit(*move);
}

// Its units are read again together, as often as the worst of them needs.
void GarbageCollector::draw_retries(Move& move) {
  for (const Stripe::Unit& unit : move.units) {
    const Reliability::Outcome outcome = ftl_.read_outcome(unit.source);
    move.retries = std::max(move.retries, outcome.retries);
    if (!outcome.lost) continue;
    ftl_.reliability_.count_lost();
    if (geometry_.parity) ftl_.reliability_.count_rebuilt();
  }
}

void GarbageCollector::array_done(DieJob& job) {
  if (job.job_class == JobClass::kErase) {
    auto& erase = static_cast<Erase&>(job);
    Erasing* erasing = find_erasing(erase.superblock);
    const std::uint32_t die = erase.die;
    erases_.give(&erase);
    if (ftl_.reliability_.erase_fails()) erasing->bad |= !ftl_.reliability_.take_spare(die);
    if (++erasing->dies_done < geometry_.dies) {
      erase_next_die(*erasing);
    } else {
      superblock_erased(*erasing);
    }
    return;
  }
  auto& move = static_cast<Move&>(job);
  const auto bytes = static_cast<std::uint32_t>(move.units.size()) * kUnitBytes;
  const Nand::Transfer out = nand_.transfer_out(move.die, bytes, true);
  scheduler_.at<&GarbageCollector::moved_in>(out.decoded, this,
                                             reinterpret_cast<std::uint64_t>(&move));
}

void GarbageCollector::superblock_erased(Erasing& erasing) {
  const std::uint32_t superblock = erasing.superblock;
  bool bad = erasing.bad;
  if (ftl_.superblocks_[superblock].suspect) {
    bad |= !ftl_.reliability_.take_spare(superblock % geometry_.dies);
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
  const std::uint64_t in_use =
      geometry_.superblocks - ftl_.superblocks_.retired_count() - ftl_.slc_limit_;
  const std::uint64_t at_most = geometry_.data_units - geometry_.program_units;
  return in_use > stop_at_ + 3 && (in_use - stop_at_ - 3) * at_most >= geometry_.logical_units;
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
  if (least == kNone || most - blocks[least].erases <= wear_gap_ || !wishes_.empty()) return;
  ftl_.superblocks_[least].queued = true;
  wishes_.push({least, Cause::kWear});
}

void GarbageCollector::job_dropped(DieJob& job) {
  if (job.job_class == JobClass::kErase) {
    erases_.give(static_cast<Erase*>(&job));
  } else {
    moves_.give(static_cast<Move*>(&job));
  }
}

void GarbageCollector::power_cut() {
  off_ = true;
  ++epoch_;
}

// The valid units of a victim are still where they were, or at their new places.
void GarbageCollector::forget_victims() {
  if (filling_ != nullptr) stripes_.give(filling_);
  filling_ = nullptr;
  units_open_ = 0;
  moves_open_ = 0;
  running_ = false;
  if (victim_ != kNone) ftl_.superblocks_.uncollect(victim_);
  victim_ = kNone;
  for (const std::uint32_t superblock : draining_) ftl_.superblocks_.uncollect(superblock);
  draining_.clear();
  for (std::size_t i = 0; i < erasing_.size();) {
    Erasing& erasing = erasing_[i];
    if (ftl_.superblocks_[erasing.superblock].valid > 0) {  // a write that replaced it is undone
      ftl_.superblocks_.uncollect(erasing.superblock);
      erasing_.erase(erasing_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    erasing = {erasing.superblock, erasing.bad, 0, 0, false};
    ++i;
  }
}

void GarbageCollector::power_on() {
  off_ = false;
  for (Erasing& erasing : erasing_) {
    if (ftl_.superblocks_[erasing.superblock].readers == 0) start_erase(erasing);
  }
  kick();
}

// The data of a move is in the controller: on to the stripe that is being filled, without what was
// overwritten meanwhile.
void GarbageCollector::moved_in(std::uint64_t argument) {
  auto* move = reinterpret_cast<Move*>(argument);
  if (move->epoch != epoch_) {
    moves_.give(move);
    return;
  }
  if (move->retries > 0) {
    --move->retries;
    nand_.submit(*move);
    return;
  }
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
    if (filling_->units.size() == geometry_.program_units) program_filling();
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
  if (cause_ == Cause::kRefresh) refresh_units_ += count;
  if (cause_ == Cause::kWear) wear_units_ += count;
  if (cause_ == Cause::kFold) fold_units_ += count;
  stripes_.give(&stripe);
  erase_drained();
  read_on();
  finish_victim_if_done();
  if (victim_ == kNone) kick();
  ftl_.space_changed();
}

void GarbageCollector::stripe_dropped(Stripe& stripe) {
  stripes_.give(&stripe);
}

void GarbageCollector::finish_victim_if_done() {
  if (victim_ == kNone || moves_open_ > 0) return;
  const bool all_read =
      next_stripe_ == geometry_.superblock_stripes || ftl_.superblocks_[victim_].valid == 0;
  if (!all_read) return;
  draining_.push_back(victim_);
  victim_ = kNone;
  const bool pad = cause_ == Cause::kRefresh || cause_ == Cause::kWear;
  if (pad && filling_ != nullptr) program_filling();
  kick();
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

// Space is wanted, nothing may be collected and nothing is under way that would change that.
void GarbageCollector::flush_if_stuck() {
  if (filling_ == nullptr || !erasing_.empty()) return;
  if (units_open_ == filling_->units.size()) program_filling();
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
