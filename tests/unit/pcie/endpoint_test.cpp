// The endpoint through its sockets: decoding, MSI-X, DMA, resets.
#include "pcie/endpoint.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;

const FunctionPort::WriteOptions kPlain{};

// A long write, page by page as a device must.
void write_pages(test::Drive& drive, std::uint64_t address, std::span<std::byte> data) {
  for (std::size_t at = 0; at < data.size(); at += 4096) {
    drive.endpoint.dma_write(address + at, data.subspan(at, 4096), {}, kPlain,
                             drive.finished.callback());
  }
}

}  // namespace

TEST_CASE("register accesses reach the device, the MSI-X table does not") {
  FullBench bench;
  bench.run([&] {
    bench.host.writel(bench.bar() + 0x1008, 0xCAFE);
    CHECK(bench.host.readl(bench.bar() + 0x14) == 0x0807'0605);
    bench.set_vector(5, 0x77, true);
    CHECK(bench.host.readl(bench.bar() + 0x2000 + 5 * 16 + 8) == 0x77);
    CHECK(bench.host.readl(bench.bar() + 0x2000 + 5 * 16 + 12) == 1);
    CHECK(bench.host.readl(bench.bar() + 0x3000) == 0);
  });
  REQUIRE(bench.host.finished);
  REQUIRE(bench.drives[0].device.writes.size() == 1);
  const auto& write = bench.drives[0].device.writes[0];
  CHECK(write.offset == 0x1008);
  CHECK(write.data.size() == 4);
  CHECK(write.data[0] == std::byte{0xFE});
}

TEST_CASE("a register read takes both flights, both TLPs and the register latency") {
  FullBench bench;
  Time took{0};
  bench.run([&] {
    const Time before = bench.scheduler.now();
    bench.host.readl(bench.bar());
    took = bench.scheduler.now() - before;
  });
  const auto pace = formula::tlp_pace(4, 4, 256);
  CHECK(took == pace(20) + pace(24) + 2 * Time(140ns) + Time(50ns));
}

TEST_CASE("what no BAR claims is unsupported, and reads as all ones") {
  FullBench bench;
  bench.run([&] {
    const auto& function = bench.functions[0];
    CHECK(bench.host.readl(bench.bar() + 0x8000) == ~0U);  // behind the bridge, in no BAR
    CHECK(bench.host.last_status == kStatusUnsupportedRequest);
    bench.host.writel(bench.bar() + 0x8000, 1);
    CHECK(bench.host.readl(0xDFFF'0000) == ~0U);  // behind no bridge
    CHECK(bench.host.last_status == kStatusUnsupportedRequest);
    bench.host.write32(function.id, 4, kCommandBusMaster);  // memory space off
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    bench.host.write32(function.id, 4, kCommandBusMaster | kCommandMemorySpace);
    bench.host.write32(function.id, function.pm_capability + 4, 3);  // D3hot
    CHECK(bench.host.readl(bench.bar()) == ~0U);
    bench.host.write32(function.id, function.pm_capability + 4, 0);
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
    CHECK(bench.host.read32(make_id(1, 1, 0), 0) == ~0U);  // no such device
    CHECK(bench.host.read32(make_id(9, 0, 0), 0) == ~0U);  // no such bus
  });
  CHECK(bench.host.finished);
  CHECK(bench.drives[0].device.writes.empty());
}

TEST_CASE("DMA reads and writes move bytes and take the link's time") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(4096), from(4096);
  for (std::size_t i = 0; i < 4096; ++i) {
    bench.memory_byte(0x10000 + i) = static_cast<unsigned char>(i * 7);
    from[i] = static_cast<unsigned char>(i * 5 + 1);
  }
  Time start{0};
  bench.run([&] {
    start = bench.scheduler.now();
    drive.endpoint.dma_read(0x10000, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(100us);
    drive.endpoint.dma_write(0x20000, bytes_of(from), {}, kPlain, drive.finished.callback());
    bench.host.sleep(100us);
  });
  REQUIRE(drive.finished.times.size() == 2);
  const auto pace = formula::tlp_pace(4, 4, 256);
  CHECK(drive.finished.times[0] - start ==
        pace(8 * 20) + pace(4096 + 16 * 20) + 2 * Time(140ns) + bench.memory->latency);
  CHECK(drive.finished.times[1] - start == Time(100us) + pace(4096 + 16 * 20));
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kOk, DmaStatus::kOk});
  CHECK(std::memcmp(into.data(), &bench.memory->bytes[0x10000], 4096) == 0);
  CHECK(std::memcmp(from.data(), &bench.memory->bytes[0x20000], 4096) == 0);
  CHECK(drive.endpoint.requests_in_flight() == 0);
}

TEST_CASE("short data without a keeper is copied at the call") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    std::array<std::byte, 16> entry{};
    entry.fill(std::byte{0x5A});
    drive.endpoint.dma_write(0x3000, entry, {}, {false, false, false}, {});
    entry.fill(std::byte{0});
    bench.host.sleep(10us);
  });
  CHECK(bench.memory->bytes[0x3000] == 0x5A);
  CHECK(bench.memory->bytes[0x300F] == 0x5A);
  CHECK(bench.memory->bytes[0x3010] == 0);
}

TEST_CASE("a buffer that keeps the data lives until the last byte has arrived") {
  FullBench bench;
  auto& drive = bench.drives[0];
  base::BufferPool pool(4096);
  bench.run([&] {
    base::BufferRef buffer = pool.take();
    std::memset(buffer->data(), 0x33, 4096);
    const std::span<const std::byte> data{buffer->data(), 4096};
    drive.endpoint.dma_write(0x4000, data, std::move(buffer), {true, true, false},
                             drive.finished.callback());
    bench.host.sleep(10us);
    CHECK(drive.finished.times.size() == 1);
    CHECK(pool.in_use() == 1);  // deferred: issued, not delivered
    const std::array<std::byte, 4> flag{};
    drive.endpoint.dma_write(0x8000, flag, {}, {false, false, false}, {});
    bench.host.sleep(10us);
    CHECK(pool.in_use() == 0);
  });
  CHECK(bench.memory->bytes[0x4FFF] == 0x33);
}

TEST_CASE("with bus master off DMA is dropped and no interrupt leaves") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(64, 0xEE);
  bench.run([&] {
    bench.set_vector(0, 0x40, false);
    bench.enable_msix();
    bench.host.write32(bench.functions[0].id, 4, kCommandMemorySpace);
    CHECK_FALSE(drive.endpoint.bus_master());
    drive.endpoint.dma_read(0x1000, bytes_of(data), {}, drive.finished.callback());
    drive.endpoint.dma_write(0x1000, bytes_of(data), {}, kPlain, drive.finished.callback());
    CHECK(drive.finished.times.empty());  // never inside the call
    drive.endpoint.interrupt(VectorId(0));
    bench.host.sleep(10us);
  });
  CHECK(drive.finished.statuses ==
        std::vector<DmaStatus>{DmaStatus::kDropped, DmaStatus::kDropped});
  CHECK(bench.host.interrupts.empty());
  CHECK(bench.memory->accesses.empty());
  CHECK(drive.endpoint.requests_in_flight() == 0);
}

TEST_CASE("DMA outside host memory is an unsupported request") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(64);
  std::uint64_t probing = 0;
  bench.run([&] {
    probing = bench.root.unsupported_requests();
    drive.endpoint.dma_read(1 << 20, bytes_of(data), {}, drive.finished.callback());
    bench.host.sleep(10us);
    drive.endpoint.dma_read((1 << 20) - 64, bytes_of(data), {}, drive.finished.callback());
    drive.endpoint.dma_write(0xC000'0000, bytes_of(data), {}, kPlain, {});
    bench.host.sleep(10us);
  });
  CHECK(drive.finished.statuses ==
        std::vector<DmaStatus>{DmaStatus::kUnsupportedRequest, DmaStatus::kOk});
  CHECK(bench.root.unsupported_requests() - probing == 2);
  CHECK(drive.device.writes.empty());
}

TEST_CASE("an interrupt is a message with the vector's address and data, behind earlier writes") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    bench.set_vector(3, 0x4003, false);
    bench.enable_msix();
    CHECK(drive.endpoint.interrupt_enabled(VectorId(3)));
    CHECK_FALSE(drive.endpoint.interrupt_enabled(VectorId(2)));
    const std::array<std::byte, 16> entry{};
    drive.endpoint.dma_write(0x1000, entry, {}, {false, true, false}, {});
    drive.endpoint.interrupt(VectorId(3));
    bench.host.sleep(10us);
  });
  REQUIRE(bench.host.interrupts.size() == 1);
  CHECK(bench.host.interrupts[0].address == 0xFEE0'1000);
  CHECK(bench.host.interrupts[0].data == 0x4003);
  REQUIRE(bench.memory->accesses.size() == 1);
  CHECK(bench.memory->accesses[0].when == bench.host.interrupts[0].when);
}

TEST_CASE("a masked vector becomes pending and is sent once when it is unmasked") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    bench.set_vector(64, 0x64, true);
    bench.enable_msix();
    drive.endpoint.interrupt(VectorId(64));
    drive.endpoint.interrupt(VectorId(64));
    bench.host.sleep(5us);
    CHECK(bench.host.interrupts.empty());
    CHECK(bench.host.readl(bench.bar() + 0x3000 + 8) == 1);
    bench.host.writel(bench.bar() + 0x3000 + 8, 0);  // read-only
    CHECK(bench.host.readl(bench.bar() + 0x3000 + 8) == 1);
    bench.set_vector(64, 0x65, false);
    bench.host.sleep(5us);
    CHECK(bench.host.readl(bench.bar() + 0x3000 + 8) == 0);
  });
  REQUIRE(bench.host.interrupts.size() == 1);
  CHECK(bench.host.interrupts[0].data == 0x65);
}

TEST_CASE("the function mask holds all vectors back") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    bench.set_vector(0, 0x10, false);
    bench.set_vector(1, 0x11, false);
    bench.enable_msix(0, 0xC000'0000);
    drive.endpoint.interrupt(VectorId(1));
    drive.endpoint.interrupt(VectorId(0));
    bench.host.sleep(5us);
    CHECK(bench.host.interrupts.empty());
    bench.enable_msix();
    bench.host.sleep(5us);
  });
  REQUIRE(bench.host.interrupts.size() == 2);
  CHECK(bench.host.interrupts[0].data == 0x10);
  CHECK(bench.host.interrupts[1].data == 0x11);
}

TEST_CASE("with MSI-X disabled an interrupt sends no message, then or later") {
  FullBench bench;
  bench.run([&] {
    bench.set_vector(0, 0x10, false);
    bench.drives[0].endpoint.interrupt(VectorId(0));
    bench.host.sleep(5us);
    bench.enable_msix();
    bench.host.sleep(5us);
  });
  CHECK(bench.host.interrupts.empty());
}

TEST_CASE("a function level reset restores the configuration and calls back nothing older") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(4096), from(65536, 0x77);
  // In flight when the device is reset: the read's completion, most of each of the writes.
  bench.memory->latency = 10us;
  drive.device.on_reset = [&] { CHECK(drive.endpoint.requests_in_flight() == 17); };
  bench.run([&] {
    const auto& function = bench.functions[0];
    bench.scheduler_step([&] {
      drive.endpoint.dma_read(0x8000, bytes_of(into), {}, drive.finished.callback());
      write_pages(drive, 0x10000, bytes_of(from));
    });
    bench.set_vector(0, 0x10, false);
    bench.enable_msix();
    const std::uint32_t control = bench.host.read32(function.id, function.express_capability + 8);
    bench.host.write32(function.id, function.express_capability + 8, (control & 0xFFFF) | 0x8000);
    CHECK(drive.device.resets == 1);
    CHECK(bench.host.read32(function.id, 0x10) == 4);
    CHECK((bench.host.read32(function.id, 4) & 7) == 0);
    CHECK(bench.host.read32(function.id, function.msix.capability) >> 31 == 0);
    // The payload size is kept.
    CHECK((bench.host.read32(function.id, function.express_capability + 8) & 0xE0) ==
          (control & 0xE0));
    CHECK(drive.endpoint.id() == function.id);
    bench.host.sleep(100us);
  });
  CHECK(bench.host.finished);
  CHECK(drive.finished.times.empty());
  CHECK(drive.endpoint.requests_in_flight() == 0);
  CHECK(bench.memory->bytes[0x10000] == 0);
}

TEST_CASE("dropped requests do not call back, what is not issued does not arrive") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(65536, 0x77), into(64);
  bench.run([&] {
    const std::array<std::byte, 16> entry{std::byte{1}};
    bench.scheduler_step([&] {
      write_pages(drive, 0x10000, bytes_of(data));
      drive.endpoint.dma_read(0x1000, bytes_of(into), {}, drive.finished.callback());
      drive.endpoint.dma_write(0x2000, entry, {}, {false, false, false}, {});
    });
    bench.host.sleep(50ns);
    drive.endpoint.drop_requests();
    CHECK(drive.endpoint.requests_in_flight() == 18);
    bench.host.sleep(100us);
    CHECK(drive.endpoint.requests_in_flight() == 0);
    // The port goes on working.
    drive.endpoint.dma_read(0x2000, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(10us);
  });
  CHECK(drive.finished.times.size() == 1);
  CHECK(bench.memory->bytes[0x10000] == 0);
  CHECK(bench.memory->bytes[0x2000] == 1);  // was on the wire already
}

TEST_CASE("a DMA read across a page is a bug of the device") {
  FullBench bench;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(4096);
  bool caught = false;
  bench.run([&] {
    try {
      drive.endpoint.dma_read(0x1010, bytes_of(data), {}, {});
    } catch (const base::ModelBug&) {
      caught = true;
    }
  });
  CHECK(caught);
}

TEST_CASE("prompt delivery is asked of the link below") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.run([&] {
    auto* payload = bench.host.pool.take();
    const std::uint32_t value = 1;
    payload->set_inline(&value, 4);
    payload->set_command(tlm::TLM_WRITE_COMMAND);
    payload->set_address(bench.bar() + 0x1000);
    payload->extension.deferrable = true;
    bench.host.out.request(*payload);
    bench.host.sleep(10us);
    CHECK(drive.device.writes.empty());
    drive.endpoint.deliver_promptly(true);
    bench.host.sleep(1ns);
    CHECK(drive.device.writes.size() == 1);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("byte enables split a register write into its enabled runs") {
  FullBench bench;
  bench.run([&] {
    auto* payload = bench.host.pool.take();
    const std::uint64_t value = 0x0807'0605'0403'0201;
    unsigned char enables[] = {0xFF, 0, 0xFF, 0xFF, 0, 0, 0, 0xFF};
    payload->set_inline(&value, 8);
    payload->set_command(tlm::TLM_WRITE_COMMAND);
    payload->set_address(bench.bar() + 0x20);
    payload->set_byte_enable_ptr(enables);
    payload->set_byte_enable_length(8);
    bench.host.out.request(*payload);
    bench.host.sleep(10us);
  });
  const auto& writes = bench.drives[0].device.writes;
  REQUIRE(writes.size() == 3);
  CHECK(writes[0].offset == 0x20);
  CHECK(writes[0].data.size() == 1);
  CHECK(writes[1].offset == 0x22);
  CHECK(writes[1].data == std::vector<std::byte>{std::byte{3}, std::byte{4}});
  CHECK(writes[2].offset == 0x27);
}

TEST_CASE("an endpoint whose parts do not fit is the user's mistake") {
  const auto rejects = [](auto change) {
    EndpointConfig config;
    change(config);
    CHECK_THROWS_AS(config.validate(), base::UserError);
  };
  rejects([](EndpointConfig& config) { config.bar0_bytes = 12288; });
  rejects([](EndpointConfig& config) { config.msix_table_offset = 0x3F00; });
  rejects([](EndpointConfig& config) { config.msix_pba_offset = 0x2010; });
  rejects([](EndpointConfig& config) { config.msix_vectors = 2049; });
  rejects([](EndpointConfig& config) { config.msi_vectors = 12; });
  rejects([](EndpointConfig& config) { config.tag_bits = 6; });
  rejects([](EndpointConfig& config) { config.msix_vectors = 300; });  // runs into pending bits
  EndpointConfig().validate();
}

}  // namespace nvmesim::pcie
