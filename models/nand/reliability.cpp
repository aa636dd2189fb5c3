#include "models/nand/reliability.hpp"

#include <algorithm>

namespace nvmesim::models {
namespace {

constexpr std::int64_t kDayPs = std::int64_t{86'400} * 1'000'000'000'000;

}  // namespace

Reliability::Reliability(const ReliabilityConfig& config, const Geometry& geometry,
                         std::uint64_t seed, base::StatisticsRegistry& statistics,
                         const std::string& name)
    : config_(config),
      soft_decode_(std::int64_t{config.soft_decode_ns} * 1000),
      errors_(seed, name + ".bit_errors"),
      failures_(seed, name + ".failures"),
      planes_(geometry.planes),
      spares_(geometry.dies * geometry.planes, config.spare_blocks_per_plane) {
  if (config.factory_bad_per_million > 0) {
    base::Random factory(seed, name + ".factory_bad");
    for (std::uint32_t& spare : spares_) {
      for (std::uint32_t block = 0; block < geometry.superblocks; ++block) {
        if (!factory.chance(config.factory_bad_per_million, 1'000'000)) continue;
        ++factory_bad_;
        if (spare > 0) --spare;
      }
    }
  }
  statistics.add(name + ".reliability.retried_reads", "1", "units that needed a read retry",
                 retried_);
  statistics.add(name + ".reliability.read_retries", "1", "read retries", retries_);
  statistics.add(name + ".reliability.soft_decodes", "1", "units that needed a soft decode", soft_);
  statistics.add(name + ".reliability.lost_units", "1",
                 "unit reads that the decoder could not correct", lost_);
  statistics.add(name + ".reliability.rebuilt_units", "1", "of these, rebuilt from parity",
                 rebuilt_);
  statistics.add(name + ".reliability.factory_bad_blocks", "1", "blocks bad from the factory",
                 factory_bad_);
  statistics.add(name + ".reliability.grown_bad_blocks", "1", "blocks that went bad since",
                 grown_bad_);
}

std::uint64_t Reliability::rber_ppb(const Age& age) const {
  const std::uint64_t cycles = std::uint64_t{age.cycles} + config_.initial_cycles;
  const std::uint64_t days = static_cast<std::uint64_t>(age.retention.count() / kDayPs) +
                             (age.initial ? config_.initial_retention_days : 0);
  return config_.rber_ppb + config_.wear_rber_ppb_per_kcycle * cycles / 1000 +
         config_.retention_rber_ppb_per_day * days * (1000 + cycles) / 1000 +
         std::uint64_t{config_.read_rber_ppb_per_kread} * age.reads / 1000;
}

Reliability::Outcome Reliability::read(const Age& age, bool limited) {
  const std::uint64_t spread = 2 * std::uint64_t{config_.variation_percent} + 1;
  const std::uint64_t percent = 100 - config_.variation_percent + errors_.below(spread);
  std::uint64_t rate = rber_ppb(age) * percent / 100;
  Outcome outcome;
  const std::uint32_t most =
      limited ? std::min(config_.limited_retries, config_.max_retries) : config_.max_retries;
  while (rate > config_.ecc_limit_ppb && outcome.retries < most) {
    rate = rate * config_.retry_gain_percent / 100;
    ++outcome.retries;
  }
  if (rate > config_.ecc_limit_ppb && limited) {
    outcome.lost = true;
  } else if (rate > config_.ecc_limit_ppb) {
    outcome.soft = true;
    outcome.lost = rate > config_.soft_limit_ppb;
    ++soft_;
  }
  if (outcome.retries > 0) ++retried_;
  retries_ += outcome.retries;
  return outcome;
}

bool Reliability::refresh_due(const Age& age) const {
  if (config_.refresh_reads != 0 && age.reads >= config_.refresh_reads) return true;
  if (config_.refresh_days == 0) return false;
  const std::uint64_t days = static_cast<std::uint64_t>(age.retention.count() / kDayPs) +
                             (age.initial ? config_.initial_retention_days : 0);
  return days >= config_.refresh_days;
}

bool Reliability::program_fails() {
  return config_.program_fail_per_million != 0 &&
         failures_.chance(config_.program_fail_per_million, 1'000'000);
}

bool Reliability::erase_fails() {
  return config_.erase_fail_per_million != 0 &&
         failures_.chance(config_.erase_fail_per_million, 1'000'000);
}

bool Reliability::take_spare(std::uint32_t plane) {
  ++grown_bad_;
  if (spares_[plane] == 0) return false;
  --spares_[plane];
  return true;
}

}  // namespace nvmesim::models
