// What a drive is without power, as one file: what its controller remembers (namespaces, saved
// features, firmware, counters) and what its media hold (mapping, wear, data).
#pragma once

#include <string>
#include <string_view>

#include "device/controller.hpp"
#include "models/media.hpp"

namespace nvmesim::system_ {

// With no command open; power goes.
std::string save_drive(const device::Controller& controller, models::Media& media);

// Before the first enable. Throws UserError, naming `source`, for a file that is no state, is
// damaged, or is that of another drive.
void load_drive(std::string_view file, std::string_view source, device::Controller& controller,
                models::Media& media);

}  // namespace nvmesim::system_
