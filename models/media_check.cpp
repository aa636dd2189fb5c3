// What a configuration names must have an effect on the medium that it describes.
#include <fmt/format.h>

#include <string_view>

#include "models/media_factory.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::models {
namespace {

// How a drive begins is told to every kind of medium alike (--precondition, --fill).
bool of_the_beginning(std::string_view key) {
  return key == "prefill_percent" || key == "precondition";
}

// A section of parameters that this kind of medium does not have must be as it is by default.
template <class Section>
void refuse_changed(std::string_view name, const Section& section, std::string_view kind) {
  const boost::json::value defaults = base::write_config(Section{});
  const boost::json::value ours = base::write_config(section);
  for (const auto& [key, value] : ours.as_object()) {
    if (defaults.at(key) == value || of_the_beginning(key)) continue;
    throw base::UserError(fmt::format("{}.{}: a medium of kind {} has no such part; leave it out",
                                      name, std::string_view(key), kind));
  }
}

}  // namespace

void check_media(const MediaConfig& config) {
  if (config.kind == MediaKind::xpoint) {
    refuse_changed("nand", config.nand, "xpoint");
    refuse_changed("reliability", config.reliability, "xpoint");
    refuse_changed("ftl", config.ftl, "xpoint");
    refuse_changed("write_buffer", config.write_buffer, "xpoint");
    refuse_changed("read_cache", config.read_cache, "xpoint");
    refuse_changed("dram", config.dram, "xpoint");
  } else {
    refuse_changed("xpoint", config.xpoint, "nand");
  }
  if (config.map_cache.write_back && config.map_cache.bytes == 0) {
    throw base::UserError(
        "map_cache.write_back: with all of the table in the controller "
        "(map_cache.bytes 0) nothing is written back");
  }
  if (config.ftl.copyback && config.nand.one_shot && config.nand.cell_bits > 1) {
    throw base::UserError(
        "ftl.copyback: a read leaves less in the die than a one_shot program takes");
  }
}

}  // namespace nvmesim::models
