// What goes wrong in the array. The raw bit error rate of a read grows with wear, retention and
// reads since the erase; against the decoder's limit it says how many read retries, each at better
// voltages, and whether a soft decode are needed, or that the data is lost. Programs and erases
// fail at random: the block goes bad and a spare of its plane takes its place, while there is one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/nand/geometry.hpp"
#include "models/nand/reliability_config.hpp"
#include "sim/base/random.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

class Reliability {
 public:
  struct Age {
    std::uint32_t cycles = 0;  // erases, those before the simulation not counted
    std::uint32_t reads = 0;   // since the erase
    base::Time retention{0};   // since it was programmed, in the simulation
    bool initial = false;      // it was programmed before the simulation
  };
  struct Outcome {
    std::uint32_t retries = 0;
    bool soft = false;  // the last try needs a soft decode
    bool lost = false;  // and even that fails
  };

  Reliability(const ReliabilityConfig& config, const Geometry& geometry, std::uint64_t seed,
              base::StatisticsRegistry& statistics, const std::string& name);

  bool bit_errors() const { return config_.bit_errors; }
  // Whether ages are asked for at all.
  bool ages() const {
    return config_.bit_errors || config_.refresh_reads != 0 || config_.refresh_days != 0;
  }
  // Raw bit error rate without its variation, in 1e-9.
  std::uint64_t rber_ppb(const Age& age) const;
  // Draws. Only with bit_errors. limited: after limited_retries the data is given up, without a
  // soft decode.
  Outcome read(const Age& age, bool limited = false);
  base::Time soft_decode_time() const { return soft_decode_; }
  // Whether a superblock of that age is due to be written anew.
  bool refresh_due(const Age& age) const;

  bool program_fails();
  // Of one block.
  bool erase_fails();
  // Planes are numbered die by die. One of those of the die, at random.
  std::uint32_t draw_plane(std::uint32_t die) {
    return die * planes_ + static_cast<std::uint32_t>(failures_.below(planes_));
  }
  // The block of a superblock on that plane is bad. False if the plane has no spare left.
  bool take_spare(std::uint32_t plane);
  std::uint32_t planes() const { return static_cast<std::uint32_t>(spares_.size()); }
  std::uint32_t spares(std::uint32_t plane) const { return spares_[plane]; }
  void set_spares(std::uint32_t plane, std::uint32_t count) { spares_[plane] = count; }

  void count_lost() { ++lost_; }
  void count_rebuilt() { ++rebuilt_; }

 private:
  const ReliabilityConfig config_;
  base::Time soft_decode_;
  base::Random errors_;
  base::Random failures_;
  std::uint32_t planes_;               // of a die
  std::vector<std::uint32_t> spares_;  // by plane
  std::uint64_t retries_ = 0;
  std::uint64_t retried_ = 0;
  std::uint64_t soft_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t rebuilt_ = 0;
  std::uint64_t factory_bad_ = 0;
  std::uint64_t grown_bad_ = 0;
};

}  // namespace nvmesim::models
