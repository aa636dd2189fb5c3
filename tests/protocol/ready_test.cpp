// Ready with and without the media, memory page sizes, and doorbell registers.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

constexpr std::uint32_t kGoodCc = 0x0046'0001;
constexpr std::uint32_t kGoodAqa = 0x001F'001F;
constexpr std::uint32_t kAsq = 0x10'0000;
constexpr std::uint32_t kAcq = 0x11'0000;

}  // namespace

TEST_CASE("doorbells before ready are ignored") {
  Bench bench;
  bench.write32(spec::kDoorbellBase, 1);
  bench.run(1ms);
  CHECK(bench.lines.size() == 1);
  CHECK(bench.enable());
  CHECK(bench.alive());
  CHECK(bench.controller->core().errors.count() == 0);
}

TEST_CASE("doorbells are where the stride puts them") {
  device::ControllerConfig config = small_config();
  config.dstrd = 3;
  Bench bench(config);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.dstrd() == 3);
  REQUIRE(bench.enable());
  bench.create_pair(2);
  CHECK(bench.status(2, io(spec::NvmOpcode::kRead, 0, 8)) == spec::Status::kSuccess);
  bench.write32(spec::kDoorbellBase + 4, 0);  // between two strides
  CHECK(bench.controller->core().doorbells.invalid_counter() == 1);
  CHECK(bench.alive());
}

TEST_CASE("doorbell errors are logged, change nothing and raise an event") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.create_pair(1, 16);
  struct Case {
    std::uint32_t offset;
    std::uint32_t value;
    std::uint32_t information;
  };
  // No such queue (twice), beyond the queue (twice), entries never posted, more than fit.
  const Case cases[] = {
      {spec::sq_tail_doorbell(2, 0), 1, 0},  {spec::cq_head_doorbell(3, 0), 1, 0},
      {spec::sq_tail_doorbell(1, 0), 16, 1}, {spec::cq_head_doorbell(1, 0), 99, 1},
      {spec::cq_head_doorbell(1, 0), 1, 1},
  };
  for (const Case& test : cases) {
    const std::uint16_t event = bench.submit(0, admin(spec::AdminOpcode::kAsyncEventRequest));
    bench.run(10us);
    const std::uint64_t before = bench.fingerprint();
    bench.write32(test.offset, test.value);
    const auto completion = bench.wait(0, event);
    REQUIRE(completion);
    CHECK(completion->entry.dw0 == (test.information << 8 | 1u << 16));
    CHECK(bench.fingerprint() == before);
    bench.run_command(0, get_log(spec::LogPageId::kErrorInformation, 64));  // ends the mask
  }
  CHECK(bench.controller->core().errors.count() == std::size(cases));
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == spec::Status::kSuccess);
}

TEST_CASE("a tail that overfills its queue is refused") {
  Bench bench;
  bench.media.held = true;
  REQUIRE(bench.enable());
  bench.create_pair(1, 4);
  bench.write32(spec::sq_tail_doorbell(1, 0), 3);  // full at once: three entries, none consumed
  bench.write32(spec::sq_tail_doorbell(1, 0), 1);
  CHECK(bench.controller->core().doorbells.invalid_counter() == 1);
  CHECK(bench.controller->core().queues.sq(1)->tail == 3);
}

TEST_CASE("CAP tells MPSMIN, CPS and CRMS, and CRTO the times behind them") {
  device::ControllerConfig config = small_config();
  config.registers.revision = device::Revision::v2_0;
  config.registers.mpsmin = 1;
  config.mpsmax = 2;
  config.registers.cps = 2;
  config.registers.crms = 3;
  config.ready_latency_us = 700'000;
  config.registers.media_ready_latency_us = 1'000'000;
  Bench bench(config);
  const spec::Cap cap{bench.read64(spec::kRegCap)};
  CHECK(cap.mpsmin() == 1);
  CHECK(cap.mpsmax() == 2);
  CHECK(cap.cps() == 2);
  CHECK(cap.crms() == 3);
  CHECK(bench.read32(spec::kRegVs) == spec::kVersion20);
  CHECK(bench.read32(spec::kRegCrto) == (4u | (2u << 16)));
}
TEST_CASE("enable with a memory page below MPSMIN is fatal") {
  device::ControllerConfig config = small_config();
  config.registers.mpsmin = 1;
  config.mpsmax = 1;
  Bench bench(config);
  bench.write32(spec::kRegAqa, kGoodAqa);
  bench.write32(spec::kRegAsq, kAsq);
  bench.write32(spec::kRegAcq, kAcq);
  bench.write32(spec::kRegCc, kGoodCc);
  bench.run(1ms);
  CHECK(bench.csts().cfs());
}
TEST_CASE("ready with media waits for the media, ready independent of media does not") {
  device::ControllerConfig config = full_config();
  config.registers.crms = 3;
  config.registers.media_ready_latency_us = 50;
  Bench bench(config);
  bench.write32(spec::kRegAqa, kGoodAqa);
  bench.write32(spec::kRegAsq, static_cast<std::uint32_t>(kQueueMemory));
  bench.write32(spec::kRegAcq, static_cast<std::uint32_t>(kQueueMemory + kQueueStride / 2));
  bench.write32(spec::kRegCc, kGoodCc);
  bench.run(59us);
  CHECK_FALSE(bench.csts().rdy());
  bench.run(2us);
  CHECK(bench.csts().rdy());
  bench.write32(spec::kRegCc, 0);
  bench.run(10us);
  bench.write32(spec::kRegCc, kGoodCc | (1u << 24));
  CHECK(bench.read32(spec::kRegCc) == (kGoodCc | (1u << 24)));
  bench.run(11us);
  CHECK(bench.csts().rdy());
}
TEST_CASE("before the media is ready its commands say so, others work") {
  device::ControllerConfig config = full_config();
  config.registers.crms = 3;
  config.registers.media_ready_latency_us = 1'000;
  Bench bench(config);
  bench.enable_cc = 0x0146'0001;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.check_rejected(1, io(spec::NvmOpcode::kRead, 0, 8), spec::Status::kNamespaceNotReady);
  auto format = admin(spec::AdminOpcode::kFormatNvm);
  format.nsid = 1;
  bench.check_rejected(0, format, spec::Status::kAdminMediaNotReady);
  CHECK(bench.alive());
  REQUIRE(bench.status(0, identify(8, 1)) == spec::Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 14) == 0);
  bench.run(1ms);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == spec::Status::kSuccess);
}
TEST_CASE("CC.CRIME is reserved without CAP.CRMS bit 1") {
  Bench bench;
  bench.write32(spec::kRegCc, 1u << 24);
  CHECK(bench.read32(spec::kRegCc) == 0);
  CHECK(bench.read32(spec::kRegCrto) == 0);
}
