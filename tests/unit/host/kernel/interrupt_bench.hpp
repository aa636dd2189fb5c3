// A device that sends the messages of its MSI-X table, and a handler that notes when and where it
// was called.
#pragma once

#include <vector>

#include "host/kernel/interrupts.hpp"
#include "tests/unit/host/kernel/fake_bus.hpp"

namespace nvmesim::host::test {

inline const pcie::RequesterId kFunction = FakeBus::function();

struct Recorder : IrqHandler {
  explicit Recorder(Machine& host_machine) : machine(host_machine) {}
  IrqReturn handle_irq() override {
    times.push_back(machine.now());
    cpus.push_back(machine.current_cpu()->id().value());
    machine.charge(work);
    return result;
  }
  Machine& machine;
  base::Time work{0};
  IrqReturn result = IrqReturn::kHandled;
  std::vector<base::Time> times;
  std::vector<unsigned> cpus;
};

// Sends the message that a table entry holds.
struct Device {
  QuietHost& host;
  void send(std::uint64_t vector) {
    const auto index = static_cast<unsigned>(vector);
    host.machine.message_interrupt(host.bus.msix(index, 0), host.bus.msix(index, 2));
  }
};

inline HostConfig four_cpus() {
  HostConfig config;
  config.cpus = 4;
  config.interrupt_ns = 600;
  config.context_switch_ns = 400;
  return config;
}

}  // namespace nvmesim::host::test
