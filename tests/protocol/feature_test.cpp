// Set Features and Get Features.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::FeatureId;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
  }
};

spec::SubmissionEntry set(FeatureId id, std::uint32_t cdw11, std::uint32_t nsid = 0,
                          std::uint32_t extra = 0) {
  auto entry = admin(AdminOpcode::kSetFeatures, static_cast<std::uint32_t>(id) | extra, cdw11);
  entry.nsid = nsid;
  return entry;
}
spec::SubmissionEntry get(FeatureId id, std::uint32_t select = 0, std::uint32_t cdw11 = 0,
                          std::uint32_t nsid = 0) {
  auto entry =
      admin(AdminOpcode::kGetFeatures, static_cast<std::uint32_t>(id) | (select << 8), cdw11);
  entry.nsid = nsid;
  return entry;
}
// Sets, and expects current value, unchanged default, and attributes.
void round_trip(Bench& bench, FeatureId id, std::uint32_t value, std::uint32_t initial) {
  CHECK(bench.run_command(0, get(id)).entry.dw0 == initial);
  CHECK(bench.status(0, set(id, value)) == Status::kSuccess);
  CHECK(bench.run_command(0, get(id)).entry.dw0 == value);
  CHECK(bench.run_command(0, get(id, 1)).entry.dw0 == initial);
  CHECK(bench.run_command(0, get(id, 2)).entry.dw0 == initial);
  CHECK(bench.run_command(0, get(id, 3)).entry.dw0 ==
        (spec::kFeatureChangeable | spec::kFeatureSaveable));
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.run_command(0, get(id)).entry.dw0 == initial);
}

}  // namespace

TEST_CASE("arbitration is kept and goes back at reset") {
  Ready bench;
  round_trip(bench, FeatureId::kArbitration, 0x0302'0102, 3);
}
TEST_CASE("write atomicity is kept and goes back at reset") {
  Ready bench;
  round_trip(bench, FeatureId::kWriteAtomicityNormal, 1, 0);
}
TEST_CASE("interrupt coalescing is kept and goes back at reset") {
  Ready bench;
  round_trip(bench, FeatureId::kInterruptCoalescing, 0x0A05, 0);
}
TEST_CASE("event configuration keeps what the controller can report") {
  Ready bench;
  CHECK(bench.status(0, set(FeatureId::kAsyncEventConfiguration, 0xFFFF'FF1F)) == Status::kSuccess);
  CHECK(bench.run_command(0, get(FeatureId::kAsyncEventConfiguration)).entry.dw0 == 0x1F);
}
TEST_CASE("the one power state can be set and no other") {
  Ready bench;
  CHECK(bench.status(0, set(FeatureId::kPowerManagement, 0)) == Status::kSuccess);
  bench.check_rejected(0, set(FeatureId::kPowerManagement, 1), Status::kInvalidField);
  CHECK(bench.run_command(0, get(FeatureId::kPowerManagement)).entry.dw0 == 0);
}
TEST_CASE("the volatile write cache feature exists only with a cache") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kVolatileWriteCache, 1), Status::kInvalidField);
  bench.check_rejected(0, get(FeatureId::kVolatileWriteCache), Status::kInvalidField);
}
TEST_CASE("with the write cache off every write is durable") {
  Ready bench;
  bench.media.cache = true;
  bench.create_pair(1);
  CHECK(bench.run_command(0, get(FeatureId::kVolatileWriteCache)).entry.dw0 == 1);
  CHECK(bench.status(1, io(spec::NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 0);
  auto fua = io(spec::NvmOpcode::kWrite, 0, 8);
  fua.cdw12 |= 1u << 30;
  CHECK(bench.status(1, fua) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 1);
  CHECK(bench.status(0, set(FeatureId::kVolatileWriteCache, 0)) == Status::kSuccess);
  CHECK(bench.status(1, io(spec::NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 2);
  CHECK(bench.status(1, io(spec::NvmOpcode::kWriteZeroes, 0, 8)) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 3);
}
TEST_CASE("Write Zeroes with FUA is durable") {
  Ready bench;
  bench.media.cache = true;
  bench.create_pair(1);
  auto zeroes = io(spec::NvmOpcode::kWriteZeroes, 3, 2);
  CHECK(bench.status(1, zeroes) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 0);
  zeroes.cdw12 |= 1u << 30;
  CHECK(bench.status(1, zeroes) == Status::kSuccess);
  CHECK(bench.media.last_durable_writes == 1);
}
TEST_CASE("the number of queues granted is the controller's") {
  Ready bench;
  CHECK(bench.run_command(0, set(FeatureId::kNumberOfQueues, 0)).entry.dw0 == 0x0003'0003);
  CHECK(bench.run_command(0, set(FeatureId::kNumberOfQueues, 0x003F'003F)).entry.dw0 ==
        0x0003'0003);
  CHECK(bench.run_command(0, get(FeatureId::kNumberOfQueues)).entry.dw0 == 0x0003'0003);
}
TEST_CASE("Number of Queues refuses FFFFh") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kNumberOfQueues, 0x0000'FFFF), Status::kInvalidField);
  bench.check_rejected(0, set(FeatureId::kNumberOfQueues, 0xFFFF'0000), Status::kInvalidField);
}
TEST_CASE("Number of Queues after a queue was created is out of sequence") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, set(FeatureId::kNumberOfQueues, 0), Status::kCommandSequenceError);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoCq, 1)) == Status::kSuccess);
  bench.check_rejected(0, set(FeatureId::kNumberOfQueues, 0), Status::kCommandSequenceError);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.status(0, set(FeatureId::kNumberOfQueues, 0)) == Status::kSuccess);
}
TEST_CASE("Set Features refuses a feature that is not there") {
  Ready bench;
  for (const std::uint32_t id : {0x00u, 0x0Cu, 0x0Du, 0x0Eu, 0x0Fu, 0x10u, 0x11u, 0x18u, 0x19u,
                                 0x1Du, 0x1Eu, 0x7Fu, 0x82u, 0xC0u}) {
    bench.check_rejected(0, set(static_cast<FeatureId>(id), 0), Status::kInvalidField);
  }
}
TEST_CASE("Get Features refuses a feature that is not there") {
  Ready bench;
  for (const std::uint32_t id : {0x00u, 0x0Cu, 0x0Du, 0x0Eu, 0x0Fu, 0x10u, 0x11u, 0x18u, 0x19u,
                                 0x1Du, 0x1Eu, 0x7Fu, 0x82u, 0xC0u}) {
    bench.check_rejected(0, get(static_cast<FeatureId>(id)), Status::kInvalidField);
  }
}
TEST_CASE("a feature of the connection cannot be saved") {
  Ready bench;
  for (const FeatureId id :
       {FeatureId::kNumberOfQueues, FeatureId::kHostBehaviorSupport, FeatureId::kHostIdentifier}) {
    bench.check_rejected(0, set(id, 0, 0, spec::kSetFeaturesSave), Status::kFeatureNotSaveable);
  }
}
TEST_CASE("without save and select no feature can be saved") {
  device::ControllerConfig config = small_config();
  config.oncs = 0;
  Ready bench(config);
  bench.check_rejected(0, set(FeatureId::kArbitration, 0, 0, spec::kSetFeaturesSave),
                       Status::kFeatureNotSaveable);
}
TEST_CASE("a feature of the controller refuses a namespace") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kArbitration, 1, 1), Status::kFeatureNotNamespaceSpecific);
  CHECK(bench.status(0, set(FeatureId::kArbitration, 1, spec::kNsidAll)) == Status::kSuccess);
}
TEST_CASE("Set Features refuses an NSID that is not there") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kArbitration, 1, 9), Status::kInvalidNamespace);
  bench.check_rejected(0, set(FeatureId::kErrorRecovery, 1, 9), Status::kInvalidNamespace);
  bench.check_rejected(0, set(FeatureId::kErrorRecovery, 1, 0), Status::kInvalidNamespace);
}
TEST_CASE("error recovery belongs to a namespace") {
  device::ControllerConfig config = small_config();
  config.namespaces = {{8}, {8}, {0}};
  Ready bench(config);
  CHECK(bench.status(0, set(FeatureId::kErrorRecovery, 7, 2)) == Status::kSuccess);
  CHECK(bench.run_command(0, get(FeatureId::kErrorRecovery, 0, 0, 1)).entry.dw0 == 0);
  CHECK(bench.run_command(0, get(FeatureId::kErrorRecovery, 0, 0, 2)).entry.dw0 == 7);
  CHECK(bench.status(0, set(FeatureId::kErrorRecovery, 9, spec::kNsidAll)) == Status::kSuccess);
  CHECK(bench.run_command(0, get(FeatureId::kErrorRecovery, 0, 0, 3)).entry.dw0 == 9);
  CHECK(bench.run_command(0, get(FeatureId::kErrorRecovery, 3, 0, 1)).entry.dw0 ==
        (spec::kFeatureChangeable | spec::kFeatureNamespaceSpecific | spec::kFeatureSaveable));
}
TEST_CASE("error recovery refuses DULBE, which no namespace has") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kErrorRecovery, 1u << 16, 1), Status::kInvalidField);
}
TEST_CASE("Get Features of error recovery refuses NSID FFFFFFFFh") {
  Ready bench;
  bench.check_rejected(0, get(FeatureId::kErrorRecovery, 0, 0, spec::kNsidAll),
                       Status::kInvalidNamespace);
}
TEST_CASE("Get Features refuses a reserved select") {
  Ready bench;
  bench.check_rejected(0, get(FeatureId::kArbitration, 4), Status::kInvalidField);
}
TEST_CASE("without save and select Get Features refuses every select but current") {
  device::ControllerConfig config = small_config();
  config.oncs = 0;
  Ready bench(config);
  for (std::uint32_t select = 1; select < 4; ++select) {
    bench.check_rejected(0, get(FeatureId::kArbitration, select), Status::kInvalidField);
  }
  CHECK(bench.status(0, get(FeatureId::kArbitration)) == Status::kSuccess);
}
TEST_CASE("temperature thresholds are kept apart") {
  Ready bench;
  CHECK(bench.run_command(0, get(FeatureId::kTemperatureThreshold)).entry.dw0 == 343);
  CHECK(bench.status(0, set(FeatureId::kTemperatureThreshold, 350)) == Status::kSuccess);
  CHECK(bench.status(0, set(FeatureId::kTemperatureThreshold, 280 | (1u << 20))) ==
        Status::kSuccess);
  CHECK(bench.run_command(0, get(FeatureId::kTemperatureThreshold)).entry.dw0 == 350);
  CHECK(bench.run_command(0, get(FeatureId::kTemperatureThreshold, 0, 1u << 20)).entry.dw0 == 280);
  CHECK(bench.run_command(0, get(FeatureId::kTemperatureThreshold, 1)).entry.dw0 == 343);
}
TEST_CASE("temperature threshold refuses absent sensors and reserved types") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kTemperatureThreshold, 300 | (1u << 16)),
                       Status::kInvalidField);
  bench.check_rejected(0, set(FeatureId::kTemperatureThreshold, 300 | (2u << 20)),
                       Status::kInvalidField);
  bench.check_rejected(0, get(FeatureId::kTemperatureThreshold, 0, 3u << 16),
                       Status::kInvalidField);
}
TEST_CASE("vector configuration is kept per vector and refuses a vector that is not there") {
  Ready bench;
  const auto id = FeatureId::kInterruptVectorConfiguration;
  CHECK(bench.status(0, set(id, 2 | (1u << 16))) == Status::kSuccess);
  CHECK(bench.run_command(0, get(id, 0, 2)).entry.dw0 == (2 | (1u << 16)));
  CHECK(bench.run_command(0, get(id, 0, 3)).entry.dw0 == 3);
  bench.check_rejected(0, set(id, 5), Status::kInvalidField);
  bench.check_rejected(0, get(id, 0, 5), Status::kInvalidField);
}

TEST_CASE("coalescing sends one interrupt per threshold of completions") {
  Ready bench;
  bench.create_pair(1);
  CHECK(bench.status(0, set(FeatureId::kInterruptCoalescing, 3 | (100u << 8))) == Status::kSuccess);
  for (int i = 0; i < 8; ++i) bench.put(1, io(spec::NvmOpcode::kRead, 0, 8));
  bench.ring(1);
  bench.run(100us);
  CHECK(bench.reap(1).size() == 8);
  CHECK(bench.port.interrupts(1) == 2);
}
TEST_CASE("coalescing sends the interrupt when its time is over") {
  Ready bench;
  bench.create_pair(1);
  CHECK(bench.status(0, set(FeatureId::kInterruptCoalescing, 9 | (2u << 8))) == Status::kSuccess);
  const std::uint16_t cid = bench.submit(1, io(spec::NvmOpcode::kRead, 0, 8));
  REQUIRE(bench.wait(1, cid));
  CHECK(bench.port.interrupts(1) == 0);
  bench.run(190us);
  CHECK(bench.port.interrupts(1) == 0);
  bench.run(11us);
  CHECK(bench.port.interrupts(1) == 1);
  CHECK(bench.controller->core().coalescer.held_counter() == 1);
}
TEST_CASE("a vector with coalescing disabled is not held back, and neither is the admin queue") {
  Ready bench;
  bench.create_pair(1);
  CHECK(bench.status(0, set(FeatureId::kInterruptCoalescing, 9 | (200u << 8))) == Status::kSuccess);
  CHECK(bench.status(0, set(FeatureId::kInterruptVectorConfiguration, 1 | (1u << 16))) ==
        Status::kSuccess);
  const std::uint64_t admin_before = bench.port.interrupts(0);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.port.interrupts(1) == 1);
  CHECK(bench.alive());
  CHECK(bench.port.interrupts(0) == admin_before + 1);
}
