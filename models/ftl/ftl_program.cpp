// Ftl: how programs get their places and units their mapping, and what power takes back.
#include <algorithm>

#include "models/ftl/ftl.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::uint32_t Ftl::programs_left(Stream stream, std::uint32_t lane) const {
  return frontiers_[frontier_of(stream, lane)].programs_left();
}

bool Ftl::slc_allowed() const {
  const std::uint32_t used = superblocks_.slc_used();
  if (used >= slc_most_) return false;
  return superblocks_.free_count() > (used < slc_limit_ ? gc_start_ + 1 : slc_plenty_);
}

Frontier& Ftl::opened(Stream stream, std::uint32_t lane) {
  Frontier& frontier = frontiers_[frontier_of(stream, lane)];
  if (!frontier.is_open()) {
    const bool slc = stream == Stream::kHost && !is_table_lane(lane) && slc_allowed();
    const std::uint32_t superblock = superblocks_.open(scheduler_.now(), slc);
    frontier.open(superblock, rows_of(superblock));
  }
  return frontier;
}

Place Ftl::allocate(Stripe& stripe) {
  Frontier& frontier = opened(stripe.stream, stripe.lane);
  return take(frontier, choose_turn(frontier, stripe));
}

Place Ftl::take(Frontier& frontier, std::uint32_t turn) {
  const std::uint32_t number = frontier.superblock();
  const Place first =
      number * geometry_.superblock_units + frontier.take(turn) * geometry_.program_units;
  Superblock& block = superblocks_[number];
  ++block.programs_open;
  std::uint32_t parity = 0;
  if (frontier.take_parity(parity)) parity_.start(number, parity);
  if (frontier.programs_left() == 0) {
    block.full = true;
    frontier.close();
  }
  return first;
}

std::uint32_t Ftl::choose_turn(const Frontier& frontier, const Stripe& stripe) {
  switch (allocation_) {
    case Allocation::in_order:
      break;
    case Allocation::idle_die:
      return idlest(frontier);
    case Allocation::by_address:
      if (stripe.stream == Stream::kHost && is_table_lane(stripe.lane)) break;  // no home
      if (frontier.has_room(stripe.part)) return stripe.part;
      strayed_units_ += stripe.units.size();
      return frontier.roomiest();
  }
  return frontier.in_turn();
}

// Of those that are equal the first in the order.
std::uint32_t Ftl::idlest(const Frontier& frontier) const {
  std::uint32_t best = frontier.in_turn();
  Nand::Backlog least = nand_.backlog(geometry_.order.die_of_turn[best]);
  std::uint32_t turn = best;
  for (std::uint32_t i = 1; i < frontier.turns() && least.jobs > 0; ++i) {
    turn = turn + 1 == frontier.turns() ? 0 : turn + 1;
    if (!frontier.has_room(turn)) continue;
    const Nand::Backlog backlog = nand_.backlog(geometry_.order.die_of_turn[turn]);
    if (!(backlog < least)) continue;
    best = turn;
    least = backlog;
  }
  return best;
}

// A row of data is complete: its parity, kept in the controller so far, follows.
void Ftl::ParityPrograms::start(std::uint32_t superblock, std::uint32_t number) {
  const Geometry& geometry = ftl_.geometry_;
  const std::uint32_t stripe =
      (superblock * geometry.superblock_programs + number) * geometry.program_rows;
  ++ftl_.superblocks_[superblock].programs_open;
  ftl_.parity_units_ += geometry.program_units;
  Job* job = jobs_.take();
  job->owner = this;
  job->job_class = JobClass::kHostProgram;
  job->superblock = superblock;
  job->slc = ftl_.superblocks_[superblock].slc;
  job->die = geometry.die_of_stripe(stripe);
  job->row = geometry.row_of_stripe(stripe);
  job->pages = geometry.planes * geometry.program_rows;
  job->ready_at = base::kTimeZero;
  ftl_.nand_.submit(*job);
}

void Ftl::ParityPrograms::array_done(DieJob& job) {
  auto& parity = static_cast<Job&>(job);
  const std::uint32_t superblock = parity.superblock;
  jobs_.give(&parity);
  ftl_.program_ended(superblock);
}

std::uint32_t Ftl::next_die(Stream stream) const {
  const Frontier& frontier = frontiers_[frontier_of(stream, 0)];
  return geometry_.order.die_of_turn[frontier.is_open() ? frontier.in_turn() : 0];
}

bool Ftl::reserve(Stripe& stripe, std::uint32_t die) {
  const std::uint32_t turn = geometry_.order.turn_of_die[die];
  const Frontier& frontier = frontiers_[frontier_of(Stream::kGc, 0)];
  const bool room = frontier.is_open() ? frontier.has_room(turn) : turn < frontier.turns();
  if (!room || (allocation_ == Allocation::in_order && next_die(Stream::kGc) != die)) return false;
  if (by_address()) {
    for (const Stripe::Unit& unit : stripe.units) {
      if (part_of(unit.unit, 0) != turn) return false;
    }
  }
  stripe.stream = Stream::kGc;
  stripe.lane = 0;
  stripe.part = turn;
  stripe.holds = false;
  stripe.copyback = true;
  place(stripe, take(opened(Stream::kGc, 0), turn));
  return true;
}

void Ftl::program(Stripe& stripe, Stream stream, std::uint32_t lane, std::uint32_t part) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  NVMESIM_ASSERT(count > 0 && count <= geometry_.program_units, "a stripe of a wrong size");
  stripe.stream = stream;
  stripe.lane = lane;
  stripe.part = part;
  stripe.holds = false;
  stripe.copyback = false;
  place(stripe, allocate(stripe));
  if (stream == Stream::kHost) {
    in_flight_.push_back(&stripe);
    if (!is_table_lane(lane)) collector_->host_active();
    collector_->host_wrote(count);
  }
  submit(stripe);
  if (stream == Stream::kHost) collector_->kick();
}

void Ftl::place(Stripe& stripe, Place first) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  stripe.first = first;
  for (std::uint32_t i = 0; i < count; ++i) {
    map_.write_record(stripe.first + i, stripe.units[i].unit.value());
  }
  if (stripe.stream == Stream::kHost) {
    bind_host_units(stripe);
    const bool pages = is_table_lane(stripe.lane);
    (pages ? table_units_ : host_units_) += count;
    if (stripe.lane != 0 && !pages) stream_units_ += count;
    if (superblocks_[geometry_.superblock_of(stripe.first)].slc) slc_units_ += count;
  } else {
    gc_units_ += count;
  }
  padding_units_ += geometry_.program_units - count;
}

void Ftl::submit(Stripe& stripe) {
  const auto count = static_cast<std::uint32_t>(stripe.units.size());
  const std::uint32_t number = geometry_.stripe_of(stripe.first);
  stripe.owner = this;
  stripe.job_class = stripe.stream == Stream::kHost ? JobClass::kHostProgram : JobClass::kGcProgram;
  stripe.slc = in_slc(stripe.first);
  stripe.die = geometry_.die_of_stripe(number);
  stripe.row = geometry_.row_of_stripe(number);
  stripe.pages = static_cast<std::uint32_t>(base::ceil_div(count, geometry_.page_units));
  stripe.ready_at = base::kTimeZero;
  if (dram_.limited()) {  // the data comes out of it, the mapping is written
    if (!stripe.copyback) stripe.ready_at = dram_.pass(std::uint64_t{count} * kUnitBytes);
    static_cast<void>(dram_.map_accesses(count));
  }
  nand_.submit(stripe);
}

// Random units miss the processor's caches at every step; so each step is begun for all of them
// before the first is waited for.
void Ftl::bind_host_units(Stripe& stripe) {
  for (const Stripe::Unit& unit : stripe.units) map_.prefetch(unit.unit.value());
  for (const Stripe::Unit& unit : stripe.units) {
    const Place old = map_.find(unit.unit.value()).place;
    if (old != kNoPlace) map_.prefetch_valid(old);
  }
  const std::uint32_t number = geometry_.superblock_of(stripe.first);
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    Stripe::Unit& unit = stripe.units[i];
    const Place place = stripe.first + i;
    const UnitMap::Mapped old = map_.bind(unit.unit.value(), place, superblocks_.mark(place));
    superblocks_.valid_more(number);
    unit.old = old.place;
    unit.old_mark = old.mark;
    if (old.place == kNoPlace) {
      if (is_page(unit.unit.value())) ++mapped_pages_;
      continue;
    }
    Superblock& block = superblocks_[geometry_.superblock_of(old.place)];
    if (hold_old_) ++block.readers;
    superblocks_.valid_less(geometry_.superblock_of(old.place));
  }
  stripe.holds = hold_old_;
}

void Ftl::release_old(const Stripe& stripe) {
  if (!stripe.holds) return;
  for (const Stripe::Unit& unit : stripe.units) {
    if (unit.old == kNoPlace) continue;
    ++reads_open_;
    read_ends(unit.old);
  }
}

void Ftl::rebind(UnitId unit, Place old, Place place) {
  const auto was = map_.move(unit.value(), old, place, superblocks_.mark(place));
  if (was.place != old) return;
  record_matches(unit, was);  // counts; what is wrong stays wrong when moved
  superblocks_.valid_more(geometry_.superblock_of(place));
  superblocks_.valid_less(geometry_.superblock_of(old));
}

void Ftl::array_done(DieJob& job) {
  auto& stripe = static_cast<Stripe&>(job);
  const std::uint32_t number = geometry_.superblock_of(stripe.first);
  if (failed(stripe)) {
    program_ended(number);
    return;
  }
  if (stripe.stream == Stream::kHost) {
    in_flight_.erase(std::find(in_flight_.begin(), in_flight_.end(), &stripe));
    release_old(stripe);
    stripe.holds = false;
  }
  --superblocks_[number].programs_open;
  stripe.stripe_owner->stripe_programmed(stripe);  // the collector maps moved units here
  if (superblocks_.close_if_done(number)) collector_->kick();
}

// A program fails: the block is bad from its next erase on; what it held is written elsewhere.
bool Ftl::failed(Stripe& stripe) {
  if (!reliability_.program_fails()) return false;
  const std::uint64_t room = programs_left(stripe.stream, stripe.lane) +
                             std::uint64_t{superblocks_.free_count()} * data_programs();
  if (room <= collector_->programs_needed() + 1) return false;  // no room to fail
  const bool last_one =
      programs_left(stripe.stream, stripe.lane) == 0 && superblocks_.free_count() <= 1;
  if (separate_ && stripe.stream == Stream::kHost && last_one) return false;  // the collector's
  ++failed_programs_;
  superblocks_[geometry_.superblock_of(stripe.first)].suspect =
      reliability_.draw_plane(stripe.die) + 1;
  place_again(stripe);
  stripe.copyback = false;
  submit(stripe);
  return true;
}

void Ftl::place_again(Stripe& stripe) {
  const Place was = stripe.first;
  stripe.first = allocate(stripe);
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    const std::uint64_t unit = stripe.units[i].unit.value();
    const Place place = stripe.first + i;
    map_.write_record(place, unit);
    if (stripe.stream != Stream::kHost || map_.find(unit).place != was + i) continue;
    map_.bind(unit, place, superblocks_.mark(place));
    superblocks_.valid_more(geometry_.superblock_of(place));
    superblocks_.valid_less(geometry_.superblock_of(was + i));
  }
  padding_units_ += geometry_.program_units;
}

void Ftl::job_dropped(DieJob& job) {
  auto& stripe = static_cast<Stripe&>(job);
  program_ended(geometry_.superblock_of(stripe.first));
  stripe.stripe_owner->stripe_dropped(stripe);
}

// Undone in the opposite order: a unit that is on its way twice returns to where it began.
void Ftl::revert(Stripe& stripe) {
  for (std::uint32_t i = 0; i < stripe.units.size(); ++i) {
    const Stripe::Unit& unit = stripe.units[i];
    const Place old = stripe.holds ? unit.old : kNoPlace;
    if (stripe.holds && unit.old != kNoPlace) {
      --superblocks_[geometry_.superblock_of(unit.old)].readers;
    }
    const Place place = stripe.first + i;
    if (map_.find(unit.unit.value()).place != place) continue;  // deallocated
    map_.revert(unit.unit.value(), place, old, unit.old_mark);
    superblocks_.valid_less(geometry_.superblock_of(place));
    if (old == kNoPlace && is_page(unit.unit.value())) --mapped_pages_;
    if (old != kNoPlace) superblocks_.valid_more(geometry_.superblock_of(old));
  }
}

void Ftl::program_ended(std::uint32_t superblock) {
  --superblocks_[superblock].programs_open;
  if (superblocks_.close_if_done(superblock)) collector_->kick();
}

}  // namespace nvmesim::models
