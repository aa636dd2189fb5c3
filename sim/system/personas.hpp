// Personas: drives that the driver's quirk table knows, by the identity that makes it recognise
// them. A persona changes nothing but identity (ids, model, firmware) and what goes with its
// oddity; the drive behind it is the chosen one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nvmesim::system_ {

struct SystemConfig;

struct Persona {
  std::string_view name;
  std::uint16_t vendor;
  std::uint16_t device;
  std::string_view model;     // empty: the drive's own
  std::string_view firmware;  // empty: the drive's own
};

std::span<const Persona> personas();

// Gives the drive the persona named in device.persona, if any. Throws UserError for one that does
// not exist, with the nearest that does.
void apply_persona(SystemConfig& config);

}  // namespace nvmesim::system_
