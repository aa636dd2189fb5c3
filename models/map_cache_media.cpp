#include "models/map_cache_media.hpp"

namespace nvmesim::models {
namespace {

// Of a deallocation or write of zeroes: units that are touched, and of these the whole ones, which
// are unmapped. A unit that is deallocated in part stays as it is.
struct Units {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::uint64_t first_whole = 0;
  std::uint64_t end_whole = 0;

  explicit Units(const MediaCommand& command) {
    const std::uint64_t end_byte = command.first_byte + command.bytes;
    const std::uint64_t begin_whole = base::ceil_div(command.first_byte, kUnitBytes);
    first_whole = begin_whole;
    end_whole = std::max(end_byte / kUnitBytes, begin_whole);
    const bool zeroes = command.op == MediaOp::kWriteZeroes && command.bytes != 0;
    first = zeroes ? command.first_byte / kUnitBytes : first_whole;
    end = zeroes ? base::ceil_div(end_byte, kUnitBytes) : end_whole;
  }
  bool writes() const { return first != first_whole || end != end_whole; }
};

}  // namespace

void MapCacheMedia::start(MediaCommand& command) {
  command.stages.open(scheduler_.now());
  if (may_start(command, reinterpret_cast<std::uint64_t>(&command))) go_on(command);
}

// False if it waits for its mapping.
bool MapCacheMedia::may_start(const MediaCommand& command, std::uint64_t token) {
  using Use = MapCache::Use;
  const base::Callback ready = base::Callback::of<&MapCacheMedia::mapped>(this, token);
  if (command.op == MediaOp::kFlush) return true;
  if (command.op == MediaOp::kRead || command.op == MediaOp::kWrite) {
    const std::uint64_t first = command.parts.front().unit.value();
    const std::uint64_t count = command.parts.size();
    const bool write = command.op == MediaOp::kWrite;
    if (!write || cache_.write_back()) {
      return cache_.ready_or_wait({first, count}, write ? Use::kChange : Use::kLookUp, token,
                                  ready);
    }
    cache_.written(first, count);
    return true;
  }
  const Units units(command);
  if (cache_.write_back()) {
    return cache_.ready_or_wait(
        {units.first, units.end - units.first, units.first_whole, units.end_whole},
        units.writes() ? Use::kChange : Use::kTrim, token, ready);
  }
  if (units.first != units.first_whole) cache_.written(units.first, 1);
  if (units.end != units.end_whole) cache_.written(units.end - 1, 1);
  return true;
}

void MapCacheMedia::go_on(MediaCommand& command) {
  if (command.op == MediaOp::kDeallocate || command.op == MediaOp::kWriteZeroes) {
    const Units units(command);
    cache_.unmapped(units.first_whole, units.end_whole - units.first_whole);
  }
  inner_->start(command);
}

void MapCacheMedia::cancel(MediaCommand& command) {
  if (!cache_.forget(reinterpret_cast<std::uint64_t>(&command))) inner_->cancel(command);
}

// The wait is time of the mapping; it goes in front of what the medium stamps.
void MapCacheMedia::mapped(std::uint64_t token) {
  MediaCommand& command = *reinterpret_cast<MediaCommand*>(token);
  base::StageRecord waited;
  waited.open(command.stages.start());
  waited.stamp(base::Stage::kMapping, scheduler_.now());
  go_on(command);
  const auto put_in_front = [&waited](base::StageRecord& stages) {
    base::StageRecord whole = waited;
    whole.append(stages);
    stages = whole;
  };
  put_in_front(command.stages);
  for (MediaPart& part : command.parts) put_in_front(part.stages);
}

}  // namespace nvmesim::models
