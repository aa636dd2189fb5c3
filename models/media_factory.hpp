// Builds the medium that a configuration names. The only place that chooses among media.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "models/media.hpp"
#include "models/media_config.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::models {

// For tests: results do not depend on the order in which channels come into being.
enum class ConstructionOrder : std::uint8_t { kForward, kReverse };

// Throws UserError if the configuration names what has no effect on its medium. Part of
// make_media().
void check_media(const MediaConfig& config);

// Scheduler and registry must outlive the media; statistics are entered under `name`. Throws
// UserError if the configuration cannot be built (its text names the parameter, not the file).
std::unique_ptr<Media> make_media(const MediaConfig& config, base::Scheduler& scheduler,
                                  std::uint64_t seed, base::StatisticsRegistry& statistics,
                                  std::string_view name = "device.media",
                                  ConstructionOrder order = ConstructionOrder::kForward);

}  // namespace nvmesim::models
