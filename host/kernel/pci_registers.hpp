// Registers of PCI functions as the kernel's PCI core and drivers write them: offsets in
// configuration space or in a capability, and their bits (PCI Express base specification 7.5 and
// 7.8). Those of one user are in its file.
#pragma once

#include <cstdint>

namespace nvmesim::host::pci {

// Configuration header.
inline constexpr unsigned kCommand = 0x04;  // Status in the upper half
inline constexpr unsigned kFirstBar = 0x10;
inline constexpr unsigned kInterruptLine = 0x3C;  // with the pin in the byte behind it
// Of a bridge: Bridge Control is the upper half of the same double word.
inline constexpr unsigned kBridgeControl = 0x3C;
inline constexpr std::uint32_t kSecondaryReset = 1u << 22;

// PCI Express capability.
inline constexpr unsigned kDeviceCapabilities = 0x04;
inline constexpr std::uint32_t kFlrCapable = 1u << 28;
inline constexpr unsigned kDeviceControl = 0x08;
inline constexpr std::uint32_t kReportAllErrors = 0xF;
inline constexpr std::uint16_t kInitiateFlr = 1u << 15;
inline constexpr unsigned kLinkStatus = 0x12;
inline constexpr std::uint16_t kLinkActive = 1u << 13;
inline constexpr unsigned kSlotCapabilities = 0x14;
inline constexpr std::uint32_t kPowerController = 1u << 1;
inline constexpr unsigned kSlotControl = 0x18;
inline constexpr std::uint16_t kPowerOff = 1u << 10;

// Power management capability.
inline constexpr unsigned kPowerControl = 0x04;  // PMCSR
inline constexpr unsigned kD3Hot = 3;

// What software waits at most for a link to come back, and what a function may take after a reset
// before it answers (6.6.1, 6.6.2).
inline constexpr unsigned kLinkMs = 1000;
inline constexpr unsigned kSettleMs = 100;

}  // namespace nvmesim::host::pci
