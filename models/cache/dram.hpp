// The controller's DRAM as one resource: data that enters or leaves the write buffer and the read
// cache, and accesses to the mapping table, pass it one after the other. Without a bandwidth
// (the default) it costs nothing. Data that is read from the NAND straight to the host does not
// pass it.
#pragma once

#include <string>

#include "models/cache/dram_config.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::models {

class Dram {
 public:
  Dram(const DramConfig& config, base::Scheduler& scheduler, base::StatisticsRegistry& statistics,
       const std::string& name)
      : scheduler_(scheduler),
        limited_(config.mb_per_s != 0),
        map_bytes_(config.map_access_bytes),
        pace_(base::Pace::bytes_per_second(limited_ ? std::uint64_t{config.mb_per_s} * 1'000'000
                                                    : 1)),
        line_(name + ".dram") {
    if (!limited_) return;
    statistics.add(line_.name() + ".bytes", "bytes", "that passed the DRAM", bytes_);
    statistics.add_utilisation(line_.name(), "dram", [this] { return line_.busy(); });
  }

  bool limited() const { return limited_; }
  // Moves so many bytes, asked for now: when they have passed.
  base::Time pass(std::uint64_t bytes) {
    if (!limited_ || bytes == 0) return scheduler_.now();
    bytes_ += bytes;
    const base::Time duration = pace_(bytes);
    return line_.reserve(scheduler_.now(), duration) + duration;
  }
  // So many look-ups or updates of the mapping table.
  base::Time map_accesses(std::uint64_t count) { return pass(count * map_bytes_); }

 private:
  base::Scheduler& scheduler_;
  bool limited_;
  std::uint32_t map_bytes_;
  base::Pace pace_;
  base::Timeline line_;
  std::uint64_t bytes_ = 0;
};

}  // namespace nvmesim::models
