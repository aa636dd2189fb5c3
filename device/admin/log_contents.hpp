// The contents of the log pages, one function each: the whole page as bytes.
#pragma once

#include <cstddef>
#include <vector>

namespace nvmesim::device {

struct Core;
struct Command;

using LogBytes = std::vector<std::byte>;

LogBytes error_page(Core& core, const Command& command);
LogBytes smart_page(Core& core, const Command& command);
LogBytes firmware_page(Core& core, const Command& command);
LogBytes changed_namespaces_page(Core& core, const Command& command);
LogBytes effects_page(Core& core, const Command& command);
LogBytes self_test_page(Core& core, const Command& command);
LogBytes host_telemetry_page(Core& core, const Command& command);
LogBytes controller_telemetry_page(Core& core, const Command& command);
LogBytes endurance_page(Core& core, const Command& command);
LogBytes endurance_aggregate_page(Core& core, const Command& command);
LogBytes ana_page(Core& core, const Command& command);
LogBytes persistent_event_page(Core& core, const Command& command);
LogBytes feature_effects_page(Core& core, const Command& command);
LogBytes mi_effects_page(Core& core, const Command& command);
LogBytes sanitize_page(Core& core, const Command& command);
LogBytes ocp_smart_page(Core& core, const Command& command);

// A new telemetry log of the host (log page 07h with LSP bit 0).
void create_host_telemetry(Core& core);

}  // namespace nvmesim::device
