// What a machine's firmware does before the kernel starts, for a kernel that sees the drive alone
// on its bus: finds the function behind the ports, sets up the path to it, and opens the ports for
// the addresses that the kernel itself will give to BARs. One thread of the simulation, done once.
#pragma once

#include <functional>

#include "pcie/enumerator.hpp"
#include "sim/bridge/pci_function.hpp"

namespace nvmesim::bridge {

class Firmware : public sc_core::sc_module, private pcie::ConfigAccess {
 public:
  struct Options {
    pcie::MmioWindow window;
    pcie::EnumerationOptions enumeration;
    std::function<bool()> trained;  // the links are up
  };
  // Calls `done` with the first function that it found, or with none.
  using Done = std::function<void(const pcie::FunctionInfo*)>;

  Firmware(sc_core::sc_module_name name, base::Scheduler& scheduler, PciFunction& bus,
           Options options, Done done);

 private:
  void run();
  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override;
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override;
  std::uint32_t access(tlm::tlm_command command, pcie::RequesterId function, unsigned offset,
                       std::uint32_t value);
  void answered();

  base::Scheduler& scheduler_;
  PciFunction& bus_;
  const Options options_;
  const Done done_;
  sc_core::sc_event answer_;
  bool answered_ = false;
};

}  // namespace nvmesim::bridge
