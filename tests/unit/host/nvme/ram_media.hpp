// A medium for tests: keeps every unit in memory, answers after a fixed time, never fails.
#pragma once

#include <cstring>
#include <map>

#include "models/media.hpp"
#include "models/media_points.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

class RamMedia : public models::Media {
 public:
  RamMedia(base::Scheduler& scheduler, std::uint64_t units, bool volatile_cache)
      : scheduler_(scheduler), units_(units), volatile_cache_(volatile_cache) {}

  void start(models::MediaCommand& command) override {
    command.parts_open = static_cast<std::uint32_t>(command.parts.size());
    command.stages.open(scheduler_.now());
    for (models::MediaPart& part : command.parts) {
      part.stages.open(scheduler_.now());
      part.command = &command;
    }
    scheduler_.after<&RamMedia::access>(10us, this, reinterpret_cast<std::uint64_t>(&command));
  }

  void write_arrived(models::MediaPart& part) override {
    base::BufferRef& stored = data_[part.unit.value()];
    base::BufferRef fresh = pool_.take();
    if (stored)
      std::memcpy(fresh->data(), stored->data(), models::kUnitBytes);
    else
      std::memset(fresh->data(), 0, models::kUnitBytes);
    std::memcpy(fresh->data() + part.offset, part.data->data() + part.offset, part.bytes);
    stored = fresh;
    if (--part.command->parts_open == 0)
      scheduler_.after<&RamMedia::done>(0ns, this, reinterpret_cast<std::uint64_t>(part.command));
  }

  void cancel(models::MediaCommand&) override { NVMESIM_ASSERT(false, "no test cancels"); }
  std::uint64_t capacity_units() const override { return units_; }
  std::uint64_t used_units() const override { return data_.size(); }
  bool volatile_cache() const override { return volatile_cache_; }
  void quiesce(base::Callback done) override { scheduler_.at(scheduler_.now(), done); }
  models::MediaPoints& points() override { return points_; }

  std::uint64_t flushes = 0;
  std::uint64_t deallocated_bytes = 0;

 private:
  void access(std::uint64_t argument) {
    auto& command = *reinterpret_cast<models::MediaCommand*>(argument);
    if (command.op == models::MediaOp::kRead || command.op == models::MediaOp::kWrite) {
      transfer(command);
      return;
    }
    if (command.op == models::MediaOp::kFlush) {
      ++flushes;
    } else {
      deallocated_bytes += command.bytes;
      forget(command.first_byte, command.bytes);
    }
    command.stages.stamp(base::Stage::kMapping, scheduler_.now());
    command.client->media_done(command, models::MediaStatus::kOk);
  }

  void transfer(models::MediaCommand& command) {
    const bool read = command.op == models::MediaOp::kRead;
    for (models::MediaPart& part : command.parts) {
      part.stages.stamp(base::Stage::kArray, scheduler_.now());
      if (read) {
        const auto found = data_.find(part.unit.value());
        part.data = found != data_.end() ? found->second : base::BufferRef{};
      } else {
        part.data = pool_.take();
      }
      command.client->media_ready(part);
    }
    if (read) command.client->media_done(command, models::MediaStatus::kOk);
  }

  void done(std::uint64_t argument) {
    auto& command = *reinterpret_cast<models::MediaCommand*>(argument);
    command.client->media_done(command, models::MediaStatus::kOk);
  }

  void forget(std::uint64_t first, std::uint64_t bytes) {
    while (bytes > 0) {
      const std::uint64_t unit = first / models::kUnitBytes;
      const std::uint64_t offset = first % models::kUnitBytes;
      const std::uint64_t here = std::min(bytes, models::kUnitBytes - offset);
      const auto found = data_.find(unit);
      if (found != data_.end()) {
        base::BufferRef fresh = pool_.take();
        std::memcpy(fresh->data(), found->second->data(), models::kUnitBytes);
        std::memset(fresh->data() + offset, 0, here);
        found->second = fresh;
      }
      first += here;
      bytes -= here;
    }
  }

  base::Scheduler& scheduler_;
  const std::uint64_t units_;
  const bool volatile_cache_;
  models::MediaPoints points_;
  base::BufferPool pool_{models::kUnitBytes};
  std::map<std::uint64_t, base::BufferRef> data_;
};

}  // namespace nvmesim::test
