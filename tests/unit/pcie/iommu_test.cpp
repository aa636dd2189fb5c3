// Address translation, remote memory, peer to peer in the root complex.
#include "pcie/iommu.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;

RootComplexConfig with_iommu(std::uint32_t ports = 1) {
  RootComplexConfig config = FullBench::root_config(ports);
  config.iommu.enabled = true;
  return config;
}

// One 64-byte read: how long it takes.
Time read_time(FullBench& bench, std::uint64_t address, std::vector<unsigned char>& into) {
  auto& drive = bench.drives[0];
  const std::size_t before = drive.finished.times.size();
  const Time start = bench.scheduler.now();
  drive.endpoint.dma_read(address, bytes_of(into), {}, drive.finished.callback());
  bench.host.sleep(20us);
  CHECK(drive.finished.times.size() == before + 1);
  return drive.finished.times.back() - start;
}

}  // namespace

TEST_CASE("a page in the cache costs nothing, another one a walk") {
  FullBench bench(with_iommu());
  std::vector<unsigned char> into(64);
  bench.run([&] {
    const Time first = read_time(bench, 0x10000, into);
    const Time again = read_time(bench, 0x10040, into);
    CHECK(first - again == Time(4 * 70ns));
    // As many pages as there are entries stay.
    for (std::uint64_t page = 0; page < 64; ++page) read_time(bench, page * 4096, into);
    for (std::uint64_t page = 0; page < 64; ++page) {
      CHECK(read_time(bench, page * 4096, into) == again);
    }
    // One more drives out the oldest of its set.
    read_time(bench, 64 * 4096, into);
    CHECK(read_time(bench, 0, into) == first);
    CHECK(read_time(bench, 1 * 4096, into) == again);
    CHECK(bench.root.iommu()->fault_count() == 0);
  });
  CHECK(bench.host.finished);
}

TEST_CASE("walks run a few at a time, and requests for one page wait for one walk") {
  Iommu iommu(IommuConfig{true, 64, 8, 4, 70, 2});
  const RequesterId id(0x100);
  const Time now = 1us;
  CHECK(iommu.translate(id, 0x1000, false, now).ready == now + Time(280ns));
  CHECK(iommu.translate(id, 0x1040, false, now).ready == now + Time(280ns));
  CHECK(iommu.translate(id, 0x2000, false, now).ready == now + Time(280ns));
  CHECK(iommu.translate(id, 0x3000, false, now).ready == now + Time(560ns));
  CHECK(iommu.translate(id, 0x4000, false, now + Time(1us)).ready == now + Time(1280ns));
  CHECK(iommu.misses() == 4);
  CHECK(iommu.hits() == 1);
}

TEST_CASE("a function with a page table reaches what is mapped, at the mapped place") {
  FullBench bench(with_iommu());
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(64, 0xAB), into(64);
  bench.run([&] {
    Iommu& iommu = *bench.root.iommu();
    const RequesterId id = bench.functions[0].id;
    iommu.attach(id);
    iommu.map(id, 0x7FFF'0000, 0x20000, 8192);
    iommu.map(id, 0x9000'0000, 0x30000, 4096, false);
    drive.endpoint.dma_write(0x7FFF'1010, bytes_of(data), {}, {}, {});
    bench.host.sleep(5us);
    CHECK(bench.memory->bytes[0x21010] == 0xAB);
    read_time(bench, 0x7FFF'1010, into);
    CHECK(into == data);
    // Faults: not mapped; read-only; unmapped again although it was in the cache.
    read_time(bench, 0x1000, into);
    drive.endpoint.dma_write(0x9000'0000, bytes_of(data), {}, {}, {});
    bench.host.sleep(5us);
    read_time(bench, 0x9000'0000, into);
    iommu.unmap(id, 0x7FFF'0000, 8192);
    read_time(bench, 0x7FFF'1010, into);
    REQUIRE(iommu.faults().size() == 3);
    CHECK(iommu.faults()[0].address == 0x1000);
    CHECK(iommu.faults()[0].requester == id);
    CHECK(iommu.faults()[1].write);
    CHECK(iommu.faults()[2].address == 0x7FFF'1010);
    iommu.detach(id);
    read_time(bench, 0x21010, into);
    CHECK(into == data);
  });
  using S = DmaStatus;
  CHECK(drive.finished.statuses ==
        std::vector<S>{S::kOk, S::kUnsupportedRequest, S::kOk, S::kUnsupportedRequest, S::kOk});
  CHECK(bench.memory->bytes[0x30000] == 0);
}

TEST_CASE("an address without memory is a fault that is logged, and Unsupported Request") {
  FullBench bench(with_iommu());
  std::vector<unsigned char> into(64);
  bench.run([&] {
    read_time(bench, 0x4000'0000, into);
    REQUIRE(bench.root.iommu()->faults().size() == 1);
    CHECK(bench.root.iommu()->faults()[0].address == 0x4000'0000);
  });
  CHECK(bench.drives[0].finished.statuses ==
        std::vector<DmaStatus>{DmaStatus::kUnsupportedRequest});
}

// The writes miss, the interrupt behind them needs no translation, and the last write hits.
TEST_CASE("a walk holds up what may not pass, and nothing else") {
  FullBench bench(with_iommu());
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(64, 1), into(64);
  bench.run([&] {
    bench.set_vector(0, 0x40, false);
    bench.enable_msix();
    read_time(bench, 0x40000, into);  // now in the cache
    bench.memory->accesses.clear();
    bench.scheduler_step([&] {
      drive.endpoint.dma_write(0x10000, bytes_of(data), {}, {false, false, false}, {});
      drive.endpoint.dma_write(0x40000, bytes_of(data), {}, {false, false, false}, {});
      drive.endpoint.interrupt(VectorId(0));
      drive.endpoint.dma_read(0x80000, bytes_of(into), {}, drive.finished.callback());
      drive.endpoint.dma_write(0x40100, bytes_of(data), {}, {false, false, false}, {});
    });
    bench.host.sleep(20us);
  });
  const auto& accesses = bench.memory->accesses;
  REQUIRE(accesses.size() == 4);
  CHECK(accesses[0].address == 0x10000);
  CHECK(accesses[1].address == 0x40000);
  CHECK(accesses[1].when == accesses[0].when);
  REQUIRE(bench.host.interrupts.size() == 1);
  CHECK(bench.host.interrupts[0].when == accesses[1].when);
  // The read walks too, beside the write's walk; the last write does not wait for it.
  CHECK(accesses[2].address == 0x40100);
  CHECK(accesses[3].address == 0x80000);
}

TEST_CASE("with one walker the completions of 64-byte reads leave one walk apart") {
  RootComplexConfig config = with_iommu();
  config.iommu.walkers = 1;
  FullBench bench(config);
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(64);
  bench.run([&] {
    bench.scheduler_step([&] {
      for (std::uint64_t i = 0; i < 32; ++i) {
        drive.endpoint.dma_read(i * 4096, bytes_of(into), {}, drive.finished.callback());
      }
    });
    bench.host.sleep(100us);
  });
  REQUIRE(drive.finished.times.size() == 32);
  CHECK(drive.finished.times[31] - drive.finished.times[0] == 31 * Time(280ns));
}

TEST_CASE("memory of the other node answers reads later") {
  RootComplexConfig config = FullBench::root_config(1);
  config.remote_memory_bytes = 1 << 19;  // the upper half
  FullBench bench(config);
  std::vector<unsigned char> into(64);
  bench.run([&] {
    const Time near = read_time(bench, (1 << 19) - 64, into);
    const Time far = read_time(bench, 1 << 19, into);
    CHECK(far - near == Time(125ns));
  });
  CHECK(bench.host.finished);
}

TEST_CASE("the root complex routes peer to peer where it is told to") {
  RootComplexConfig config = FullBench::root_config(2);
  config.peer_to_peer = true;
  FullBench bench(config);
  auto& asking = bench.drives[0];
  std::vector<unsigned char> into(8);
  bench.run([&] {
    asking.endpoint.dma_read(bench.bar(1) + 0x14, bytes_of(into), {}, asking.finished.callback());
    const std::array<std::byte, 4> value{std::byte{0x55}};
    asking.endpoint.dma_write(bench.bar(1) + 0x1000, value, {}, {false, false, false}, {});
    bench.host.sleep(10us);
  });
  CHECK(asking.finished.statuses == std::vector<DmaStatus>{DmaStatus::kOk});
  CHECK(into[0] == 5);
  REQUIRE(bench.drives[1].device.writes.size() == 1);
}

TEST_CASE("an IOMMU or a high window that does not fit is the user's mistake") {
  const auto rejects = [](auto change) {
    RootComplexConfig config;
    change(config);
    CHECK_THROWS_AS(config.validate(), base::UserError);
  };
  rejects([](RootComplexConfig& config) { config.iommu.cache_ways = 7; });
  rejects([](RootComplexConfig& config) { config.iommu.cache_entries = 96; });
  rejects([](RootComplexConfig& config) { config.mmio_high_base = std::uint64_t{5} << 30; });
  rejects([](RootComplexConfig& config) { config.mmio_high_bytes = 4096; });
}

TEST_CASE("every parameter of the ends is described") {
  base::check_params<RootComplexConfig>();
  base::check_params<EndpointConfig>();
}

}  // namespace nvmesim::pcie
