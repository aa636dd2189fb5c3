// What stands above the root complex: our simulated host (host::Machine) or a real kernel
// (sim/bridge). It owns three things: a memory target bound to RootComplex::memory, an interrupt
// sink, and the initiator of MMIO and configuration accesses bound to RootComplex::cpu.
#pragma once

#include <cstdint>

namespace nvmesim::pcie {

// Message-signalled interrupts are posted writes into this window (as on x86); the root complex
// takes them out of the memory stream and hands them to the port.
inline constexpr std::uint64_t kMsiWindowBase = 0xFEE0'0000;
inline constexpr std::uint64_t kMsiWindowBytes = 0x10'0000;

class HostPort {
 public:
  virtual ~HostPort() = default;
  // A write of `data` to `address` in the message window arrived, at Scheduler::now(), behind every
  // write of that function that was sent before it.
  virtual void message_interrupt(std::uint64_t address, std::uint32_t data) = 0;
  // A pin of what hangs below root port n has changed its level: line 4 n + 0 to 3 for INTA to
  // INTD.
  virtual void pin_interrupt(unsigned /*line*/, bool /*asserted*/) {}
};

}  // namespace nvmesim::pcie
