// A bare array: jobs at given times, driven directly, times to the picosecond.
#pragma once

#include <deque>
#include <string>

#include "models/nand/nand.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::models {

using base::Time;

inline constexpr Time kCommand = 500ns;
inline constexpr Time kStatus = 300ns;
inline constexpr Time kRead = 40us;
inline constexpr Time kPageIn = kCommand + 8us;
inline constexpr Time kProgram = 400us;
inline constexpr Time kErase = 3500us;

inline NandConfig one_die() {
  NandConfig config;
  config.channels = 1;
  config.dies_per_channel = 1;
  config.planes_per_die = 2;
  config.pages_per_block = 12;
  config.page_bytes = 8192;
  config.channel_mb_per_s = 1024;
  config.suspend_gap_ns = 60'000;
  return config;
}

// Jobs at given times; remembers when the array was done with each.
class Bench : public DieJobOwner {
 public:
  explicit Bench(const NandConfig& config)
      : shape(Geometry::make(config, 64, 0, 8)),
        nand(config, shape, scheduler, statistics, "media", ConstructionOrder::kForward) {}

  struct Job : DieJob {
    Time done{0};
    Time out{0};  // its data begins to leave the die, if it does
    std::uint32_t out_bytes = 0;
    bool dropped = false;
    Bench* bench = nullptr;
  };
  Job& at(Time when, JobClass job_class) {
    Job& job = jobs.emplace_back();
    job.bench = this;
    job.owner = this;
    job.job_class = job_class;
    job.pages = 2 * shape.program_rows;
    scheduler.at(when, base::Callback(
                           [](void* object, std::uint64_t) {
                             auto* each = static_cast<Job*>(object);
                             each->bench->nand.submit(*each);
                           },
                           &job, 0));
    return job;
  }
  void array_done(DieJob& done) override {
    auto& job = static_cast<Job&>(done);
    job.done = scheduler.now();
    if (job.out_bytes != 0) job.out = nand.transfer_out(job.die, job.out_bytes, false).start;
  }
  void job_dropped(DieJob& job) override { static_cast<Job&>(job).dropped = true; }
  std::uint64_t statistic(const std::string& name) const {
    for (const auto& each : statistics.statistics()) {
      if (each.name == "media.nand." + name) return each.value();
    }
    FAIL("no statistic is called " << name);
    return 0;
  }

  base::Scheduler scheduler{"scheduler"};
  base::StatisticsRegistry statistics;
  Geometry shape;
  std::deque<Job> jobs;
  Nand nand;
};

}  // namespace nvmesim::models
