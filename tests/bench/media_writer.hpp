// Keeps random 4 KiB writes going straight into a models::Media.
#pragma once

#include <cstdlib>
#include <deque>

#include "models/media.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::bench {

class MediaWriter : public models::MediaClient {
 public:
  MediaWriter(base::Scheduler& scheduler, models::Media& media, std::uint64_t units)
      : scheduler_(scheduler), media_(media), units_(units) {}

  // Keeps 256 writes going until `count` are done.
  void run(std::uint64_t count) {
    left_ = count;
    for (int i = 0; i < 256 && left_ > 0; ++i) {
      models::MediaCommand& command = commands_.emplace_back();
      command.op = models::MediaOp::kWrite;
      command.client = this;
      command.parts.resize(1);
      command.parts[0].bytes = models::kUnitBytes;
      next(command);
    }
    scheduler_.simulate();
  }

  void media_ready(models::MediaPart& part) override { media_.write_arrived(part); }
  void media_done(models::MediaCommand& command, models::MediaStatus status) override {
    if (status != models::MediaStatus::kOk) std::exit(1);
    if (left_ > 0) next(command);
  }

 private:
  void next(models::MediaCommand& command) {
    --left_;
    command.parts[0].unit = models::UnitId{random_.below(units_)};
    media_.start(command);
  }
  base::Scheduler& scheduler_;
  models::Media& media_;
  std::uint64_t units_;
  std::uint64_t left_ = 0;
  std::deque<models::MediaCommand> commands_;
  base::Random random_{1, "writer"};
};

}  // namespace nvmesim::bench
