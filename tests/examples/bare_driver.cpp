// A driver developer's own driver, bare metal: registers, memory and an interrupt through
// call-backs. It runs against the simulated drive without ours: enables it, asks who it is.
#include <fmt/format.h>

#include <cstring>

#include "sim/system/system.hpp"

namespace {

using namespace nvmesim;

// --- the platform, below the driver
struct Platform : host::IrqHandler {
  Platform(host::Machine& host_machine, const pcie::FunctionInfo& function)
      : machine(host_machine), bar(function.bars[0].address) {
    machine.write16(function.id, 4, 6);  // PCI: memory space and bus master
    machine.interrupts.alloc_irq_vectors(function.id, 1, 1);
    machine.interrupts.request_irq(function.id, 0, *this, "bare");
  }
  host::IrqReturn handle_irq() override {
    interrupted = true;
    return host::IrqReturn::kHandled;
  }
  std::uint32_t read32(std::uint32_t offset) { return machine.readl(bar + offset); }
  void write32(std::uint32_t offset, std::uint32_t v) { machine.writel(bar + offset, v); }
  void write64(std::uint32_t offset, std::uint64_t v) {
    write32(offset, static_cast<std::uint32_t>(v));
    write32(offset + 4, static_cast<std::uint32_t>(v >> 32));
  }
  void wait() { machine.threads.msleep(1); }

  host::Machine& machine;
  const std::uint64_t bar;
  bool interrupted = false;
};

// --- the driver: queues and data lie in three pages from `dma` on
std::string identify(Platform& on, std::uint64_t dma) {
  on.write32(0x24, 7 << 16 | 7);  // AQA: 8 entries each
  on.write64(0x28, dma);          // ASQ
  on.write64(0x30, dma + 4096);   // ACQ
  on.write32(0x14, 4 << 20 | 6 << 16 | 1);
  while ((on.read32(0x1c) & 1) == 0) on.wait();  // CSTS.RDY
  std::uint32_t command[16] = {0x06};            // Identify
  const std::uint64_t page = dma + 8192;
  std::memcpy(&command[6], &page, sizeof page);
  command[10] = 1;  // the controller
  on.machine.memory.copy_in(dma, command, sizeof command);
  on.write32(0x1000, 1);  // tail of the admin submission queue
  while (!on.interrupted) on.wait();
  on.write32(0x1004, 1);  // head of the completion queue
  char model[40];
  on.machine.memory.copy_out(page + 24, model, sizeof model);
  return std::string(model, sizeof model);
}

}  // namespace

int sc_main(int, char**) {
  system_::System system(system_::load_config({.drive = "p4800x"}));
  std::string model;
  const bool ended = system.run([&] {
    Platform platform(system.machine(), system.find_functions().at(0));
    model = identify(platform, system.machine().pages.dma_alloc_coherent(3 * 4096).address);
  });
  fmt::print("{}\n", model);
  return ended && model.starts_with("nvmesim P4800X") ? 0 : 1;
}
