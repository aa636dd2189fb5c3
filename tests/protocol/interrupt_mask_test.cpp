// INTMS and INTMC, which mask the pin and MSI, but not MSI-X.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

TEST_CASE("INTMS sets and INTMC clears mask bits") {
  Bench bench;
  bench.write32(spec::kRegIntms, 0xF0);
  bench.write32(spec::kRegIntmc, 0x30);
  CHECK(bench.read32(spec::kRegIntms) == 0xC0);
  CHECK(bench.read32(spec::kRegIntmc) == 0xC0);
}

TEST_CASE("INTMS holds the pin's interrupts back, INTMC lets what waits out") {
  Bench bench;
  bench.port.by_pin = true;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegIntms, 1);
  const std::uint64_t before = bench.port.interrupts(0);
  bench.submit(0, identify(1, 0));
  bench.run(50us);
  CHECK(bench.port.interrupts(0) == before);
  bench.write32(spec::kRegIntmc, 1);
  CHECK(bench.port.interrupts(0) == before + 1);
  CHECK(bench.port.served() == 0);
  bench.write32(spec::kRegIntms, 1);  // entries wait still: the pin is released
  CHECK(bench.port.served() == 1);
  CHECK(bench.reap(0).size() == 1);
  bench.write32(spec::kRegIntmc, 1);  // nothing waits any more
  CHECK(bench.port.interrupts(0) == before + 1);
}
TEST_CASE("INTMS means nothing with MSI-X") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegIntms, 1);
  const std::uint64_t before = bench.port.interrupts(0);
  CHECK(bench.alive());
  CHECK(bench.port.interrupts(0) == before + 1);
}
TEST_CASE("INTMS holds MSI messages back, INTMC sends what was held back") {
  Bench bench;
  bench.port.by_message = true;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.write32(spec::kRegIntms, 2);  // the vector of queue 1 only
  const std::uint64_t admin_before = bench.port.interrupts(0);
  CHECK(bench.alive());
  CHECK(bench.port.interrupts(0) == admin_before + 1);
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.run(50us);
  CHECK(bench.port.interrupts(1) == 0);
  bench.write32(spec::kRegIntmc, 1);  // another vector's bit
  CHECK(bench.port.interrupts(1) == 0);
  bench.write32(spec::kRegIntmc, 2);
  CHECK(bench.port.interrupts(1) == 1);
  CHECK(bench.reap(1).size() == 2);
  // Entries that the host was told of are not told of again.
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.run(50us);
  CHECK(bench.port.interrupts(1) == 2);
  bench.write32(spec::kRegIntms, 2);
  bench.write32(spec::kRegIntmc, 2);
  CHECK(bench.port.interrupts(1) == 2);
}
TEST_CASE("an MSI held back for entries that the host took meanwhile is not sent") {
  Bench bench;
  bench.port.by_message = true;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.write32(spec::kRegIntms, 2);
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.run(50us);
  CHECK(bench.reap(1).size() == 1);
  bench.write32(spec::kRegIntmc, 2);
  CHECK(bench.port.interrupts(1) == 0);
}
TEST_CASE("the pin is not raised for entries that the host took before its message was made") {
  device::ControllerConfig config = small_config();
  config.pipeline.interrupt_cycles = 80'000;  // 100 us
  Bench bench(config);
  bench.port.by_pin = true;
  REQUIRE(bench.enable());
  bench.submit(0, identify(1, 0));
  bench.run(50us);
  CHECK(bench.reap(0).size() == 1);
  bench.run(200us);
  CHECK(bench.port.interrupts(0) == 0);
  bench.submit(0, identify(1, 0));
  bench.run(200us);
  CHECK(bench.port.interrupts(0) == 1);
}
TEST_CASE("an entry whose interrupt is held back is seen at once by a host that looks") {
  Bench bench;
  bench.port.by_message = true;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.run(50us);
  CHECK(bench.port.last_write().deferrable);
  bench.write32(spec::kRegIntms, 2);
  bench.submit(1, io(spec::NvmOpcode::kFlush, 0, 1));
  bench.run(50us);
  CHECK_FALSE(bench.port.last_write().deferrable);
}
