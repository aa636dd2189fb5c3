// A driver developer's own driver, bare metal: it knows registers, memory and an interrupt through
// call-backs, and runs against the simulated drive without ours. It enables the controller, asks
// who it is, and shuts it down.
#include <fmt/format.h>

#include <cstring>
#include <functional>

#include "device/spec/identify.hpp"
#include "sim/system/system.hpp"

namespace {

// --- the driver: nothing in here knows that it is simulated
struct Platform {
  std::function<std::uint32_t(std::uint32_t offset)> read32;
  std::function<void(std::uint32_t offset, std::uint32_t value)> write32;
  std::function<void(std::uint64_t address, const void*, std::size_t)> to_memory;
  std::function<void(std::uint64_t address, void*, std::size_t)> from_memory;
  std::function<void()> wait;  // sleeps until something may have happened
};

class TinyDriver {
 public:
  TinyDriver(Platform platform, std::uint64_t dma) : on(std::move(platform)), dma_(dma) {}

  std::string identify() {
    on.write32(0x14, 0);  // CC.EN = 0
    while ((on.read32(0x1c) & 1) != 0) on.wait();
    on.write32(0x24, 7 << 16 | 7);  // AQA: 8 entries each
    on.write32(0x28, static_cast<std::uint32_t>(dma_));
    on.write32(0x2c, static_cast<std::uint32_t>(dma_ >> 32));
    on.write32(0x30, static_cast<std::uint32_t>(dma_ + 4096));
    on.write32(0x34, static_cast<std::uint32_t>((dma_ + 4096) >> 32));
    on.write32(0x14, 4 << 20 | 6 << 16 | 1);
    while ((on.read32(0x1c) & 1) == 0) on.wait();

    std::uint32_t command[16] = {0x06};  // Identify
    std::memcpy(&command[6], &data_page(), 8);
    command[10] = 1;  // the controller
    on.to_memory(dma_, command, sizeof command);
    on.write32(0x1000, 1);           // tail of the admin queue
    while (!interrupted) on.wait();  // set by the interrupt
    std::uint16_t status = 0;
    on.from_memory(dma_ + 4096 + 14, &status, 2);
    on.write32(0x1004, 1);  // head
    char model[40];
    on.from_memory(data_page() + 24, model, sizeof model);
    on.write32(0x14, on.read32(0x14) | 1 << 14);  // CC.SHN
    while ((on.read32(0x1c) >> 2 & 3) != 2) on.wait();
    return (status >> 1) == 0 ? std::string(model, sizeof model) : "error";
  }
  bool interrupted = false;

 private:
  const std::uint64_t& data_page() const { return page_; }
  Platform on;
  std::uint64_t dma_;
  std::uint64_t page_ = dma_ + 8192;
};

// --- the simulated platform below it
using namespace nvmesim;

struct Interrupt : host::IrqHandler {
  explicit Interrupt(TinyDriver& tiny) : driver(tiny) {}
  host::IrqReturn handle_irq() override {
    driver.interrupted = true;
    return host::IrqReturn::kHandled;
  }
  TinyDriver& driver;
};

}  // namespace

int sc_main(int, char**) {
  system_::ConfigRequest request;
  request.drive = "p4800x";
  system_::System system(system_::load_config(request));
  std::string model;
  const bool ended = system.run([&] {
    host::Machine& machine = system.machine();
    const pcie::FunctionInfo function = system.find_functions().at(0);
    const std::uint64_t bar = function.bars[0].address;
    machine.write16(function.id, 4, 6);  // memory space and bus master
    Platform platform;
    platform.read32 = [&](std::uint32_t offset) { return machine.readl(bar + offset); };
    platform.write32 = [&](std::uint32_t offset, std::uint32_t v) {
      machine.writel(bar + offset, v);
    };
    platform.to_memory = [&](std::uint64_t at, const void* from, std::size_t bytes) {
      machine.memory.copy_in(at, from, bytes);
    };
    platform.from_memory = [&](std::uint64_t at, void* into, std::size_t bytes) {
      machine.memory.copy_out(at, into, bytes);
    };
    platform.wait = [&] { machine.threads.msleep(1); };
    TinyDriver driver(std::move(platform), machine.pages.dma_alloc_coherent(3 * 4096).address);
    Interrupt interrupt(driver);
    machine.interrupts.alloc_irq_vectors(function.id, 1, 1);
    machine.interrupts.request_irq(function.id, 0, interrupt, "tiny");
    model = driver.identify();
  });
  fmt::print("{}\n", model);
  return ended && model.starts_with("nvmesim P4800X") ? 0 : 1;
}
