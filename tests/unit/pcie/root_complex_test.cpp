// Two drives behind one root complex, and a plain TLM memory in place of our own.
#include "pcie/root_complex.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/base/systemc.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"
#include "tests/unit/pcie/wire_reference.hpp"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <tlm_utils/simple_target_socket.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::bytes_of;
using test::FullBench;

// A memory as anybody would write it: blocking transport, a simple socket, no extension.
class ForeignMemory : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<ForeignMemory, 64> socket{"socket"};
  std::vector<unsigned char> bytes = std::vector<unsigned char>(1 << 20);

  explicit ForeignMemory(sc_core::sc_module_name name) : sc_core::sc_module(name) {
    socket.register_b_transport(this, &ForeignMemory::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    unsigned char* at = &bytes[payload.get_address()];
    if (payload.is_write()) {
      std::memcpy(at, payload.get_data_ptr(), payload.get_data_length());
    } else {
      std::memcpy(payload.get_data_ptr(), at, payload.get_data_length());
      delay += sc_core::sc_time(290, sc_core::SC_NS);
    }
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

// The same traffic whatever the memory: when each DMA request ended, counted from its start.
std::vector<Time> traffic(FullBench& bench, std::vector<unsigned char>& memory) {
  auto& drive = bench.drives[0];
  std::vector<unsigned char> data(4096), back(4096);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 3 + 1);
  std::vector<Time> times;
  bench.run([&] {
    bench.set_vector(0, 0x10, false);
    bench.enable_msix();
    const Time start = bench.scheduler.now();
    bench.scheduler_step([&] {
      for (std::uint64_t i = 0; i < 10; ++i) {
        drive.endpoint.dma_read(0x8000 + i * 4096, std::span(bytes_of(back)).first(64 + i * 400),
                                {}, drive.finished.callback());
        drive.endpoint.dma_write(0x20000 + i * 4096, bytes_of(data), {}, {},
                                 drive.finished.callback());
      }
    });
    bench.host.sleep(50us);
    const std::array<std::byte, 16> entry{std::byte{9}};
    drive.endpoint.dma_write(0x1000, entry, {}, {false, true, false}, {});
    drive.endpoint.interrupt(VectorId(0));
    bench.host.sleep(50us);
    for (const Time each : drive.finished.times) times.push_back(each - start);
    times.push_back(bench.host.interrupts.at(0).when - start);
  });
  REQUIRE(times.size() == 21);
  CHECK(std::memcmp(&memory[0x20000], data.data(), data.size()) == 0);
  CHECK(memory[0x1000] == 9);
  return times;
}

// What the traffic must take, from the wire's reference simulation and the latencies.
std::vector<Time> expected_times() {
  const base::Pace pace = formula::tlp_pace(4, 4, 256);
  const Time delay = 140ns;
  std::vector<test::WireJob> up, down;
  for (std::uint32_t i = 0; i < 10; ++i) {
    up.push_back({0ns, true, formula::read_request_segments(64 + i * 400, 9, 20)});
    up.push_back({0ns, false, formula::data_segments(4096, 8, 20)});
  }
  const auto up_ends = test::simulate_wire(up, pace, Wire::kWindow);
  std::vector<Time> times;
  for (std::uint32_t i = 0; i < 10; ++i) {
    const std::uint32_t bytes = 64 + i * 400;
    down.push_back(
        {up_ends[2 * i] + delay + Time(290ns), bytes <= 256, formula::data_segments(bytes, 8, 20)});
    times.push_back(up_ends[2 * i + 1]);
  }
  for (const Time end : test::simulate_wire(down, pace, Wire::kWindow)) {
    times.push_back(end + delay);
  }
  std::sort(times.begin(), times.end());
  times.push_back(Time(50us) + pace(16 + 20 + 4 + 20) + delay);
  return times;
}

}  // namespace

TEST_CASE("our own memory: the times of the traffic are the sum of its parts") {
  FullBench bench;
  CHECK(traffic(bench, bench.memory->bytes) == expected_times());
}

TEST_CASE("our own memory, never ahead of the clock: the same times") {
  FullBench bench(1, {}, {}, 0s);
  CHECK(traffic(bench, bench.memory->bytes) == expected_times());
}

TEST_CASE("a foreign memory with blocking transport: the same times") {
  FullBench bench(1, {}, {}, 1s, false);
  ForeignMemory memory("memory");
  bench.root.memory.bind(memory.socket);
  CHECK(traffic(bench, memory.bytes) == expected_times());
}

TEST_CASE("a foreign memory, never ahead of the clock: the same times") {
  FullBench bench(1, {}, {}, 0s, false);
  ForeignMemory memory("memory");
  bench.root.memory.bind(memory.socket);
  CHECK(traffic(bench, memory.bytes) == expected_times());
}

TEST_CASE("two drives have their own buses, addresses, interrupts and wires") {
  FullBench bench(2);
  auto& first = bench.drives[0];
  auto& second = bench.drives[1];
  std::vector<unsigned char> one(4096), two(4096);
  Time start{0};
  for (std::size_t i = 0; i < 4096; ++i) {
    bench.memory_byte(0x10000 + i) = 1;
    bench.memory_byte(0x20000 + i) = 2;
  }
  bench.run([&] {
    REQUIRE(bench.functions.size() == 2);
    CHECK(bench.functions[0].id == make_id(1, 0, 0));
    CHECK(bench.functions[1].id == make_id(2, 0, 0));
    CHECK(first.endpoint.id() == make_id(1, 0, 0));
    CHECK(second.endpoint.id() == make_id(2, 0, 0));
    bench.host.writel(bench.bar(1) + 0x1000, 22);
    bench.host.writel(bench.bar(0) + 0x1000, 11);
    for (std::size_t drive = 0; drive < 2; ++drive) {
      bench.set_vector(0, static_cast<std::uint32_t>(0x40 + drive), false, drive);
      bench.enable_msix(drive);
    }
    start = bench.scheduler.now();
    bench.scheduler_step([&] {
      first.endpoint.dma_read(0x10000, bytes_of(one), {}, first.finished.callback());
      second.endpoint.dma_read(0x20000, bytes_of(two), {}, second.finished.callback());
      second.endpoint.interrupt(VectorId(0));
    });
    bench.host.sleep(20us);
  });
  CHECK(bench.host.finished);
  REQUIRE(first.device.writes.size() == 1);
  REQUIRE(second.device.writes.size() == 1);
  CHECK(first.device.writes[0].data[0] == std::byte{11});
  CHECK(second.device.writes[0].data[0] == std::byte{22});
  CHECK(one == std::vector<unsigned char>(4096, 1));
  CHECK(two == std::vector<unsigned char>(4096, 2));
  // Neither waits for the other.
  REQUIRE(first.finished.times.size() == 1);
  REQUIRE(second.finished.times.size() == 1);
  CHECK(first.finished.times[0] == second.finished.times[0]);
  REQUIRE(bench.host.interrupts.size() == 1);
  CHECK(bench.host.interrupts[0].data == 0x41);
}

TEST_CASE("the windows of the root complex must fit the address map") {
  const auto rejects = [](auto change) {
    RootComplexConfig config;
    change(config);
    CHECK_THROWS_AS(config.validate(), base::UserError);
  };
  rejects([](RootComplexConfig& config) { config.ports = 0; });
  rejects([](RootComplexConfig& config) { config.mmio_base = 0x1000'0000; });
  rejects([](RootComplexConfig& config) { config.mmio_bytes = 0x4000'0000; });
  rejects([](RootComplexConfig& config) { config.mmio_base += 4096; });
  RootComplexConfig().validate();
}

}  // namespace nvmesim::pcie
