// The LBA formats that Identify lists and Format NVM and Namespace Management choose from. Without
// these commands a namespace has the one format of its configuration.
#pragma once

#include <cstdint>
#include <vector>

#include "device/block_format.hpp"
#include "device/spec/identify.hpp"

namespace nvmesim::device {

struct Core;
struct Namespace;

// 512 and 4096 bytes, each with 0, 8, 16 and 64 bytes of metadata if the media keeps them.
std::vector<spec::LbaFormat> lba_formats(const Core& core);
// Index of the namespace's format in the list.
std::uint8_t format_index(const Core& core, const Namespace& space);
// False if there is no such format, or it cannot have this metadata setting and protection.
bool choose_format(const Core& core, unsigned index, bool extended, unsigned protection, bool first,
                   BlockFormat& format);
bool formats_offered(const Core& core);

}  // namespace nvmesim::device
