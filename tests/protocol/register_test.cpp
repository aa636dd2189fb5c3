// Registers and the life cycle of the controller: CAP, CC, CSTS, AQA, ASQ, ACQ, NSSR.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

// Enables with the given values and expects CSTS.CFS, a log line, and a way out by CC.EN = 0.
void expect_fatal(Bench& bench, std::uint32_t cc, std::uint32_t aqa, std::uint32_t asq,
                  std::uint32_t acq) {
  bench.write32(spec::kRegAqa, aqa);
  bench.write32(spec::kRegAsq, asq);
  bench.write32(spec::kRegAcq, acq);
  bench.write32(spec::kRegCc, cc);
  bench.run(1ms);
  CHECK(bench.csts().cfs());
  CHECK_FALSE(bench.csts().rdy());
  REQUIRE(bench.lines.size() == 1);
  CHECK(bench.lines[0].find("3.1.5") != std::string::npos);
  bench.write32(spec::kRegCc, 0);
  bench.run(1ms);
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
  CHECK(bench.alive());
}

constexpr std::uint32_t kGoodCc = 0x0046'0001;
constexpr std::uint32_t kGoodAqa = 0x001F'001F;
constexpr std::uint32_t kAsq = 0x10'0000;
constexpr std::uint32_t kAcq = 0x11'0000;

}  // namespace

TEST_CASE("CAP and VS say what the configuration says") {
  Bench bench;
  const spec::Cap cap{bench.read64(spec::kRegCap)};
  CHECK(cap.mqes() == 255);
  CHECK(cap.cqr());
  CHECK(cap.to() == 20);
  CHECK(cap.dstrd() == 0);
  CHECK(cap.css() == spec::kCssNvm);
  CHECK(cap.ams() == 0);
  CHECK(cap.mpsmin() == 0);
  CHECK(bench.read32(spec::kRegCap) == static_cast<std::uint32_t>(cap.value));
  CHECK(bench.read32(spec::kRegCap + 4) == static_cast<std::uint32_t>(cap.value >> 32));
  CHECK(bench.read32(spec::kRegVs) == spec::kVersion14);
}

TEST_CASE("the recorded controller's CAP can be expressed") {
  device::ControllerConfig config = small_config();
  config.mqes = 1023;
  config.timeout_500ms = 20;
  config.oncs = 0;
  config.lpa = 0;
  config.max_io_queues = 4;
  config.vectors = 8;
  Bench bench(config);
  CHECK(bench.read64(spec::kRegCap) == 0x20'1401'03FF);
}

TEST_CASE("ready comes after the configured time and not before") {
  Bench bench;
  bench.write32(spec::kRegAqa, kGoodAqa);
  bench.write32(spec::kRegAsq, kAsq);
  bench.write32(spec::kRegAcq, kAcq);
  bench.write32(spec::kRegCc, kGoodCc);
  bench.run(9'999ns);
  CHECK(bench.csts().value == 0);
  bench.run(2ns);
  CHECK(bench.csts().value == 1);
}

TEST_CASE("not ready comes the configured time after CC.EN = 0") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, 0);
  CHECK(bench.csts().rdy());
  bench.run(3us);
  CHECK_FALSE(bench.csts().rdy());
}

TEST_CASE("CC.EN cleared before ready never becomes ready") {
  Bench bench;
  bench.write32(spec::kRegAqa, kGoodAqa);
  bench.write32(spec::kRegAsq, kAsq);
  bench.write32(spec::kRegAcq, kAcq);
  bench.write32(spec::kRegCc, kGoodCc);
  bench.run(5us);
  bench.write32(spec::kRegCc, 0);
  bench.run(1ms);
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
}

TEST_CASE("enable with an unsupported command set is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc | (6u << 4), kGoodAqa, kAsq, kAcq);
}
TEST_CASE("enable with too large a memory page is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc | (1u << 7), kGoodAqa, kAsq, kAcq);
}
TEST_CASE("enable with an unsupported arbitration is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc | (1u << 11), kGoodAqa, kAsq, kAcq);
}
TEST_CASE("enable with a wrong submission entry size is fatal") {
  Bench bench;
  expect_fatal(bench, 0x0047'0001, kGoodAqa, kAsq, kAcq);
}
TEST_CASE("enable with a wrong completion entry size is fatal") {
  Bench bench;
  expect_fatal(bench, 0x0056'0001, kGoodAqa, kAsq, kAcq);
}
TEST_CASE("enable with an admin submission queue of one entry is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc, 0x001F'0000, kAsq, kAcq);
}
TEST_CASE("enable with an admin completion queue of one entry is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc, 0x0000'001F, kAsq, kAcq);
}
TEST_CASE("enable without a submission queue address is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc, kGoodAqa, 0, kAcq);
}
TEST_CASE("enable without a completion queue address is fatal") {
  Bench bench;
  expect_fatal(bench, kGoodCc, kGoodAqa, kAsq, 0);
}
TEST_CASE("with larger pages the admin queues must be aligned to them") {
  device::ControllerConfig config = small_config();
  config.mpsmax = 1;
  Bench bench(config);
  expect_fatal(bench, kGoodCc | (1u << 7), kGoodAqa, kAsq + 0x1000, kAcq);
}

TEST_CASE("the low bits of ASQ and ACQ and the reserved bits of AQA read as 0") {
  Bench bench;
  bench.write32(spec::kRegAsq, 0x1234'5FFF);
  bench.write32(spec::kRegAsq + 4, 0x7);
  bench.write32(spec::kRegAqa, 0xFFFF'FFFF);
  CHECK(bench.read64(spec::kRegAsq) == 0x7'1234'5000);
  CHECK(bench.read32(spec::kRegAqa) == 0x0FFF'0FFF);
}

TEST_CASE("AQA, ASQ and ACQ do not change while CC.EN is 1") {
  Bench bench;
  REQUIRE(bench.enable());
  const std::uint64_t asq = bench.read64(spec::kRegAsq);
  bench.lines.clear();
  bench.write32(spec::kRegAsq, 0x7000);
  bench.write32(spec::kRegAcq + 4, 1);
  bench.write32(spec::kRegAqa, 0x000F'000F);
  CHECK(bench.read64(spec::kRegAsq) == asq);
  CHECK(bench.read32(spec::kRegAcq + 4) == 0);
  CHECK(bench.read32(spec::kRegAqa) == 0x001F'001F);
  CHECK(bench.lines.size() == 3);
  CHECK(bench.alive());
}

TEST_CASE("CC.MPS, CSS and AMS do not change while CC.EN is 1") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegCc, kGoodCc | (1u << 7) | (1u << 11));
  CHECK(bench.read32(spec::kRegCc) == kGoodCc);
  CHECK(bench.alive());
}

TEST_CASE("read-only and reserved registers ignore writes and say so") {
  Bench bench;
  bench.write32(spec::kRegVs, 0xFFFF'FFFF);
  bench.write32(spec::kRegCap, 0);
  bench.write32(0x18, 1);
  bench.write32(0xF00, 1);
  CHECK(bench.read32(spec::kRegVs) == spec::kVersion14);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.mqes() == 255);
  CHECK(bench.read32(0x18) == 0);
  CHECK(bench.read32(0xF00) == 0);
  CHECK(bench.lines.size() == 4);
}

TEST_CASE("accesses of a wrong width or misaligned are ignored and reported") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.lines.clear();
  const std::uint16_t half = 0;
  bench.controller->bar_write(0, spec::kRegCc, std::as_bytes(std::span(&half, 1)));
  const std::uint32_t word = 0;
  bench.controller->bar_write(0, spec::kRegCc + 2, std::as_bytes(std::span(&word, 1)));
  const std::uint64_t wide = 0;
  bench.controller->bar_write(0, spec::kDoorbellBase, std::as_bytes(std::span(&wide, 1)));
  CHECK(bench.lines.size() == 3);
  CHECK(bench.read32(spec::kRegCc) == kGoodCc);
  std::uint8_t byte = 0;
  bench.controller->bar_read(0, spec::kRegVs + 1, std::as_writable_bytes(std::span(&byte, 1)));
  CHECK(byte == 4);
}

TEST_CASE("a 64-bit write sets both halves") {
  Bench bench;
  const std::uint64_t address = 0x1'2345'6000;
  bench.controller->bar_write(0, spec::kRegAcq, std::as_bytes(std::span(&address, 1)));
  CHECK(bench.read64(spec::kRegAcq) == address);
}

TEST_CASE("optional registers that are absent read as 0") {
  Bench bench;
  for (const std::uint32_t offset :
       {spec::kRegCmbloc, spec::kRegCmbsz, spec::kRegBpinfo, spec::kRegPmrcap, spec::kRegNssr}) {
    CHECK(bench.read32(offset) == 0);
  }
}

TEST_CASE("NSSR without CAP.NSSRS does nothing") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.write32(spec::kRegNssr, spec::kNssrMagic);
  CHECK(bench.csts().rdy());
  CHECK(bench.alive());
}

TEST_CASE("NSSR resets the controller and sets NSSRO until it is cleared") {
  device::ControllerConfig config = small_config();
  config.nssrs = true;
  Bench bench(config);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.nssrs());
  REQUIRE(bench.enable());
  bench.write32(spec::kRegNssr, 0x1234'5678);
  CHECK(bench.csts().rdy());
  bench.write32(spec::kRegNssr, spec::kNssrMagic);
  CHECK(bench.csts().value == 0x10);
  CHECK(bench.read32(spec::kRegCc) == 0);
  CHECK(bench.read64(spec::kRegAsq) == 0);
  bench.write32(spec::kRegCsts, 0x10);
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
  CHECK(bench.alive());
}

TEST_CASE("a submission queue that cannot be read makes the controller fatal") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.port.poison_page(kQueueMemory);
  bench.submit(0, identify(1, 0));
  bench.run(1ms);
  CHECK(bench.csts().cfs());
  bench.port.heal();
  bench.disable();
  CHECK(bench.csts().value == 0);
  CHECK(bench.enable());
  CHECK(bench.alive());
}

TEST_CASE("64-bit accesses reach both halves of a register, and two registers at once") {
  Bench bench;
  const std::uint64_t address = 0x5'1234'5000;
  bench.controller->bar_write(0, spec::kRegAsq, std::as_bytes(std::span(&address, 1)));
  CHECK(bench.read64(spec::kRegAsq) == address);
  CHECK(bench.read32(spec::kRegAsq + 4) == 5);
  const std::uint64_t aqa = std::uint64_t{kGoodAqa} << 32;
  bench.controller->bar_write(0, spec::kRegNssr, std::as_bytes(std::span(&aqa, 1)));
  CHECK(bench.read32(spec::kRegAqa) == kGoodAqa);
  CHECK(bench.lines.size() == 1);  // NSSR is not there
}
