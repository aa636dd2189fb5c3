// Tags and the completion timeout: how many read requests an endpoint keeps open, and what it does
// when an answer never comes.
#include "pcie/endpoint.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;

EndpointConfig with_reads(std::uint32_t outstanding, std::uint32_t tag_bits = 8) {
  EndpointConfig config;
  config.outstanding_reads = outstanding;
  config.tag_bits = tag_bits;
  return config;
}

constexpr std::uint64_t kHost = 0x10000;

// One request of a read alone: request, both flights, memory, completion.
Time alone(const FullBench& bench, std::uint32_t bytes) {
  const auto pace = formula::tlp_pace(4, 4, 256);
  return pace(20) + 2 * Time(140ns) + bench.memory->latency +
         pace(formula::data_segments(bytes, 8, 20).wire_bytes());
}

void fill(FullBench& bench) {
  for (std::size_t i = 0; i < 65536; ++i) {
    bench.memory_byte(kHost + i) = static_cast<unsigned char>(i * 7 + i / 256);
  }
}

}  // namespace

TEST_CASE("with one tag reads go one at a time") {
  FullBench bench(1, {}, with_reads(1));
  auto& drive = bench.drives[0];
  fill(bench);
  std::vector<unsigned char> into(16 * 512);
  Time start{0};
  bench.run([&] {
    bench.scheduler_step([&] {
      start = bench.scheduler.now();
      for (std::size_t i = 0; i < 16; ++i) {
        drive.endpoint.dma_read(kHost + i * 512, bytes_of(into).subspan(i * 512, 512), {},
                                drive.finished.callback());
      }
    });
    bench.host.sleep(1ms);
  });
  REQUIRE(drive.finished.times.size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(drive.finished.times[i] - start == static_cast<std::int64_t>(i + 1) * alone(bench, 512));
  }
  CHECK(std::memcmp(into.data(), &bench.memory->bytes[kHost], into.size()) == 0);
}

TEST_CASE("a read of several requests takes as many turns as one tag needs, and one call-back") {
  FullBench bench(1, {}, with_reads(1));
  auto& drive = bench.drives[0];
  fill(bench);
  std::vector<unsigned char> into(4096);
  Time start{0};
  bench.run([&] {
    bench.scheduler_step([&] {
      start = bench.scheduler.now();
      drive.endpoint.dma_read(kHost, std::span(bytes_of(into)).first(4000), {},
                              drive.finished.callback());
      // A write does not wait for a tag.
      drive.endpoint.dma_write(0x8000, std::span(bytes_of(into)).first(64), {}, {}, {});
    });
    bench.host.sleep(1ms);
  });
  REQUIRE(drive.finished.times.size() == 1);
  CHECK(drive.finished.statuses[0] == DmaStatus::kOk);
  CHECK(drive.finished.times[0] - start == 7 * alone(bench, 512) + alone(bench, 4000 - 7 * 512));
  CHECK(std::memcmp(into.data(), &bench.memory->bytes[kHost], 4000) == 0);
  CHECK(bench.memory->accesses[1].address == 0x8000);
}

TEST_CASE("with n tags n requests are open at a time") {
  FullBench bench(1, {}, with_reads(4));
  auto& drive = bench.drives[0];
  fill(bench);
  bench.memory->latency = 100us;  // so long that all else is nothing beside it
  std::vector<unsigned char> into(16 * 512);
  Time start{0};
  bench.run([&] {
    bench.scheduler_step([&] {
      start = bench.scheduler.now();
      for (std::size_t i = 0; i < 16; ++i) {
        drive.endpoint.dma_read(kHost + i * 512, bytes_of(into).subspan(i * 512, 512), {},
                                drive.finished.callback());
      }
    });
    bench.host.sleep(10ms);
  });
  REQUIRE(drive.finished.times.size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    const double rounds = static_cast<double>(i / 4 + 1);
    const auto took = static_cast<double>((drive.finished.times[i] - start).count());
    CHECK(took / 1e6 == Approx(100 * rounds).epsilon(0.01));
  }
}

TEST_CASE("tags are 32, 256 or 768, as both ends can and software enables") {
  struct Row {
    std::uint32_t bits, tags;
  };
  constexpr Row kRows[] = {{5, 32}, {8, 256}, {10, 768}};
  for (const Row& row : kRows) {
    ConfigSpace space;
    PciExpressCapability express(space, PciExpressPort::kEndpoint, {4, 4, 256}, {}, row.bits);
    CHECK(express.tags() == 32);
    const unsigned at = express.offset();
    space.write(at + 8, 4, device_control::kExtendedTags);
    CHECK(express.tags() == (row.bits >= 8 ? 256 : 32));
    space.write(at + 0x28, 4, device_control::kTenBitTags);
    CHECK(express.tags() == row.tags);
  }
}

TEST_CASE("with 5-bit tags 32 reads are open, however many are asked for") {
  FullBench bench(1, {}, with_reads(0, 5));
  auto& drive = bench.drives[0];
  bench.memory->latency = 100us;
  std::vector<unsigned char> into(512);
  std::size_t open = 0;
  bench.run([&] {
    CHECK(bench.functions[0].tags == 32);
    const std::size_t before = bench.memory->accesses.size();
    bench.scheduler_step([&] {
      for (int i = 0; i < 100; ++i) {
        drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
      }
    });
    bench.host.sleep(50us);
    open = bench.memory->accesses.size() - before;
    bench.host.sleep(1ms);
  });
  CHECK(open == 32);
  CHECK(drive.finished.times.size() == 100);
}

TEST_CASE("10-bit tags are negotiated where the root port completes them") {
  FullBench bench(1, {}, with_reads(0, 10));
  bench.run([&] { CHECK(bench.functions[0].tags == 768); });
  CHECK(bench.host.finished);
}

TEST_CASE("an endpoint with more tags than reads has the same times as one without a limit") {
  FullBench bench(1, {}, with_reads(768, 10));
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(4096);
  Time start{0};
  bench.run([&] {
    bench.scheduler_step([&] {
      start = bench.scheduler.now();
      drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
    });
    bench.host.sleep(100us);
  });
  const auto pace = formula::tlp_pace(4, 4, 256);
  REQUIRE(drive.finished.times.size() == 1);
  CHECK(drive.finished.times[0] - start ==
        pace(8 * 20) + pace(4096 + 16 * 20) + 2 * Time(140ns) + bench.memory->latency);
}

TEST_CASE(
    "a read without an answer ends with a timeout, at the end of the range, and frees its tag") {
  FullBench bench(1, {}, with_reads(1));
  bench.expects_lost = true;
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(512);
  Time start{0};
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    bench.host.write32(function.id, function.express_capability + 0x28, 2);  // up to 10 ms
    bench.memory->lost = 1;
    bench.scheduler_step([&] {
      start = bench.scheduler.now();
      drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
      drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
    });
    bench.host.sleep(1ms);
    CHECK((bench.host.read32(function.id, function.express_capability + 8) & 1U << 21) != 0);
    bench.host.sleep(20ms);
    CHECK((bench.host.read32(function.id, function.express_capability + 8) & 1U << 21) == 0);
    // Non-fatal, first error pointer 14.
    const unsigned aer = find_extended_capability(bench.host, function.id, kExtendedAdvancedError);
    CHECK(bench.host.read32(function.id, aer + 4) == 1U << 14);
    CHECK((bench.host.read32(function.id, aer + 0x18) & 0x1F) == 14);
    CHECK((bench.host.read32(function.id, function.express_capability + 8) >> 16 & 0xF) == 2);
  });
  REQUIRE(drive.finished.times.size() == 2);
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kTimeout, DmaStatus::kOk});
  CHECK(drive.finished.times[0] - start == Time(10ms));
  CHECK(drive.finished.times[1] - start == Time(10ms) + alone(bench, 512));
  CHECK(drive.endpoint.timeouts() == 1);
  CHECK(drive.endpoint.requests_in_flight() == 0);
}

TEST_CASE("an answer after the timeout is unexpected, and no second call-back") {
  FullBench bench;
  auto& drive = bench.drives[0];
  bench.memory->latency = 1ms;
  std::vector<unsigned char> into(64);
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    bench.host.write32(function.id, function.express_capability + 0x28, 1);  // up to 100 us
    drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(5ms);
    const unsigned aer = find_extended_capability(bench.host, function.id, kExtendedAdvancedError);
    CHECK((bench.host.read32(function.id, aer + 0x10) & 1U << 13) != 0);  // advisory
    // Disabled: the read waits as long as it takes.
    bench.host.write32(function.id, function.express_capability + 0x28,
                       device_control::kTimeoutDisable);
    drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(5ms);
  });
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kTimeout, DmaStatus::kOk});
  CHECK(drive.endpoint.timeouts() == 1);
  CHECK(drive.endpoint.requests_in_flight() == 0);
}

TEST_CASE("a reset forgets reads that wait for a tag") {
  FullBench bench(1, {}, with_reads(1));
  auto& drive = bench.drives[0];
  std::vector<unsigned char> into(4096);
  bench.run([&] {
    bench.scheduler_step([&] {
      for (int i = 0; i < 5; ++i) {
        drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
      }
    });
    bench.host.sleep(1us);
    drive.endpoint.drop_requests();
    bench.host.sleep(100us);
    CHECK(drive.finished.times.empty());
    drive.endpoint.dma_read(kHost, bytes_of(into), {}, drive.finished.callback());
    bench.host.sleep(100us);
  });
  CHECK(drive.finished.statuses == std::vector<DmaStatus>{DmaStatus::kOk});
}

TEST_CASE("requests have the ordering attributes that software allows") {
  FullBench bench;
  std::vector<TlpRecord> writes;
  bench.drives[0].link.set_tlp_log([&](const TlpRecord& record) {
    if (record.direction == Direction::kUp && record.type == TlpType::kMWr32) {
      writes.push_back(record);
    }
  });
  bench.run([&] {
    const FunctionInfo& function = bench.functions[0];
    const unsigned control = function.express_capability + 8;
    const std::array<std::byte, 4> data{};
    const auto write = [&] { bench.drives[0].endpoint.dma_write(0x1000, data, {}, {}, {}); };
    write();
    const std::uint32_t before = bench.host.read32(function.id, control) & 0xFFFF;
    bench.host.write32(function.id, control, before & ~(1U << 4));
    write();
    bench.host.write32(function.id, function.express_capability + 0x28, 1U << 8);
    write();
    bench.host.sleep(5us);
  });
  REQUIRE(writes.size() == 3);
  CHECK(writes[0].relaxed_ordering);
  CHECK_FALSE(writes[0].id_based_ordering);
  CHECK_FALSE(writes[1].relaxed_ordering);
  CHECK(writes[2].id_based_ordering);
}

}  // namespace nvmesim::pcie
