#include "models/ftl/garbage_collector.hpp"

#include <algorithm>
#include <bit>
#include <utility>

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
      start_below_(config.gc_start_superblocks + (ftl.table_ ? 1 : 0)),
      stop_at_(config.gc_stop_superblocks + (ftl.table_ ? 1 : 0)),
      window_units_(
          std::max((config.gc_window_stripes == 0 ? 2 * geometry.dies : config.gc_window_stripes) *
                       geometry.stripe_units,
                   ftl.homes() * geometry.program_units)),
      erase_parallel_(std::min(config.erase_parallel_dies, geometry.dies)),
      urgent_(config.gc_urgent_superblocks + (ftl.table_ ? 1 : 0)),
      yields_(config.gc_yields_to_reads),
      idle_after_(base::nanoseconds(std::uint64_t{config.gc_idle_us} * 1000)),
      copyback_(config.copyback && !ftl.reliability_.bit_errors()),
      wear_gap_(config.static_wear_gap),
      fold_start_(config.slc_fold_start),
      filling_(ftl.homes(), nullptr) {
  statistics.add(name + ".ftl.gc_runs", "1", "superblocks collected", runs_);
  statistics.add(name + ".ftl.copyback_units", "1", "of gc_units, that never left their die",
                 copied_back_);
  const auto add_cause = [&](const char* cause, const char* help, Cause of) {
    statistics.add(name + ".ftl." + cause + "_units", "1", help,
                   units_of_[static_cast<std::size_t>(of)]);
  };
  add_cause("space", "of gc_units, to make room", Cause::kSpace);
  add_cause("refresh", "of gc_units, for reads, retention or a failed program", Cause::kRefresh);
  add_cause("fold", "of gc_units, out of the SLC cache", Cause::kFold);
  add_cause("wear", "of gc_units, to level wear", Cause::kWear);
  statistics.add(name + ".ftl.erased_superblocks", "1", "superblocks erased", erased_);
  statistics.add(name + ".ftl.refreshes", "1",
                 "superblocks written anew for reads, retention or a failed program", refreshes_);
  statistics.add(name + ".ftl.folds", "1", "superblocks of the SLC cache that were folded", folds_);
  statistics.add(name + ".ftl.wear_moves", "1", "superblocks moved to level wear", wear_moves_);
}

void GarbageCollector::kick() {
  if (off_) return;
  if (victim_ != kNone) {
    read_on();
    finish_victim_if_done();
  }
  erase_drained();
  while (victim_ == kNone) {
    if (!wanted()) {
      if (!choose_wish() && !choose_fold()) return;
    } else if (!choose_between() && !choose_victim()) {
      flush_if_stuck();
      return;
    }
    read_on();
    finish_victim_if_done();
  }
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
  return base::ceil_div(left, geometry_.program_units) + ftl_.homes();
}

// host : collected room = moved : to be moved, with a few stripes of slack. What is not moved for
// space has no share.
bool GarbageCollector::host_within_share() const {
  if (cause_ == Cause::kRefresh || cause_ == Cause::kWear) return true;
  const std::uint64_t gain = geometry_.data_units - victim_valid_;
  const std::uint64_t slack = 4 * geometry_.program_units;
  return host_since_victim_ * victim_valid_ <= units_settled_ * gain + slack * victim_valid_;
}

void GarbageCollector::read_on() {
  if (victim_ == kNone || gives_way()) return;
  while (units_open_ < window_units_ && next_stripe_ < geometry_.superblock_stripes &&
         ftl_.superblocks_[victim_].valid > 0 && !ahead()) {
    read_stripe((first_stripe_ + next_stripe_++) % geometry_.superblock_stripes);
  }
}

// Of the pace; never while the host is held back: its share ends before this lead does, and it is
// refused the last free superblock only.
bool GarbageCollector::ahead() {
  if (idle_after_ == base::kTimeZero || idle_ || cause_ != Cause::kSpace) return false;
  if (ftl_.superblocks_.free_count() <= urgent_) return false;
  const std::uint64_t gain = geometry_.data_units - victim_valid_;
  const std::uint64_t moved = std::uint64_t{units_settled_} + units_open_ - units_before_;
  if (moved * gain <= host_since_victim_ * victim_valid_ + window_units_ * gain) return false;
  if (!scheduler_.pending(idle_timer_)) {
    idle_timer_ = scheduler_.at<&GarbageCollector::look_idle>(
        std::max(last_active_ + idle_after_, scheduler_.now()), this);
  }
  return true;
}

void GarbageCollector::look_idle(std::uint64_t) {
  if (victim_ == kNone) return;
  const base::Time due = last_active_ + idle_after_;
  // A host that only reads brings the victim to no end, and what has its turn then would wait.
  const bool others_wait = !wishes_.empty() || ftl_.superblocks_.slc_closed().size() >= fold_start_;
  const bool no_writes = last_write_ + idle_after_ <= scheduler_.now();
  if (due > scheduler_.now() && !(others_wait && no_writes)) {
    idle_timer_ = scheduler_.at<&GarbageCollector::look_idle>(due, this);
    return;
  }
  idle_ = true;
  read_on();
  finish_victim_if_done();
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
      move->copyback = nullptr;
    }
    for (; bits != 0; bits &= bits - 1) {
      const Place place = first + done + static_cast<std::uint32_t>(std::countr_zero(bits));
      move->units.push_back(
          {UnitId{ftl_.map_.record(place)}, place, kNoPlace, 0, static_cast<std::uint8_t>(cause_)});
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
  move->planes = 0;
  if (nand_.independent_planes()) {
    for (const Stripe::Unit& unit : move->units) {
      move->planes |= 1u << geometry_.plane_of(unit.source);
    }
  }
  if (ftl_.reliability_.bit_errors()) draw_retries(*move);
  if (copyback_ && !nand_.loads_ahead()) plan_copyback(*move);
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
    for (std::uint32_t plane = 0; plane < geometry_.planes; ++plane) {
      if (!ftl_.reliability_.erase_fails()) continue;
      erasing->bad |= !ftl_.reliability_.take_spare(die * geometry_.planes + plane);
    }
    if (++erasing->dies_done < geometry_.dies) {
      erase_next_die(*erasing);
    } else {
      superblock_erased(*erasing);
    }
    return;
  }
  auto& move = static_cast<Move&>(job);
  if (copyback_ && nand_.loads_ahead()) plan_copyback(move);
  if (move.copyback != nullptr) {
    Stripe* stripe = move.copyback;
    --moves_open_;
    moves_.give(&move);
    ftl_.program_reserved(*stripe);
    finish_victim_if_done();
    return;
  }
  const auto bytes = static_cast<std::uint32_t>(move.units.size()) * kUnitBytes;
  const Nand::Transfer out = nand_.transfer_out(move.die, bytes, true);
  scheduler_.at<&GarbageCollector::moved_in>(out.decoded, this,
                                             reinterpret_cast<std::uint64_t>(&move));
}

// A whole stripe needs not leave its die if the next program may go there. Pages of a block are
// programmed in their order: no program of the die may wait, whose page comes before; those that
// come after the read is submitted are served after it, unless they may be loaded ahead of it.
void GarbageCollector::plan_copyback(Move& move) {
  const bool whole = move.units.size() == geometry_.program_units && !move.slc;
  if (!whole || nand_.programs_wait(move.die)) return;
  Stripe* stripe = stripes_.take();
  stripe->units = move.units;
  stripe->stripe_owner = this;
  if (!ftl_.reserve(*stripe, move.die)) {
    stripes_.give(stripe);
    return;
  }
  move.copyback = stripe;
  copied_back_ += move.units.size();
  count_causes(*stripe);
}

void GarbageCollector::job_dropped(DieJob& job) {
  if (job.job_class == JobClass::kErase) {
    erases_.give(static_cast<Erase*>(&job));
    return;
  }
  auto& move = static_cast<Move&>(job);
  if (move.copyback != nullptr) {  // its places stay empty
    ftl_.program_ended(geometry_.superblock_of(move.copyback->first));
    stripes_.give(move.copyback);
  }
  moves_.give(&move);
}

void GarbageCollector::power_cut() {
  off_ = true;
  scheduler_.cancel(idle_timer_);
  ++epoch_;
}

// The valid units of a victim are still where they were, or at their new places.
void GarbageCollector::forget_victims() {
  for (Stripe*& filling : filling_) {
    if (filling != nullptr) stripes_.give(filling);
    filling = nullptr;
  }
  filling_units_ = 0;
  units_open_ = 0;
  units_before_ = 0;
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
      settle(1);
      continue;
    }
    const std::uint32_t part = filling_.size() == 1 ? 0 : ftl_.part_of(unit.unit, 0);
    Stripe*& filling = filling_[part];
    if (filling == nullptr) {
      filling = stripes_.take();
      filling->units.clear();
    }
    filling->units.push_back(unit);
    ++filling_units_;
    if (filling->units.size() == geometry_.program_units) program_filling(part);
  }
  static_cast<void>(ftl_.dram_.pass(move->units.size() * kUnitBytes));
  moves_.give(move);
  read_on();
  finish_victim_if_done();
  ftl_.space_changed();
}

// Those of earlier victims come first, near enough.
void GarbageCollector::settle(std::uint32_t units) {
  units_open_ -= units;
  const std::uint32_t before = std::min(units, units_before_);
  units_before_ -= before;
  units_settled_ += units - before;
}

void GarbageCollector::program_filling(std::uint32_t part) {
  Stripe* stripe = std::exchange(filling_[part], nullptr);
  filling_units_ -= static_cast<std::uint32_t>(stripe->units.size());
  stripe->stripe_owner = this;
  count_causes(*stripe);
  ftl_.program(*stripe, Stream::kGc, 0, part);
}

void GarbageCollector::program_all_filling() {
  for (std::uint32_t part = 0; part < filling_.size(); ++part) {
    if (filling_[part] != nullptr) program_filling(part);
  }
}

void GarbageCollector::count_causes(const Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) ++units_of_[unit.cause];
}

void GarbageCollector::stripe_programmed(Stripe& stripe) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  for (const Stripe::Unit& unit : stripe.units) ftl_.prefetch(unit.unit);
  if (ftl_.table_updates_ != nullptr) tell_table(stripe);
  for (std::uint32_t i = 0; i < count; ++i) {
    ftl_.rebind(stripe.units[i].unit, stripe.units[i].source, stripe.first + i);
  }
  settle(count);
  stripes_.give(&stripe);
  if (ftl_.table_updates_ != nullptr) ftl_.table_updates_->updates_follow();
  erase_drained();
  read_on();
  finish_victim_if_done();
  if (victim_ == kNone) kick();
  ftl_.space_changed();
}

// What moves changes the mapping table, but for the table itself.
void GarbageCollector::tell_table(const Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) {
    if (ftl_.is_page(unit.unit.value()) || !ftl_.map_.valid(unit.source)) continue;
    ftl_.table_updates_->unit_moved(unit.unit.value(), geometry_.superblock_of(unit.source));
  }
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
  // What waits by home could wait for ever, and its superblock with it.
  const bool pad = cause_ == Cause::kRefresh || cause_ == Cause::kWear || filling_.size() > 1;
  if (pad) program_all_filling();
  kick();
}

// Space is wanted, nothing may be collected and nothing is under way that would change that.
void GarbageCollector::flush_if_stuck() {
  if (filling_units_ == 0 || !erasing_.empty()) return;
  if (units_open_ == filling_units_) program_all_filling();
}

}  // namespace nvmesim::models
