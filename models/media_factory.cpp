#include "models/media_factory.hpp"

#include <string>

#include "models/nand_media.hpp"
#include "models/xpoint/xpoint_media.hpp"

namespace nvmesim::models {

std::unique_ptr<Media> make_media(const MediaConfig& config, base::Scheduler& scheduler,
                                  std::uint64_t seed, base::StatisticsRegistry& statistics,
                                  std::string_view name, ConstructionOrder order) {
  if (config.kind == MediaKind::xpoint) {
    return std::make_unique<XpointMedia>(config, scheduler, seed, statistics, std::string(name),
                                         order);
  }
  return std::make_unique<NandMedia>(config, scheduler, seed, statistics, std::string(name), order);
}

}  // namespace nvmesim::models
