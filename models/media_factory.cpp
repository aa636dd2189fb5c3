#include "models/media_factory.hpp"

#include <string>

#include "models/map_cache_media.hpp"
#include "models/nand_media.hpp"
#include "models/xpoint/xpoint_media.hpp"

namespace nvmesim::models {

namespace {

std::unique_ptr<Media> make_medium(const MediaConfig& config, base::Scheduler& scheduler,
                                   std::uint64_t seed, base::StatisticsRegistry& statistics,
                                   std::string_view name, ConstructionOrder order) {
  if (config.kind == MediaKind::xpoint) {
    return std::make_unique<XpointMedia>(config, scheduler, seed, statistics, std::string(name),
                                         order);
  }
  return std::make_unique<NandMedia>(config, scheduler, seed, statistics, std::string(name), order);
}

}  // namespace

std::unique_ptr<Media> make_media(const MediaConfig& config, base::Scheduler& scheduler,
                                  std::uint64_t seed, base::StatisticsRegistry& statistics,
                                  std::string_view name, ConstructionOrder order) {
  check_media(config);
  auto medium = make_medium(config, scheduler, seed, statistics, name, order);
  if (config.map_cache.bytes == 0) return medium;
  return std::make_unique<MapCacheMedia>(config.map_cache, std::move(medium), scheduler, statistics,
                                         std::string(name));
}

}  // namespace nvmesim::models
