// ReadPath: the read cache and reading ahead.
#include <algorithm>

#include "models/cache/write_buffer.hpp"
#include "models/read_path.hpp"

namespace nvmesim::models {

// A unit that is still on its way into the cache takes one reader along; another one reads it
// again.
bool ReadPath::serve_cached(MediaPart& part, base::Time looked_up) {
  const std::uint32_t slot = cache_.find(part.unit.value());
  if (slot == ReadCache::kNone) return false;
  if (!cache_.present(slot)) {
    Unit& loader = *loaders_[slot];
    if (loader.part != nullptr) return false;
    loader.part = &part;
    part.media_data = reinterpret_cast<std::uint64_t>(&loader);
    part.data.reset();
    cache_.use(slot);
    return true;
  }
  cache_.use(slot);
  part.data.reset();
  Unit* unit = take_unit(&part, part.unit);
  unit->found = part.unit.value();
  const base::Time served = std::max(looked_up, dram_.pass(kUnitBytes)) + cache_hit_;
  part.stages.stamp(base::Stage::kBuffer, served);
  scheduler_.at<&ReadPath::deliver>(served, this, reinterpret_cast<std::uint64_t>(unit));
  return true;
}

void ReadPath::read_ahead(const MediaCommand& command, const WriteBuffer& buffer) {
  const ReadStreams::Range range =
      streams_.follow(command.parts.front().unit.value(), command.parts.size());
  const std::uint64_t end = std::min(range.first + range.count, geometry_.host_units);
  const base::Time looked_up = scheduler_.now() + ftl_.mapping_time();
  Job* job = nullptr;
  for (std::uint64_t number = range.first; number < end; ++number) {
    const UnitId id{number};
    if (cache_.find(number) != ReadCache::kNone || buffer.holds(id)) continue;
    const UnitMap::Mapped mapped = ftl_.look_up(id);
    if (mapped.place == kNoPlace) continue;
    const std::uint32_t slot = cache_.take(number, true);
    if (slot == ReadCache::kNone) break;
    Unit* unit = take_unit(nullptr, id);
    unit->slot = slot;
    unit->mapped = mapped;
    loaders_[slot] = unit;
    job = append(job, *unit, looked_up);
  }
  if (job != nullptr) nand_.submit(*job);
}

// A unit has come from the NAND: it stays in the cache if it was read ahead, or for what it is.
void ReadPath::settle_cache(Unit& unit) {
  const bool good = unit.status == MediaStatus::kOk && unit.found == unit.unit.value();
  if (unit.slot != ReadCache::kNone) {
    if (unit.epoch != epoch_) return;
    cache_.loaded(unit.slot, good);
    loaders_[unit.slot] = nullptr;
    static_cast<void>(dram_.pass(kUnitBytes));
    if (unit.part != nullptr) unit.part->stages.stamp(base::Stage::kBuffer, scheduler_.now());
    return;
  }
  if (!keep_reads_ || unit.part == nullptr || !good) return;
  if (cache_.find(unit.unit.value()) != ReadCache::kNone) return;
  const std::uint32_t slot = cache_.take(unit.unit.value(), false);
  if (slot == ReadCache::kNone) return;
  cache_.loaded(slot, true);
  static_cast<void>(dram_.pass(kUnitBytes));
}

void ReadPath::power_cut() {
  ++epoch_;
  cache_.clear();
  streams_.clear();
  loaders_.assign(loaders_.size(), nullptr);
}

}  // namespace nvmesim::models
