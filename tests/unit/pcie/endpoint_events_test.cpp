// Interrupts by MSI and by pin, errors, power states, latency tolerance: the endpoint and its root
// port.
#include "pcie/aer.hpp"
#include "pcie/endpoint.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;
using Pins = std::vector<test::HostThread::Pin>;

// Enables MSI with `messages` (log2) messages to 0xFEE0'2000.
void enable_msi(FullBench& bench, std::uint32_t messages, std::uint32_t data) {
  const FunctionInfo& function = bench.functions[0];
  const unsigned at = function.msi.capability;
  bench.host.write32(function.id, at + 4, 0xFEE0'2000);
  bench.host.write32(function.id, at + 8, 0);
  bench.host.write32(function.id, at + 0x0C, data);
  bench.host.write32(function.id, at, 1U << 16 | messages << 20);
}

std::vector<std::uint32_t> data_of(const FullBench& bench) {
  std::vector<std::uint32_t> data;
  for (const auto& interrupt : bench.host.interrupts) data.push_back(interrupt.data);
  return data;
}

struct Errors {
  FullBench& bench;
  RequesterId id;
  unsigned express, aer;

  Errors(FullBench& owner, RequesterId function)
      : bench(owner),
        id(function),
        express(find_capability(bench.host, id, kCapabilityPciExpress)),
        aer(find_extended_capability(bench.host, id, kExtendedAdvancedError)) {}
  std::uint32_t read(unsigned reg) { return bench.host.read32(id, aer + reg); }
  void write(unsigned reg, std::uint32_t value) { bench.host.write32(id, aer + reg, value); }
  std::uint32_t device_status() { return bench.host.read32(id, express + 8) >> 16 & 0xF; }
  void report_all() {
    bench.host.write32(id, express + 8, (bench.host.read32(id, express + 8) & 0xFFFF) | 0xF);
  }
};

}  // namespace

TEST_CASE("MSI sends one address and the vector in the low bits of the data") {
  FullBench bench;
  auto& endpoint = bench.drives[0].endpoint;
  bench.run([&] {
    CHECK(bench.functions[0].msi.vectors == 32);
    enable_msi(bench, 2, 0x41);  // four messages
    CHECK_FALSE(endpoint.interrupt_by_pin());
    for (const unsigned vector : {0U, 3U, 6U}) {
      endpoint.interrupt(VectorId(static_cast<std::uint16_t>(vector)));
    }
    bench.host.sleep(5us);
  });
  // The function replaces the low bits; vectors beyond those enabled share messages.
  CHECK(data_of(bench) == std::vector<std::uint32_t>{0x40, 0x43, 0x42});
  for (const auto& interrupt : bench.host.interrupts) CHECK(interrupt.address == 0xFEE0'2000);
  CHECK(bench.host.pins.empty());
}

TEST_CASE("a function without MSI-X has its MSI vectors, and the pin before they are enabled") {
  EndpointConfig config;
  config.msix_vectors = 0;
  config.msi_vectors = 4;
  FullBench bench(1, {}, config);
  auto& endpoint = bench.drives[0].endpoint;
  bench.run([&] {
    CHECK(bench.functions[0].msix.capability == 0);
    CHECK(endpoint.vectors() == 4);
    endpoint.interrupt(VectorId(3));
    bench.host.sleep(5us);
    enable_msi(bench, 2, 0x40);
    endpoint.interrupt(VectorId(3));
    bench.host.writel(bench.bar() + 0x2000, 5);  // no table there
    bench.host.sleep(5us);
  });
  CHECK(bench.host.pins == Pins{{0, true}, {0, false}});
  CHECK(data_of(bench) == std::vector<std::uint32_t>{0x43});
  CHECK(bench.drives[0].device.writes.size() == 1);
}

TEST_CASE("a masked MSI message becomes pending and is sent once when it is unmasked") {
  FullBench bench;
  auto& endpoint = bench.drives[0].endpoint;
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    const unsigned at = function.msi.capability;
    enable_msi(bench, 3, 0x80);
    bench.host.write32(function.id, at + 0x10, 1U << 5);
    CHECK_FALSE(endpoint.interrupt_enabled(VectorId(5)));
    CHECK(endpoint.interrupt_enabled(VectorId(4)));
    endpoint.interrupt(VectorId(5));
    endpoint.interrupt(VectorId(5));
    bench.host.sleep(5us);
    CHECK(bench.host.interrupts.empty());
    CHECK(bench.host.read32(function.id, at + 0x14) == 1U << 5);
    bench.host.write32(function.id, at + 0x14, 0);  // read-only
    CHECK(bench.host.read32(function.id, at + 0x14) == 1U << 5);
    bench.host.write32(function.id, at + 0x10, 0);
    bench.host.sleep(5us);
    CHECK(bench.host.read32(function.id, at + 0x14) == 0);
  });
  CHECK(data_of(bench) == std::vector<std::uint32_t>{0x85});
}

TEST_CASE("without messages the pin is raised, behind earlier writes, and released when served") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    CHECK(drive.endpoint.interrupt_by_pin());
    const std::array<std::byte, 16> entry{std::byte{7}};
    drive.endpoint.dma_write(0x1000, entry, {}, {false, true, false}, {});
    drive.endpoint.interrupt(VectorId(0));
    drive.endpoint.interrupt(VectorId(1));
    bench.host.sleep(5us);
    CHECK(bench.memory->bytes[0x1000] == 7);
    CHECK(bench.host.pins == Pins{{0, true}});
    CHECK((bench.host.read32(function.id, 4) & 1U << 19) != 0);
    drive.endpoint.interrupt_served(VectorId(0));
    bench.host.sleep(5us);
    CHECK(bench.host.pins == Pins{{0, true}});  // vector 1 holds it
    drive.endpoint.interrupt_served(VectorId(1));
    bench.host.sleep(5us);
    CHECK((bench.host.read32(function.id, 4) & 1U << 19) == 0);
  });
  CHECK(bench.host.pins == Pins{{0, true}, {0, false}});
  CHECK(bench.host.interrupts.empty());
}

TEST_CASE("Interrupt Disable and MSI-X take the pin back, and give it again") {
  FullBench bench;
  auto& endpoint = bench.drives[0].endpoint;
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    const std::uint32_t command = kCommandMemorySpace | kCommandBusMaster;
    endpoint.interrupt(VectorId(0));
    bench.host.write32(function.id, 4, command | kCommandInterruptDisable);
    bench.host.sleep(5us);
    CHECK((bench.host.read32(function.id, 4) & 1U << 19) != 0);  // it still wants to
    bench.host.write32(function.id, 4, command);
    bench.host.sleep(5us);
    bench.enable_msix();
    bench.host.sleep(5us);
    CHECK((bench.host.read32(function.id, 4) & 1U << 19) == 0);
    bench.enable_msix(0, 0);
    bench.host.sleep(5us);
    // A reset of the function releases it for good.
    bench.host.write32(function.id, function.express_capability + 8, 0x8000);
    bench.host.sleep(5us);
  });
  CHECK(bench.host.pins ==
        Pins{{0, true}, {0, false}, {0, true}, {0, false}, {0, true}, {0, false}});
}

TEST_CASE("a posted write that nobody claims is reported as non-fatal, with its header") {
  FullBench bench;
  bench.run([&] {
    const RequesterId root = make_id(0, 0, 0);
    Errors function(bench, bench.functions[0].id), port(bench, root);
    function.report_all();
    bench.host.writel(bench.bar() + 0x8000, 1);
    bench.host.sleep(5us);
    CHECK(function.read(4) == 1U << 20);
    CHECK(function.device_status() == (2 | 8));
    CHECK((function.read(0x18) & 0x1F) == 20);
    CHECK(function.read(0x1C) == (0x4000'0000 | 1));  // MWr32, one word
    CHECK((function.read(0x20) & 0xFF) == 0x0F);      // its byte enables
    CHECK(function.read(0x24) == bench.bar() + 0x8000);
    // The root port: one uncorrectable, non-fatal, from this function.
    CHECK(port.read(0x30) == (1U << 2 | 1U << 5));
    CHECK(port.read(0x34) >> 16 == bench.functions[0].id.value());
    // A second one: several; the header of the first stays.
    bench.host.writel(bench.bar() + 0x8010, 1);
    bench.host.sleep(5us);
    CHECK(port.read(0x30) == (1U << 2 | 1U << 3 | 1U << 5));
    CHECK(function.read(0x24) == bench.bar() + 0x8000);
    port.write(0x30, 0x7F);
    CHECK(port.read(0x30) == 0);
    function.write(4, 1U << 20);
    bench.host.writel(bench.bar() + 0x8020, 1);
    bench.host.sleep(5us);
    CHECK(function.read(0x24) == bench.bar() + 0x8020);
    CHECK(bench.root.ports[0].error_messages() == 3);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("severity makes an error fatal, the mask keeps it quiet, and no enable bit no message") {
  FullBench bench;
  bench.run([&] {
    Errors function(bench, bench.functions[0].id), port(bench, make_id(0, 0, 0));
    const auto provoke = [&] {
      bench.host.writel(bench.bar() + 0x8000, 1);
      bench.host.sleep(5us);
    };
    provoke();  // not enabled: recorded, not told
    CHECK(function.read(4) == 1U << 20);
    CHECK(port.read(0x30) == 0);
    function.write(4, 1U << 20);
    function.report_all();
    function.write(8, function.read(8) | 1U << 20);  // masked
    provoke();
    CHECK(function.read(4) == 1U << 20);
    CHECK(port.read(0x30) == 0);
    function.write(8, function.read(8) & ~(1U << 20));
    function.write(0x0C, function.read(0x0C) | 1U << 20);  // fatal
    provoke();
    CHECK((port.read(0x30) & (1U << 6 | 1U << 4)) == (1U << 6 | 1U << 4));
    CHECK((function.device_status() & 4) != 0);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("a refused read is advisory: correctable, and masked unless software wants it") {
  FullBench bench;
  bench.run([&] {
    Errors function(bench, bench.functions[0].id), port(bench, make_id(0, 0, 0));
    function.report_all();
    bench.host.readl(bench.bar() + 0x8000);
    bench.host.sleep(5us);
    CHECK(function.read(0x10) == 1U << 13);
    CHECK(function.read(4) == 0);
    CHECK(port.read(0x30) == 0);
    function.write(0x10, 1U << 13);
    function.write(0x14, 0);
    bench.host.readl(bench.bar() + 0x8000);
    bench.host.sleep(5us);
    CHECK(function.read(4) == 1U << 20);
    CHECK(port.read(0x30) == 1);
    CHECK((port.read(0x34) & 0xFFFF) == bench.functions[0].id.value());
  });
  CHECK(bench.host.finished);
}

TEST_CASE("the root port interrupts for errors if software asked for it") {
  FullBench bench;
  bench.run([&] {
    const RequesterId root = make_id(0, 0, 0);
    Errors function(bench, bench.functions[0].id), port(bench, root);
    function.report_all();
    const unsigned msi = find_capability(bench.host, root, kCapabilityMsi);
    bench.host.write32(root, msi + 4, 0xFEE0'3000);
    bench.host.write32(root, msi + 0x0C, 0x99);
    bench.host.write32(root, msi, 1U << 16);
    port.write(0x2C, 2);  // non-fatal only
    bench.host.writel(bench.bar() + 0x8000, 1);
    bench.host.sleep(5us);
  });
  CHECK(data_of(bench) == std::vector<std::uint32_t>{0x99});
}

TEST_CASE("error status survives a function level reset, configuration does not") {
  FullBench bench;
  bench.run([&] {
    Errors function(bench, bench.functions[0].id);
    bench.host.writel(bench.bar() + 0x8000, 1);
    bench.host.sleep(1us);
    function.write(8, 1U << 12);
    bench.host.write32(function.id, function.express + 8, 0x8000);
    CHECK(function.read(4) == 1U << 20);
    CHECK(function.read(8) == 1U << 12);
    CHECK((bench.host.read32(function.id, 4) & 7) == 0);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("a poisoned write does not reach the device; poisoned read data is told to it") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(64);
  bench.run([&] {
    auto* payload = bench.host.pool.take();
    const std::uint32_t value = 1;
    payload->set_inline(&value, 4);
    payload->set_command(tlm::TLM_WRITE_COMMAND);
    payload->set_address(bench.bar() + 0x1000);
    payload->extension.poisoned = true;
    bench.host.out.request(*payload);
    bench.host.sleep(5us);
    CHECK(drive.device.writes.empty());
    Errors function(bench, bench.functions[0].id);
    CHECK(function.read(4) == 1U << 12);
    bench.memory->poison = true;
    drive.endpoint.dma_read(0x1000, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(5us);
  });
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kPoisoned});
}

TEST_CASE("byte enables tell the bytes of the first and last word") {
  CHECK(byte_enables_of(0, 4) == 0x0F);
  CHECK(byte_enables_of(1, 2) == 0x06);
  CHECK(byte_enables_of(3, 1) == 0x08);
  CHECK(byte_enables_of(0, 8) == 0xFF);
  CHECK(byte_enables_of(2, 3) == 0x1C);
  CHECK(byte_enables_of(3, 6) == 0x18);
  CHECK(byte_enables_of(0x1001, 4095) == 0xFE);
}

TEST_CASE("the slot's power controller takes the function to D3cold and back to a fresh D0") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(64);
  bench.run([&] {
    const RequesterId root = make_id(0, 0, 0);
    const RequesterId id = bench.functions[0].id;
    const unsigned slot = find_capability(bench.host, root, kCapabilityPciExpress) + 0x18;
    Errors function(bench, id);
    bench.host.writel(bench.bar() + 0x8000, 1);  // something sticky
    bench.host.sleep(1us);
    bench.host.write32(root, slot, 1U << 10);
    CHECK_FALSE(drive.endpoint.powered());
    CHECK(drive.device.resets == 1);
    CHECK(bench.host.read32(id, 0) == ~0U);
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    drive.endpoint.dma_read(0x1000, bytes_of(data), {}, drive.finished.callback());
    bench.host.sleep(5us);
    bench.host.write32(root, slot, 0);
    CHECK(bench.host.read32(id, 0) == 0x0B60'8086);
    CHECK(bench.host.read32(id, 0x10) == 4);  // BAR forgotten
    CHECK(function.read(4) == 0);             // sticky too
  });
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kDropped});
}

TEST_CASE("Secondary Bus Reset resets the function once") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    const RequesterId root = make_id(0, 0, 0);
    const std::uint32_t control = bench.host.read32(root, 0x3C);
    bench.host.write32(root, 0x3C, control | 1U << 22);
    bench.host.write32(root, 0x3C, control | 1U << 22);
    bench.host.write32(root, 0x3C, control);
    CHECK(bench.host.read32(bench.functions[0].id, 0x10) == 4);
    CHECK((bench.host.read32(bench.functions[0].id, 4) & 7) == 0);
  });
  CHECK(drive.device.resets == 1);
}

TEST_CASE("latency tolerance is told once it is enabled, and taken back in D3hot") {
  EndpointConfig config;
  config.latency_tolerance_ns = 100'000;
  FullBench bench(1, {}, config);
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    bench.host.sleep(5us);
    const std::uint32_t told = bench.root.ports[0].latency_tolerance();
    CHECK(told >> 16 == (told & 0xFFFF));
    const auto ns = latency_tolerance_ns(static_cast<std::uint16_t>(told));
    CHECK(ns <= 100'000);
    CHECK(ns > 96'000);
    CHECK(find_extended_capability(bench.host, function.id, kExtendedLatencyTolerance) != 0);
    bench.host.write32(function.id, function.pm_capability + 4, 3);
    bench.host.sleep(5us);
    CHECK(bench.root.ports[0].latency_tolerance() == 0);
    bench.host.write32(function.id, function.pm_capability + 4, 0);
    bench.host.sleep(5us);
    CHECK(bench.root.ports[0].latency_tolerance() == told);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("the serial number is the configured one, and absent if it is 0") {
  EndpointConfig config;
  config.serial_number = 0x0011'2233'4455'6677;
  FullBench bench(1, {}, config);
  bench.run([&] {
    const RequesterId id = bench.functions[0].id;
    const unsigned at = find_extended_capability(bench.host, id, kExtendedSerialNumber);
    REQUIRE(at != 0);
    CHECK(bench.host.read32(id, at + 4) == 0x4455'6677);
    CHECK(bench.host.read32(id, at + 8) == 0x0011'2233);
    CHECK(find_extended_capability(bench.host, id, kExtendedLatencyTolerance) == 0);
  });
  CHECK(bench.host.finished);
}

}  // namespace nvmesim::pcie
