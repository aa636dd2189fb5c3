// Names of processors and sets of them.
#pragma once

#include <bitset>
#include <cstdint>

#include "sim/base/strong_id.hpp"

namespace nvmesim::host {

struct CpuTag;
using CpuId = base::StrongId<CpuTag, std::uint16_t>;

// The message window names 256 processors.
inline constexpr std::size_t kMaxCpus = 256;
using CpuMask = std::bitset<kMaxCpus>;

// The processors of one of `nodes` nodes.
unsigned node_size(unsigned node, unsigned cpus, unsigned nodes);

}  // namespace nvmesim::host
