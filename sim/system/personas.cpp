#include "sim/system/personas.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {
namespace {

// Ids of the public PCI id repository; oddities of the Linux driver's table.
constexpr Persona kPersonas[] = {
    {"intel-0953", 0x8086, 0x0953, "", ""},     // striped, write zeroes by deallocation
    {"intel-0a53", 0x8086, 0x0a53, "", ""},     // the same
    {"intel-0a54", 0x8086, 0x0a54, "", ""},     // and a useless SUBNQN
    {"intel-0a55", 0x8086, 0x0a55, "", ""},     // as 0953
    {"intel-f1a5", 0x8086, 0xf1a5, "", ""},     // deepest power state, queue priority
    {"intel-f1a6", 0x8086, 0xf1a6, "", ""},     // useless SUBNQN
    {"qemu-5845", 0x8086, 0x5845, "", ""},      // Identify CNS, write zeroes
    {"qemu-0010", 0x1b36, 0x0010, "", ""},      // identifiers mean nothing (6.1)
    {"sm-2263", 0x126f, 0x2263, "", ""},        // no descriptor list
    {"seagate-0100", 0x1bb1, 0x0100, "", ""},   // late ready, no descriptor list
    {"hgst-0003", 0x1c58, 0x0003, "", ""},      // late ready
    {"hgst-0023", 0x1c58, 0x0023, "", ""},      // late ready
    {"memblaze-0540", 0x1c5f, 0x0540, "", ""},  // late ready
    {"samsung-a821", 0x144d, 0xa821, "", ""},   // late ready
    {"samsung-a822", 0x144d, 0xa822, "", ""},   // late ready, write zeroes, SUBNQN
    {"phison-5016", 0x1987, 0x5016, "", ""},    // useless SUBNQN
    {"realtek-5762", 0x10ec, 0x5762, "", ""},   // useless SUBNQN
    {"marvell-1092", 0x1b4b, 0x1092, "", ""},   // no descriptor list, SUBNQN
    {"adata-8201", 0x1cc1, 0x8201, "", ""},     // deepest power state, SUBNQN
    {"hynix-1504", 0x1c5c, 0x1504, "", ""},     // write zeroes
    {"sandisk-2001", 0x15b7, 0x2001, "", ""},   // write zeroes
    {"spcc-2263", 0x1d97, 0x2263, "", ""},      // write zeroes
    {"kingston-2262", 0x2646, 0x2262, "", ""},  // deepest power state
    {"kingston-2263", 0x2646, 0x2263, "", ""},  // deepest power state
    {"apple-2001", 0x106b, 0x2001, "", ""},     // one command at a time, one vector
    {"toshiba-thnsf5", 0x1179, 0x010f, "THNSF5256GPUK TOSHIBA", ""},  // no power state changes
    {"liteon-2230", 0x14a4, 0x22f1, "", "22301111"},                  // simple suspend
    {"kioxia-kcd6", 0x1e0f, 0x0007, "KCD6XVUL6T40", ""},            // no power state changes (6.1)
    {"samsung-x5", 0x144d, 0xa804, "Samsung Portable SSD X5", ""},  // three of them (6.1)
};

}  // namespace

std::span<const Persona> personas() {
  return kPersonas;
}

void apply_persona(SystemConfig& config) {
  const std::string& wanted = config.device.persona;
  if (wanted.empty()) return;
  std::vector<std::string> names;
  for (const Persona& persona : kPersonas) {
    names.emplace_back(persona.name);
    if (persona.name != wanted) continue;
    config.device.endpoint.vendor_id = persona.vendor;
    config.device.endpoint.device_id = persona.device;
    config.device.endpoint.subsystem_vendor_id = persona.vendor;
    auto& identity = config.device.controller.identity;
    if (!persona.model.empty()) identity.model_number = persona.model;
    if (!persona.firmware.empty()) identity.firmware_revision = persona.firmware;
    return;
  }
  const std::string near = base::nearest_key(wanted, names);
  throw base::UserError(fmt::format("device.persona: no persona '{}'{}; known: {}", wanted,
                                    near.empty() ? "" : fmt::format(", did you mean {}?", near),
                                    fmt::join(names, ", ")));
}

}  // namespace nvmesim::system_
