// How a command in flight is named in the whole system: the PCI function id of its controller, the
// id of its submission queue and its CID. A host that reuses a CID while the old command is in
// flight breaks the specification (4.2); hosts put a generation into the CID's upper bits.
#pragma once

#include <cstdint>

#include "device/spec/commands.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::device::spec {

constexpr base::CommandKey command_key(std::uint16_t function, std::uint16_t sqid,
                                       std::uint16_t cid) {
  return {function, sqid, cid};
}
// From a completion entry, as a host sees it.
constexpr base::CommandKey command_key(std::uint16_t function, const CompletionEntry& entry) {
  return {function, entry.sqid, entry.cid};
}

}  // namespace nvmesim::device::spec
