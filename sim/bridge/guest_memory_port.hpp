// The other host's memory as a TLM target behind RootComplex::memory: the device's DMA ends
// directly in it. Writes take effect at their arrival; a read samples memory at its arrival, and
// its completion leaves after a latency. A write to the kernel's address for messages is an
// interrupt.
#pragma once

#include "pcie/host_port.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"
#include "sim/bridge/command_watch.hpp"
#include "sim/bridge/guest_memory.hpp"

namespace nvmesim::bridge {

// Where User-Mode Linux has its interrupt messages written, and the number of the interrupt is the
// data.
inline constexpr std::uint64_t kMessageAddress = 0xA'0000;

struct GuestMemoryTiming {
  base::Time read_latency{0};
  base::Pace read_pace;
};

class GuestMemoryPort : public sc_core::sc_module {
 private:
  void request(base::GenericPayload& payload);
  unsigned debug(base::GenericPayload& payload);

 public:
  base::TargetSocket<GuestMemoryPort, &GuestMemoryPort::request, &GuestMemoryPort::debug> port;

  GuestMemoryPort(sc_core::sc_module_name name, base::Scheduler& scheduler,
                  const GuestMemoryTiming& timing, pcie::HostPort& interrupts);

  void connect(const GuestMemory& memory) { memory_ = &memory; }
  // Sees what the drive reads and writes, at that moment.
  void set_command_watch(CommandWatch& watch) { commands_ = &watch; }

 private:
  bool access(base::GenericPayload& payload);
  void answer(std::uint64_t payload);

  base::Scheduler& scheduler_;
  const GuestMemoryTiming timing_;
  pcie::HostPort& interrupts_;
  const GuestMemory* memory_ = nullptr;
  CommandWatch* commands_ = nullptr;
};

}  // namespace nvmesim::bridge
