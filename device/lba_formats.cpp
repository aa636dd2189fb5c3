#include "device/lba_formats.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

bool formats_offered(const Core& core) {
  return core.config.management.format || core.config.management.namespaces;
}

std::vector<spec::LbaFormat> lba_formats(const Core& core) {
  std::vector<spec::LbaFormat> formats;
  for (const std::uint8_t shift : {std::uint8_t{9}, std::uint8_t{12}}) {
    for (const unsigned metadata : {0u, 8u, 16u, 64u}) {
      if (metadata != 0 && !core.media.keeps_spare()) continue;
      formats.push_back({static_cast<std::uint16_t>(metadata), shift, 0});
    }
  }
  return formats;
}

std::uint8_t format_index(const Core& core, const Namespace& space) {
  if (!formats_offered(core)) return 0;
  const auto formats = lba_formats(core);
  for (std::size_t i = 0; i < formats.size(); ++i) {
    if (formats[i].lbads == space.format.block_shift &&
        formats[i].ms == space.format.metadata_bytes) {
      return static_cast<std::uint8_t>(i);
    }
  }
  return 0;
}

bool choose_format(const Core& core, unsigned index, bool extended, unsigned protection, bool first,
                   BlockFormat& format) {
  const auto formats = lba_formats(core);
  if (index >= formats.size() || protection > 3) return false;
  const std::uint16_t metadata = formats[index].ms;
  if (protection != 0 && metadata < 8) return false;
  format = {formats[index].lbads, metadata, extended && metadata != 0, protection,
            first && protection != 0};
  return true;
}

}  // namespace nvmesim::device
