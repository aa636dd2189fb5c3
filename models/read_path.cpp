#include "models/read_path.hpp"

#include <algorithm>

#include "models/cache/write_buffer.hpp"

namespace nvmesim::models {

ReadPath::ReadPath(const Geometry& geometry, base::Scheduler& scheduler, Nand& nand, Ftl& ftl,
                   Reliability& reliability, DataStore& store, Delivery& delivery, Dram& dram,
                   const ReadCacheConfig& cache, base::StatisticsRegistry& statistics,
                   const std::string& name)
    : geometry_(geometry),
      scheduler_(scheduler),
      nand_(nand),
      ftl_(ftl),
      reliability_(reliability),
      store_(store),
      delivery_(delivery),
      dram_(dram),
      cache_hit_(base::nanoseconds(cache.hit_ns)),
      keep_reads_(cache.keep_reads),
      cache_(cache, statistics, name),
      streams_(cache),
      loaders_(cache_.slots()) {
  statistics.add(name + ".read.media_units", "1", "4 KiB units read from the NAND", media_units_);
  statistics.add(name + ".read.buffer_hits", "1", "4 KiB units served from the write buffer",
                 buffer_hits_);
  statistics.add(name + ".read.unmapped_units", "1",
                 "4 KiB units read that were never written or are deallocated", unmapped_units_);
  statistics.add(name + ".read.commands", "1", "read commands", commands_);
  statistics.add(name + ".read.unmapped_commands", "1",
                 "of them, with a unit that was never written or is deallocated",
                 unmapped_commands_);
}

ReadPath::Unit* ReadPath::take_unit(MediaPart* part, UnitId number) {
  Unit* unit = units_.take();
  unit->part = part;
  unit->unit = number;
  unit->mapped = {};
  unit->status = MediaStatus::kOk;
  unit->found = UnitMap::kNoUnit;
  unit->fetched = {};
  unit->next = nullptr;
  unit->retries = 0;
  unit->tried = unit->soft = unit->lost = unit->limited = false;
  unit->epoch = epoch_;
  unit->slot = ReadCache::kNone;
  if (part != nullptr) part->media_data = reinterpret_cast<std::uint64_t>(unit);
  return unit;
}

void ReadPath::start(MediaCommand& command, const WriteBuffer& buffer) {
  const base::Time now = scheduler_.now();
  const base::Time looked_up =
      (dram_.limited() ? dram_.map_accesses(command.parts.size()) : now) + ftl_.mapping_time();
  Job* job = nullptr;
  command.parts_open = static_cast<std::uint32_t>(command.parts.size());
  const std::uint64_t unmapped_before = unmapped_units_;
  for (MediaPart& part : command.parts) {
    part.command = &command;
    part.stages.open(now);
    part.stages.stamp(base::Stage::kMapping, looked_up);
    if (cache_.enabled() && !buffer.holds(part.unit) && serve_cached(part, looked_up)) continue;
    Unit* unit = take_unit(&part, part.unit);
    if (buffer.find(part.unit, part.data)) {
      ++buffer_hits_;
      base::Time served = looked_up + buffer.hit_time();
      if (dram_.limited()) served = std::max(served, dram_.pass(kUnitBytes));
      part.stages.stamp(base::Stage::kBuffer, served);
      scheduler_.at<&ReadPath::deliver>(served, this, reinterpret_cast<std::uint64_t>(unit));
      continue;
    }
    part.data.reset();
    unit->mapped = ftl_.look_up(part.unit);
    if (unit->mapped.place == kNoPlace) {
      ++unmapped_units_;
      scheduler_.at<&ReadPath::deliver>(looked_up, this, reinterpret_cast<std::uint64_t>(unit));
      continue;
    }
    job = append(job, *unit, looked_up);
  }
  if (job != nullptr) nand_.submit(*job);
  ++commands_;
  unmapped_commands_ += unmapped_units_ != unmapped_before ? 1 : 0;
  if (streams_.enabled()) read_ahead(command, buffer);
}

void ReadPath::fetch(UnitId number, base::Callback done, base::Time looked_up) {
  Unit* unit = take_unit(nullptr, number);
  unit->fetched = done;
  unit->mapped = ftl_.look_up(number);
  nand_.submit(*append(nullptr, *unit, looked_up));
}

// Adds the unit to `job` if it lies in the same stripe; else submits that and begins a new one.
ReadPath::Job* ReadPath::append(Job* job, Unit& unit, base::Time ready_at) {
  ++media_units_;
  if (!unit.fetched) ftl_.host_reads();
  ftl_.read_begins(unit.mapped.place);
  const std::uint32_t stripe = geometry_.stripe_of(unit.mapped.place);
  if (job != nullptr && job->stripe == stripe) {
    job->last = job->last->next = &unit;
  } else {
    if (job != nullptr) nand_.submit(*job);
    job = take_job(stripe, ready_at);
    job->first = job->last = &unit;
  }
  touch_plane(*job, unit);
  return job;
}

ReadPath::Job* ReadPath::take_job(std::uint32_t stripe, base::Time ready_at) {
  Job* job = jobs_.take();
  job->owner = this;
  job->job_class = JobClass::kHostRead;
  job->stripe = stripe;
  job->die = geometry_.die_of_stripe(stripe);
  job->row = geometry_.row_of_stripe(stripe);
  job->ready_at = ready_at;
  job->slc = ftl_.in_slc(stripe * geometry_.stripe_units);
  job->rebuilt = nullptr;
  job->planes = 0;
  return job;
}

// Neither cancelled nor begun before power went.
bool ReadPath::wanted(const Unit& unit) const {
  const bool own = unit.fetched || unit.slot != ReadCache::kNone;
  return unit.part != nullptr || (own && unit.epoch == epoch_);
}

void ReadPath::array_done(DieJob& done) {
  auto& job = static_cast<Job&>(done);
  if (job.rebuilt != nullptr) {
    piece_read(job);
    return;
  }
  bool first = true;
  for (Unit* unit = job.first; unit != nullptr;) {
    Unit* next = unit->next;
    if (!wanted(*unit)) {
      end_hold(*unit);
      units_.give(unit);
      unit = next;
      continue;
    }
    if (reliability_.bit_errors() && !unit->tried) draw(*unit);
    const bool last_try = unit->retries == 0 && !unit->lost;
    if (ftl_.record_matches(unit->unit, unit->mapped)) {
      unit->found = unit->unit.value();
    } else {
      unit->status = MediaStatus::kIntegrity;
      unit->found = ftl_.record(unit->mapped.place);
      if (unit->found >= geometry_.host_units) unit->found = UnitMap::kNoUnit;  // no bytes
    }
    if (last_try) end_hold(*unit);
    Nand::Transfer out = nand_.transfer_out(job.die, kUnitBytes, first);
    if (unit->soft && unit->retries == 0) out.decoded += reliability_.soft_decode_time();
    first = false;
    if (unit->part != nullptr && unit->slot == ReadCache::kNone) stamp(*unit->part, job, out);
    scheduler_.at<&ReadPath::deliver>(out.decoded, this, reinterpret_cast<std::uint64_t>(unit));
    unit = next;
  }
  jobs_.give(&job);
}

void ReadPath::end_hold(Unit& unit) {
  ftl_.read_ends(unit.mapped.place);
  unit.mapped.place = kNoPlace;
}

void ReadPath::draw(Unit& unit) {
  const bool limited = unit.part != nullptr && unit.part->command->limited_retry;
  const Reliability::Outcome outcome = ftl_.read_outcome(unit.mapped.place, limited);
  unit.tried = true;
  unit.limited = limited;
  unit.retries = outcome.retries;
  unit.soft = outcome.soft;
  unit.lost = outcome.lost;
}

void ReadPath::read_again(Unit& unit) {
  --unit.retries;
  unit.next = nullptr;
  Job* job = take_job(geometry_.stripe_of(unit.mapped.place), scheduler_.now());
  job->first = job->last = &unit;
  touch_plane(*job, unit);
  nand_.submit(*job);
}

// The other dies of the row give their pages of the same number.
void ReadPath::rebuild(Unit& unit) {
  const std::uint32_t stripe = geometry_.stripe_of(unit.mapped.place);
  const std::uint32_t rows = geometry_.program_rows;
  const std::uint32_t own = geometry_.turn_of_stripe(stripe);
  const std::uint32_t first = stripe - own * rows;
  unit.pieces = geometry_.dies - 1;
  for (std::uint32_t turn = 0; turn < geometry_.dies; ++turn) {
    if (turn == own) continue;
    Job* job = take_job(first + turn * rows, scheduler_.now());
    job->rebuilt = &unit;
    touch_plane(*job, unit);
    nand_.submit(*job);
  }
}

void ReadPath::piece_read(Job& job) {
  const Nand::Transfer out = nand_.transfer_out(job.die, kUnitBytes, true);
  scheduler_.at<&ReadPath::piece_done>(out.decoded, this,
                                       reinterpret_cast<std::uint64_t>(job.rebuilt));
  jobs_.give(&job);
}

void ReadPath::piece_done(std::uint64_t argument) {
  auto* unit = reinterpret_cast<Unit*>(argument);
  if (--unit->pieces != 0) return;
  unit->lost = false;
  reliability_.count_rebuilt();
  if (unit->part != nullptr) unit->part->stages.stamp(base::Stage::kEcc, scheduler_.now());
  deliver(argument);
}

void ReadPath::job_dropped(DieJob& dropped) {
  auto& job = static_cast<Job&>(dropped);
  if (job.rebuilt != nullptr) {
    if (--job.rebuilt->pieces == 0) {
      end_hold(*job.rebuilt);
      units_.give(job.rebuilt);
    }
    jobs_.give(&job);
    return;
  }
  for (Unit* unit = job.first; unit != nullptr;) {
    Unit* next = unit->next;
    end_hold(*unit);
    units_.give(unit);
    unit = next;
  }
  jobs_.give(&job);
}

void ReadPath::stamp(MediaPart& part, const DieJob& job, const Nand::Transfer& out) const {
  base::StageRecord& stages = part.stages;
  base::Time at = job.ready_at;
  for (std::size_t i = 0; i < kDieCauses; ++i) {
    if (job.waited[i] == base::kTimeZero) continue;
    at += job.waited[i];
    stages.stamp(stage_of(static_cast<DieCause>(i)), at);
  }
  const base::Time command = job.commanded - nand_.command_time();
  if (command != job.begun) stages.stamp(base::Stage::kChannelWait, command);
  stages.stamp(base::Stage::kChannel, job.commanded);
  stages.stamp(base::Stage::kArray, scheduler_.now());
  stages.stamp(base::Stage::kChannelWait, out.start);
  stages.stamp(base::Stage::kChannel, out.end);
  stages.stamp(base::Stage::kEcc, out.decoded);
}

void ReadPath::deliver(std::uint64_t argument) {
  auto* unit = reinterpret_cast<Unit*>(argument);
  if (unit->slot != ReadCache::kNone && unit->part != nullptr &&
      unit->part->stages.last() > scheduler_.now()) {  // its reader is still being looked up
    scheduler_.at<&ReadPath::deliver>(unit->part->stages.last(), this, argument);
    return;
  }
  if (reliability_.bit_errors() && unit->tried) {
    if (wanted(*unit)) {
      if (unit->retries > 0) {
        read_again(*unit);
        return;
      }
      if (unit->lost && geometry_.parity && !unit->limited) {
        reliability_.count_lost();
        rebuild(*unit);
        return;
      }
      if (unit->lost) {
        reliability_.count_lost();
        unit->status = std::max(unit->status, MediaStatus::kUncorrectable);
        unit->found = UnitMap::kNoUnit;
      }
    }
    if (unit->mapped.place != kNoPlace) end_hold(*unit);
  }
  if (cache_.enabled()) settle_cache(*unit);
  MediaPart* part = unit->part;
  const MediaStatus status = unit->status;
  const std::uint64_t found = unit->found;
  const base::Callback fetched = unit->epoch == epoch_ ? unit->fetched : base::Callback{};
  units_.give(unit);
  if (fetched) {
    fetched();
  } else if (part != nullptr) {
    if (found != UnitMap::kNoUnit) part->data = store_.read(UnitId{found});
    delivery_.read_ready(*part, status);
  }
}

void ReadPath::cancel(MediaCommand& command) {
  for (MediaPart& part : command.parts) {
    if (part.media_data == 0) continue;
    reinterpret_cast<Unit*>(part.media_data)->part = nullptr;
    part.media_data = 0;
    part.data.reset();
  }
}

}  // namespace nvmesim::models
