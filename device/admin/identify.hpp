// The structures of Identify that describe namespaces and what they are made of; identify.cpp has
// the table of CNS values and the rest. Each fills command.staged, which is all zeroes.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "models/media.hpp"

namespace nvmesim::device {

struct Core;

void identify_namespace(Core& core, Command& command);
// All zeroes for an NSID that is not allocated.
void identify_allocated(Core& core, Command& command);
void identify_independent(Core& core, Command& command);
void identify_descriptors(Core& core, Command& command);
void identify_nvm_sets(Core& core, Command& command);
void identify_endurance_groups(Core& core, Command& command);
void identify_granularity(Core& core, Command& command);

template <class Structure>
Structure& structure_in(Command& command) {
  return *reinterpret_cast<Structure*>(command.staged->data());
}

inline std::uint64_t unit_bytes(std::uint64_t units) {
  return units * models::kUnitBytes;
}

}  // namespace nvmesim::device
