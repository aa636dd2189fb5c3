// Features with data, and saved values.
#include <cstring>

#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::FeatureId;
using spec::LogPageId;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
  }
  void restart() {
    disable();
    REQUIRE(enable());
  }
  Completion read(FeatureId id, std::uint32_t select = 0, std::uint32_t cdw11 = 0,
                  std::uint32_t nsid = 0) {
    auto entry =
        admin(AdminOpcode::kGetFeatures, static_cast<std::uint32_t>(id) | (select << 8), cdw11);
    entry.nsid = nsid;
    entry.prp1 = kData + 0x8000;
    return run_command(0, entry);
  }
};

spec::SubmissionEntry set(FeatureId id, std::uint32_t cdw11, bool save = false,
                          std::uint32_t nsid = 0) {
  auto entry = admin(AdminOpcode::kSetFeatures,
                     static_cast<std::uint32_t>(id) | (save ? spec::kSetFeaturesSave : 0), cdw11);
  entry.nsid = nsid;
  entry.prp1 = kData;
  return entry;
}

}  // namespace

TEST_CASE("a saved value survives a reset, one that is not saved does not") {
  Ready bench;
  REQUIRE(bench.status(0, set(FeatureId::kInterruptCoalescing, 0x0203, true)) == Status::kSuccess);
  REQUIRE(bench.status(0, set(FeatureId::kInterruptCoalescing, 0x0405)) == Status::kSuccess);
  CHECK(bench.read(FeatureId::kInterruptCoalescing).entry.dw0 == 0x0405);
  CHECK(bench.read(FeatureId::kInterruptCoalescing, 1).entry.dw0 == 0);
  CHECK(bench.read(FeatureId::kInterruptCoalescing, 2).entry.dw0 == 0x0203);
  bench.restart();
  CHECK(bench.read(FeatureId::kInterruptCoalescing).entry.dw0 == 0x0203);
}
TEST_CASE("a saved value works after the reset, not only reads back") {
  Ready bench;
  bench.create_pair(1);
  REQUIRE(bench.status(0, set(FeatureId::kInterruptCoalescing, 9 | (2u << 8), true)) ==
          Status::kSuccess);
  bench.restart();
  bench.create_pair(1);
  const std::uint64_t before = bench.port.interrupts(1);
  REQUIRE(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.port.interrupts(1) == before);
  bench.run(250us);
  CHECK(bench.port.interrupts(1) == before + 1);
}
TEST_CASE("saved thresholds and vectors are kept apart") {
  Ready bench;
  REQUIRE(bench.status(0, set(FeatureId::kTemperatureThreshold, 350, true)) == Status::kSuccess);
  REQUIRE(bench.status(0, set(FeatureId::kTemperatureThreshold, 280 | (1u << 20), true)) ==
          Status::kSuccess);
  REQUIRE(bench.status(0, set(FeatureId::kInterruptVectorConfiguration, 2 | (1u << 16), true)) ==
          Status::kSuccess);
  bench.restart();
  CHECK(bench.read(FeatureId::kTemperatureThreshold).entry.dw0 == 350);
  CHECK(bench.read(FeatureId::kTemperatureThreshold, 0, 1u << 20).entry.dw0 == 280);
  CHECK(bench.read(FeatureId::kInterruptVectorConfiguration, 0, 2).entry.dw0 == 0x1'0002);
  CHECK(bench.read(FeatureId::kInterruptVectorConfiguration, 0, 1).entry.dw0 == 1);
}
TEST_CASE("LBA range types are kept by namespace and saved") {
  Ready bench;
  CHECK(bench.read(FeatureId::kLbaRangeType, 0, 0, 2).entry.dw0 == 0);
  CHECK(bench.port.load<std::uint64_t>(kData + 0x8000 + 24) == 4'000);
  std::fill_n(bench.port.at(kData), 4096, std::byte{0x21});
  REQUIRE(bench.status(0, set(FeatureId::kLbaRangeType, 3, true, 2)) == Status::kSuccess);
  bench.restart();
  CHECK(bench.read(FeatureId::kLbaRangeType, 0, 0, 2).entry.dw0 == 3);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000 + 4095) == 0x21);
  CHECK(bench.read(FeatureId::kLbaRangeType, 0, 0, 1).entry.dw0 == 0);
}
TEST_CASE("the timestamp goes on from what the host set, and starts again at a reset") {
  Ready bench;
  bench.port.store<std::uint64_t>(kData, 1'700'000'000'000);
  REQUIRE(bench.status(0, set(FeatureId::kTimestamp, 0)) == Status::kSuccess);
  bench.run(25ms);
  REQUIRE(bench.read(FeatureId::kTimestamp).status() == Status::kSuccess);
  const auto value = bench.port.load<std::uint64_t>(kData + 0x8000);
  CHECK((value & 0xFFFF'FFFF'FFFF) >= 1'700'000'000'025);
  CHECK((value & 0xFFFF'FFFF'FFFF) <= 1'700'000'000'027);
  CHECK(value >> 48 == 2);  // origin: set by the host
  bench.restart();
  REQUIRE(bench.read(FeatureId::kTimestamp).status() == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData + 0x8000) < 10);
}
TEST_CASE("a host identifier has 8 or 16 bytes") {
  Ready bench;
  for (std::uint8_t i = 0; i < 16; ++i)
    bench.port.store(kData + i, static_cast<std::uint8_t>(i + 1));
  REQUIRE(bench.status(0, set(FeatureId::kHostIdentifier, 1)) == Status::kSuccess);
  REQUIRE(bench.read(FeatureId::kHostIdentifier, 0, 1).status() == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000 + 15) == 16);
  REQUIRE(bench.status(0, set(FeatureId::kHostIdentifier, 0)) == Status::kSuccess);
  bench.port.store<std::uint64_t>(kData + 0x8008, 0x5555);
  REQUIRE(bench.read(FeatureId::kHostIdentifier).status() == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000 + 7) == 8);
  CHECK(bench.port.load<std::uint64_t>(kData + 0x8008) == 0x5555);
}
TEST_CASE("host behavior accepts its flags and refuses extended LBA formats") {
  Ready bench;
  std::fill_n(bench.port.at(kData), 512, std::byte{0});
  bench.port.store<std::uint8_t>(kData, 1);
  CHECK(bench.status(0, set(FeatureId::kHostBehaviorSupport, 0)) == Status::kSuccess);
  REQUIRE(bench.read(FeatureId::kHostBehaviorSupport).status() == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000) == 1);
  bench.port.store<std::uint8_t>(kData + 2, 1);
  bench.check_rejected(0, set(FeatureId::kHostBehaviorSupport, 0), Status::kInvalidField);
}
TEST_CASE("the software progress marker is kept and saved") {
  Ready bench;
  REQUIRE(bench.status(0, set(FeatureId::kSoftwareProgressMarker, 7, true)) == Status::kSuccess);
  bench.restart();
  CHECK(bench.read(FeatureId::kSoftwareProgressMarker).entry.dw0 == 7);
}
TEST_CASE("the command set profile has one combination") {
  Ready bench;
  CHECK(bench.read(FeatureId::kIoCommandSetProfile).entry.dw0 == 0);
  CHECK(bench.status(0, set(FeatureId::kIoCommandSetProfile, 0)) == Status::kSuccess);
  bench.check_rejected(0, set(FeatureId::kIoCommandSetProfile, 1), Status::kInvalidField);
}
TEST_CASE("power management refuses states that are not there") {
  Ready bench;
  bench.check_rejected(0, set(FeatureId::kPowerManagement, 4), Status::kInvalidField);
  CHECK(bench.status(0, set(FeatureId::kPowerManagement, 3)) == Status::kSuccess);
  CHECK(bench.read(FeatureId::kPowerManagement).entry.dw0 == 3);
}
TEST_CASE("APST refuses to lead into operational states or ones that are not there") {
  Ready bench;
  std::fill_n(bench.port.at(kData), 256, std::byte{0});
  bench.port.store<std::uint64_t>(kData, (100u << 8) | (1u << 3));
  bench.check_rejected(0, set(FeatureId::kAutonomousPowerStateTransition, 1),
                       Status::kInvalidField);
  bench.port.store<std::uint64_t>(kData, (100u << 8) | (9u << 3));
  bench.check_rejected(0, set(FeatureId::kAutonomousPowerStateTransition, 1),
                       Status::kInvalidField);
}
TEST_CASE("thermal management temperatures are checked against their range and order") {
  Ready bench;
  const auto id = FeatureId::kHostControlledThermalManagement;
  bench.check_rejected(0, set(id, (310u << 16) | 340), Status::kInvalidField);
  bench.check_rejected(0, set(id, (340u << 16) | 359), Status::kInvalidField);
  bench.check_rejected(0, set(id, (340u << 16) | 330), Status::kInvalidField);
  CHECK(bench.status(0, set(id, (330u << 16) | 340)) == Status::kSuccess);
  CHECK(bench.read(id).entry.dw0 == ((330u << 16) | 340));
}
TEST_CASE("the endurance group event configuration refuses groups that are not there") {
  Ready bench;
  const auto id = FeatureId::kEnduranceGroupEventConfiguration;
  bench.check_rejected(0, set(id, 2), Status::kInvalidField);
  CHECK(bench.status(0, set(id, 1 | (5u << 16), true)) == Status::kSuccess);
  CHECK(bench.read(id, 2, 1).entry.dw0 == (1 | (5u << 16)));
}
TEST_CASE("data of a feature that cannot be read ends with a Data Transfer Error") {
  Ready bench;
  bench.port.poison_page(kData);
  CHECK(bench.status(0, set(FeatureId::kTimestamp, 0)) == Status::kDataTransferError);
  bench.port.heal();
  CHECK(bench.idle());
}
