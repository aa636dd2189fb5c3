#include "models/media_factory.hpp"

#include <string>
#include <type_traits>
#include <utility>

#include "models/map_cache_media.hpp"
#include "models/nand_media.hpp"
#include "models/xpoint/xpoint_media.hpp"

namespace nvmesim::models {

namespace {

template <class Medium>
std::unique_ptr<Media> make_medium(const MediaConfig& config, base::Scheduler& scheduler,
                                   std::uint64_t seed, base::StatisticsRegistry& statistics,
                                   const std::string& name, ConstructionOrder order) {
  auto medium = std::make_unique<Medium>(config, scheduler, seed, statistics, name, order);
  if (config.map_cache.bytes == 0) return medium;
  TablePages& pages = medium->table();
  auto cached = std::make_unique<MapCacheMedia>(config.map_cache, std::move(medium), pages,
                                                scheduler, statistics, name);
  if constexpr (std::is_same_v<Medium, NandMedia>) {
    if (config.map_cache.write_back) {
      static_cast<NandTable&>(pages).set_updates(cached->cache());
    }
  }
  return cached;
}

}  // namespace

std::unique_ptr<Media> make_media(const MediaConfig& config, base::Scheduler& scheduler,
                                  std::uint64_t seed, base::StatisticsRegistry& statistics,
                                  std::string_view name, ConstructionOrder order) {
  check_media(config);
  const auto make =
      config.kind == MediaKind::xpoint ? &make_medium<XpointMedia> : &make_medium<NandMedia>;
  return make(config, scheduler, seed, statistics, std::string(name), order);
}

}  // namespace nvmesim::models
