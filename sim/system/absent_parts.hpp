// Parts that a configuration may be without, and the parameters that nobody reads then. One list
// for all rooms: a parameter that reads only behind a switch of its room gets its row here.
#pragma once

#include <vector>

#include "sim/system/effects.hpp"

namespace nvmesim::system_ {

std::vector<Unread> absent_parts(const SystemConfig& config);

}  // namespace nvmesim::system_
