// Interrupts by MSI and by the pin, the fall-back to them, and threaded handlers.
#include <cerrno>
#include <vector>

#include "pcie/host_port.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/kernel/interrupt_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

namespace {

// Takes the MSI-X capability away and gives MSI with so many vectors, or none.
void use_msi(FakeBus& bus, unsigned log2_vectors) {
  bus.config[FakeBus::kCapability] = (1u << 7 | log2_vectors << 1) << 16 | 0x05;
}

}  // namespace

TEST_CASE("MSI vectors are in a row, of one processor, masked until they are requested") {
  QuietHost host(four_cpus());
  Interrupts& interrupts = host.machine.interrupts;
  auto& config = host.bus.config;
  // Eight messages, 64-bit address, masks; no MSI-X.
  config[FakeBus::kCapability] = (3u << 1 | 1u << 7 | 1u << 8) << 16 | 0x05;
  Recorder first(host.machine), third(host.machine);
  host.machine.threads.spawn("driver", [&] {
    CHECK(interrupts.alloc_irq_vectors(kFunction, 1, 5) == -EINVAL);  // MSI-X alone
    CHECK(interrupts.alloc_irq_vectors(kFunction, 16, 16, {}, Interrupts::kIrqAllTypes) < 0);
    REQUIRE(interrupts.alloc_irq_vectors(kFunction, 1, 5, {}, Interrupts::kIrqAllTypes) == 4);
    CHECK((config[FakeBus::kCapability] >> 16 & 0x71) == (1u | 2u << 4));
    CHECK(config[FakeBus::kCapability + 16] == 0xF);
    interrupts.request_irq(kFunction, 0, first, "first");
    interrupts.request_irq(kFunction, 2, third, "third");
    CHECK(config[FakeBus::kCapability + 16] == 0xA);
    const std::uint32_t address = config[FakeBus::kCapability + 4];
    const std::uint32_t data = config[FakeBus::kCapability + 12];
    CHECK(data % 4 == 0);
    host.machine.message_interrupt(address, data + 2);
    host.machine.threads.msleep(1);
    CHECK(first.times.empty());
    CHECK(third.times.size() == 1);
    CHECK(third.cpus[0] == interrupts.cpu_of(kFunction, 0).value());
    interrupts.free_irq(kFunction, 0, first);
    interrupts.free_irq(kFunction, 2, third);
    CHECK(config[FakeBus::kCapability + 16] == 0xF);
    interrupts.free_irq_vectors(kFunction);
    CHECK((config[FakeBus::kCapability] >> 16 & 1) == 0);
    CHECK(interrupts.vectors_in_use() == 0);
  });
  sc_core::sc_start();
  CHECK(interrupts.spurious() == 0);
}

TEST_CASE("a pin interrupts as long as it is asserted") {
  QuietHost host(four_cpus());
  Interrupts& interrupts = host.machine.interrupts;
  host.bus.config[FakeBus::kCapability] = 0x01;  // neither MSI-X nor MSI
  host.bus.config[0x3C] = 0x0100 | 6;            // INTA, line 6
  host.bus.config[0x04] |= 1u << 10;
  Recorder handler(host.machine);
  host.machine.threads.spawn("driver", [&] {
    CHECK(interrupts.alloc_irq_vectors(kFunction, 2, 5, {}, Interrupts::kIrqAllTypes) == -ENOSPC);
    REQUIRE(interrupts.alloc_irq_vectors(kFunction, 1, 5, {}, Interrupts::kIrqAllTypes) == 1);
    CHECK((host.bus.config[0x04] & 1u << 10) == 0);
    interrupts.request_irq(kFunction, 0, handler, "pin");
    host.machine.pin_interrupt(5, true);  // somebody else's
    host.machine.threads.msleep(1);
    CHECK(handler.times.empty());
    const base::Time asserted = host.machine.now();
    host.machine.pin_interrupt(6, true);
    host.machine.threads.sleep_for(3us);
    host.machine.pin_interrupt(6, false);
    host.machine.threads.msleep(1);
    // Slices of 1 us each, the last one begun while it was asserted.
    REQUIRE(handler.times.size() >= 3);
    CHECK(handler.times.size() <= 4);
    CHECK(handler.times[0] - asserted == base::Time(1us));
    // Asserted while disabled: taken when it is enabled.
    const std::size_t before = handler.times.size();
    interrupts.disable_irq(kFunction, 0);
    host.machine.pin_interrupt(6, true);
    host.machine.threads.msleep(1);
    CHECK(handler.times.size() == before);
    interrupts.enable_irq(kFunction, 0);
    host.machine.pin_interrupt(6, false);
    host.machine.threads.msleep(1);
    CHECK(handler.times.size() == before + 1);
    interrupts.free_irq(kFunction, 0, handler);
    interrupts.free_irq_vectors(kFunction);
    CHECK(interrupts.vectors_in_use() == 0);
  });
  sc_core::sc_start();
}

TEST_CASE("without MSI-X a function gets MSI: a power of two, one address, data that counts") {
  QuietHost host(four_cpus());
  use_msi(host.bus, 3);
  Recorder recorder(host.machine);
  host.machine.threads.spawn("test", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    CHECK(interrupts.alloc_irq_vectors(kFunction, 1, 6, {}, Interrupts::kIrqAllTypes) == 4);
    CHECK(interrupts.kind_of(kFunction) == IrqKind::kMsi);
    const std::uint32_t control = host.bus.config[FakeBus::kCapability] >> 16;
    CHECK((control & 1) == 1);
    CHECK((control >> 4 & 7) == 2);
    const std::uint32_t address = host.bus.config[FakeBus::kCapability + 4];
    const std::uint32_t data = host.bus.config[FakeBus::kCapability + 12];
    CHECK(data % 4 == 0);
    CHECK(interrupts.request_irq(kFunction, 2, recorder, "two") == 0);
    host.machine.message_interrupt(address, data + 2);
    host.machine.message_interrupt(address, data + 1);  // nobody's
    host.machine.threads.sleep_for(10us);
    CHECK(recorder.times.size() == 1);
    CHECK(interrupts.spurious() == 1);
    interrupts.free_irq(kFunction, 2, recorder);
    interrupts.free_irq_vectors(kFunction);
    CHECK((host.bus.config[FakeBus::kCapability] >> 16 & 1) == 0);
  });
  host.scheduler.simulate();
  CHECK(recorder.times.size() == 1);
}

TEST_CASE("without MSI too it gets its pin, which interrupts until it is released") {
  QuietHost host(four_cpus());
  host.bus.config[FakeBus::kCapability] = 0x01;  // power management, nothing else
  host.bus.config[0x3c] = 1u << 8;
  Recorder recorder(host.machine);
  host.machine.threads.spawn("test", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    CHECK(interrupts.alloc_irq_vectors(kFunction, 1, 6, {}, Interrupts::kIrqAllTypes) == 1);
    CHECK(interrupts.kind_of(kFunction) == IrqKind::kPin);
    CHECK(interrupts.request_irq(kFunction, 0, recorder, "pin") == 0);
    host.machine.pin_interrupt(0, true);
    host.machine.threads.sleep_for(2500ns);
    host.machine.pin_interrupt(0, false);
    host.machine.threads.sleep_for(10us);
    CHECK(recorder.times.size() == 3);  // at 1, 2 and 3 us: the last was under way
    interrupts.disable_irq(kFunction, 0);
    host.machine.pin_interrupt(0, true);
    host.machine.threads.sleep_for(5us);
    CHECK(recorder.times.size() == 3);
    host.machine.threads.spawn("release", [&] {
      host.machine.threads.sleep_for(500ns);
      host.machine.pin_interrupt(0, false);
    });
    interrupts.enable_irq(kFunction, 0);
    host.machine.threads.sleep_for(5us);
    CHECK(recorder.times.size() == 4);
  });
  host.scheduler.simulate();
  CHECK(recorder.times.size() == 4);
}

TEST_CASE("a function without any way to interrupt gets no vector") {
  QuietHost host(four_cpus());
  host.bus.config[FakeBus::kCapability] = 0x01;
  bool checked = false;
  host.machine.threads.spawn("test", [&] {
    CHECK(host.machine.interrupts.alloc_irq_vectors(kFunction, 1, 6, {},
                                                    Interrupts::kIrqAllTypes) == -EINVAL);
    checked = true;
  });
  host.scheduler.simulate();
  CHECK(checked);
}

TEST_CASE("a threaded handler runs in a task two switches behind its interrupt") {
  QuietHost host(four_cpus());
  Recorder recorder(host.machine);
  Device device{host};
  base::Time sent{0};
  host.machine.threads.spawn("test", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    interrupts.alloc_irq_vectors(kFunction, 1, 2);
    interrupts.request_irq(kFunction, 1, recorder, "threaded", true);
    sent = host.machine.now();
    device.send(1);
    host.machine.threads.sleep_for(10us);
    interrupts.free_irq(kFunction, 1, recorder);
    interrupts.free_irq_vectors(kFunction);
  });
  host.scheduler.simulate();
  REQUIRE(recorder.times.size() == 1);
  CHECK(recorder.times[0] - sent == 1400ns);  // 600 + 2 * 400
}

TEST_CASE("a pin that stays asserted lets its threaded handler run") {
  HostConfig config = four_cpus();
  config.cpus = 1;
  QuietHost host(config);
  host.bus.config[FakeBus::kCapability] = 0x01;
  host.bus.config[0x3c] = 1u << 8;
  Recorder recorder(host.machine);
  base::Time asserted{0};
  host.machine.threads.spawn("test", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    interrupts.alloc_irq_vectors(kFunction, 1, 1, {}, Interrupts::kIrqAllTypes);
    interrupts.request_irq(kFunction, 0, recorder, "threaded", true);
    asserted = host.machine.now();
    host.machine.pin_interrupt(0, true);
    host.machine.threads.sleep_for(2us);
    host.machine.pin_interrupt(0, false);
    host.machine.threads.sleep_for(10us);
    interrupts.free_irq(kFunction, 0, recorder);
    interrupts.free_irq_vectors(kFunction);
  });
  host.scheduler.simulate();
  REQUIRE(recorder.times.size() == 2);
  CHECK(recorder.times[0] - asserted == 1400ns);
  CHECK(recorder.times[1] - asserted == 2800ns);
}
