// How the guest's first program tells when the command begins and ends: it writes one byte to the
// Interrupt Line of the drive's configuration space (PCI 3.0, 6.2.4), which is software's own and
// means nothing to the drive. So the moment is exact, and the same in every run.
#pragma once

namespace nvmesim::bridge {

inline constexpr unsigned kInterruptLine = 0x3C;
inline constexpr unsigned char kCommandBegins = 0xB1;
inline constexpr unsigned char kCommandEnded = 0xE2;

}  // namespace nvmesim::bridge
