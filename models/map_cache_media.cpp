#include "models/map_cache_media.hpp"

namespace nvmesim::models {

void MapCacheMedia::start(MediaCommand& command) {
  const auto token = reinterpret_cast<std::uint64_t>(&command);
  const bool change = command.op == MediaOp::kWrite && cache_.write_back();
  if ((command.op != MediaOp::kRead && !change) ||
      cache_.ready_or_wait(command.parts.front().unit.value(), command.parts.size(), change, token,
                           base::Callback::of<&MapCacheMedia::mapped>(this, token))) {
    inner_->start(command);
    return;
  }
  command.stages.open(scheduler_.now());
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
  inner_->start(command);
  for (MediaPart& part : command.parts) {
    base::StageRecord whole = waited;
    whole.append(part.stages);
    part.stages = whole;
  }
}

}  // namespace nvmesim::models
