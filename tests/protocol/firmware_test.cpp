// Firmware Image Download, Firmware Commit, slots and activation.
#include "device/firmware.hpp"
#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using device::Firmware;
using device::FirmwareReset;
using spec::AdminOpcode;
using spec::LogPageId;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
  }
  spec::SubmissionEntry piece(std::uint32_t offset, std::uint32_t bytes) {
    auto entry = admin(AdminOpcode::kFirmwareImageDownload, bytes / 4 - 1, offset / 4);
    entry.prp1 = kData;
    entry.prp2 = kLists;
    for (std::uint32_t i = 1; i < (bytes + 4095) / 4096; ++i) {
      port.store(kLists + (i - 1) * 8, kData + i * 4096);
    }
    if (bytes > 4096 && bytes <= 8192) entry.prp2 = kData + 4096;
    return entry;
  }
  void download(std::string_view revision, FirmwareReset reset = FirmwareReset::kController,
                std::uint32_t bytes = 20'000) {
    const auto image = Firmware::make_image(revision, reset, bytes);
    for (std::uint32_t at = 0; at < bytes; at += 8192) {
      const std::uint32_t part = std::min(bytes - at, 8192u);
      std::copy_n(image.begin() + at, part, port.at(kData));
      REQUIRE(status(0, piece(at, part)) == Status::kSuccess);
    }
  }
  spec::SubmissionEntry commit(std::uint32_t slot, std::uint32_t action) {
    return admin(AdminOpcode::kFirmwareCommit, slot | (action << 3));
  }
  spec::FirmwareSlotLog log() {
    REQUIRE(status(0, get_log(LogPageId::kFirmwareSlot, 512, 0, kData + 0x8000)) ==
            Status::kSuccess);
    return port.load<spec::FirmwareSlotLog>(kData + 0x8000);
  }
  std::string revision() {
    REQUIRE(status(0, identify(1, 0, kData + 0x8000)) == Status::kSuccess);
    const auto data = port.load<spec::IdentifyController>(kData + 0x8000);
    return {data.fr.begin(), data.fr.end()};
  }
};

std::string slot_text(const spec::FirmwareSlotLog& log, unsigned slot) {
  return {log.frs[slot - 1].begin(), log.frs[slot - 1].end()};
}

}  // namespace

TEST_CASE("Identify tells slots, update without reset and granularity") {
  Ready bench;
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyController>(kData);
  CHECK(data.frmw == (1 | (3 << 1) | 16));
  CHECK(data.fwug == 1);
  CHECK(data.mtfa == 20);
  CHECK((data.oacs & spec::kOacsFirmware) != 0);
}
TEST_CASE("a downloaded image is committed to a slot without being activated") {
  Ready bench;
  bench.download("2.0");
  REQUIRE(bench.status(0, bench.commit(2, 0)) == Status::kSuccess);
  const auto log = bench.log();
  CHECK(log.afi == 1);
  CHECK(slot_text(log, 2) == "2.0     ");
  CHECK(log.frs[2][0] == 0);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.revision() == "1.0     ");
}
TEST_CASE("an image that waits for a reset becomes active with it, and the enable takes longer") {
  Ready bench;
  bench.download("2.0");
  REQUIRE(bench.status(0, bench.commit(2, 1)) == Status::kSuccess);
  CHECK(bench.log().afi == 0x21);
  CHECK(bench.revision() == "1.0     ");
  bench.disable();
  const base::Time start = bench.scheduler.now();
  for (int i = 0; i < 50 && !bench.enable(); ++i) {
  }
  while (!bench.csts().rdy()) bench.run(100us);
  CHECK(bench.scheduler.now() - start >= 3ms);
  CHECK(bench.revision() == "2.0     ");
  CHECK(bench.log().afi == 2);
}
TEST_CASE("a slot that is there can be activated again") {
  Ready bench;
  bench.download("2.0");
  REQUIRE(bench.status(0, bench.commit(2, 3)) == Status::kSuccess);
  bench.run(5ms);
  CHECK(bench.revision() == "2.0     ");
  REQUIRE(bench.status(0, bench.commit(1, 3)) == Status::kSuccess);
  bench.run(5ms);
  CHECK(bench.revision() == "1.0     ");
}
TEST_CASE("activation without a reset pauses processing, tells the host and goes on") {
  Ready bench;
  bench.create_pair(1);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0B, 0x200)) == Status::kSuccess);
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  bench.download("3.1");
  const base::Time start = bench.scheduler.now();
  REQUIRE(bench.status(0, bench.commit(3, 3)) == Status::kSuccess);
  const auto notice = bench.wait(0, event);
  REQUIRE(notice);
  CHECK(notice->entry.dw0 == 0x0003'0102);
  CHECK(bench.csts().pp());
  CHECK(bench.csts().rdy());
  const std::uint16_t cid = bench.submit(1, io(spec::NvmOpcode::kRead, 0, 8));
  CHECK_FALSE(bench.wait(1, cid, 2ms));
  REQUIRE(bench.wait(1, cid, 2ms));
  CHECK(bench.scheduler.now() - start >= 3ms);
  CHECK_FALSE(bench.csts().pp());
  CHECK(bench.revision() == "3.1     ");
}
TEST_CASE("images that need a stronger reset say so and wait for it") {
  Ready bench;
  bench.download("4", FirmwareReset::kSubsystem);
  CHECK(bench.status(0, bench.commit(2, 1)) == Status::kFirmwareNeedsSubsystemReset);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.revision() == "1.0     ");
  bench.write32(spec::kRegNssr, spec::kNssrMagic);
  bench.enable();
  bench.run(5ms);
  CHECK(bench.revision() == "4       ");
  bench.download("5", FirmwareReset::kConventional);
  CHECK(bench.status(0, bench.commit(3, 3)) == Status::kFirmwareNeedsConventionalReset);
  bench.controller->function_reset();
  bench.enable();
  bench.run(5ms);
  CHECK(bench.revision() == "5       ");
}
TEST_CASE("slot 0 lets the controller choose one that is neither read only nor active") {
  Ready bench;
  bench.download("7");
  REQUIRE(bench.status(0, bench.commit(0, 3)) == Status::kSuccess);
  bench.run(5ms);
  CHECK(bench.log().afi == 2);
  bench.download("8");
  REQUIRE(bench.status(0, bench.commit(0, 0)) == Status::kSuccess);
  CHECK(slot_text(bench.log(), 3) == "8       ");
}
TEST_CASE("Firmware Commit refuses slots that are absent or read only") {
  Ready bench;
  bench.download("2.0");
  bench.check_rejected(0, bench.commit(4, 0), Status::kInvalidFirmwareSlot);
  bench.check_rejected(0, bench.commit(1, 1), Status::kInvalidFirmwareSlot);
  bench.check_rejected(0, bench.commit(0, 2), Status::kInvalidFirmwareSlot);
}
TEST_CASE("Firmware Commit refuses reserved actions and boot partitions") {
  Ready bench;
  for (const std::uint32_t action : {4u, 5u, 6u, 7u}) {
    bench.check_rejected(0, bench.commit(2, action), Status::kInvalidField);
  }
}
TEST_CASE("Firmware Commit refuses to activate an empty slot") {
  Ready bench;
  bench.check_rejected(0, bench.commit(2, 2), Status::kInvalidFirmwareImage);
}
TEST_CASE("Firmware Commit refuses an image with a hole, without a header, or damaged") {
  Ready bench;
  const auto image = Firmware::make_image("9", FirmwareReset::kController, 12'288);
  std::copy_n(image.begin(), 4096, bench.port.at(kData));
  REQUIRE(bench.status(0, bench.piece(0, 4096)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.piece(8192, 4096)) == Status::kSuccess);
  bench.check_rejected(0, bench.commit(2, 0), Status::kInvalidFirmwareImage);
  REQUIRE(bench.status(0, bench.piece(4096, 4096)) == Status::kSuccess);
  bench.check_rejected(0, bench.commit(2, 0), Status::kInvalidFirmwareImage);
  std::copy_n(image.begin(), 4096, bench.port.at(kData));
  *bench.port.at(kData + 99) ^= std::byte{1};
  REQUIRE(bench.status(0, bench.piece(0, 4096)) == Status::kSuccess);
  bench.check_rejected(0, bench.commit(2, 0), Status::kInvalidFirmwareImage);
}
TEST_CASE("Firmware Image Download refuses overlaps, odd offsets and what is too long") {
  Ready bench;
  REQUIRE(bench.status(0, bench.piece(4096, 8192)) == Status::kSuccess);
  bench.check_rejected(0, bench.piece(8192, 4096), Status::kOverlappingRange);
  bench.check_rejected(0, bench.piece(2048, 4096), Status::kInvalidField);
  bench.check_rejected(0, bench.piece(1'048'576, 4096), Status::kInvalidField);
  bench.check_rejected(0, admin(AdminOpcode::kFirmwareImageDownload, 0x10000, 0),
                       Status::kInvalidField);
}
TEST_CASE("a controller reset forgets what was downloaded") {
  Ready bench;
  bench.download("2.0");
  bench.disable();
  REQUIRE(bench.enable());
  bench.check_rejected(0, bench.commit(2, 0), Status::kInvalidFirmwareImage);
}
TEST_CASE("activation that takes longer than MTFA is refused") {
  device::ControllerConfig config = full_config();
  config.firmware.mtfa_100ms = 0;
  Ready bench(config);
  bench.download("2.0");
  bench.check_rejected(0, bench.commit(2, 3), Status::kFirmwareNeedsMaxTimeViolation);
}
TEST_CASE("without FRMW bit 4 activation needs a reset") {
  device::ControllerConfig config = full_config();
  config.firmware.without_reset = false;
  Ready bench(config);
  bench.download("2.0");
  bench.check_rejected(0, bench.commit(2, 3), Status::kInvalidField);
}

TEST_CASE(
    "a boot partition is read before the controller is enabled, as Firmware Commit wrote it") {
  device::ControllerConfig config = full_config();
  config.registers.boot_partition_units = 1;
  Ready bench(config);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.bps());
  bench.download("boot", FirmwareReset::kController, 8192);
  auto replace = bench.commit(0, 6);
  replace.cdw10 |= 1u << 31;
  REQUIRE(bench.status(0, replace) == Status::kSuccess);
  auto activate = bench.commit(0, 7);
  activate.cdw10 |= 1u << 31;
  REQUIRE(bench.status(0, activate) == Status::kSuccess);
  bench.disable();
  CHECK(bench.read32(spec::kRegBpinfo) == (1u | (1u << 31)));
  bench.write32(spec::kRegBpmbl, kData + 0x8123);
  bench.write32(spec::kRegBpmbl + 4, 0);
  CHECK(bench.read64(spec::kRegBpmbl) == kData + 0x8000);
  bench.write32(spec::kRegBprsel, 1 | (1u << 10) | (1u << 31));  // its second page
  CHECK((bench.read32(spec::kRegBpinfo) >> 24 & 3) == 1);
  bench.run(10us);
  CHECK((bench.read32(spec::kRegBpinfo) >> 24 & 3) == 2);
  const auto image = Firmware::make_image("boot", FirmwareReset::kController, 8192);
  for (std::uint64_t i = 0; i < 4096; ++i) {
    REQUIRE(bench.port.load<std::byte>(kData + 0x8000 + i) == image[4096 + i]);
  }
  CHECK(bench.port.load<std::uint8_t>(kData + 0x9000) == 0xA5);
}
TEST_CASE("BPRSEL refuses what is beyond the partition, and absent partitions") {
  device::ControllerConfig config = full_config();
  config.registers.boot_partition_units = 1;
  Ready bench(config);
  bench.lines.clear();
  bench.write32(spec::kRegBprsel, 2 | (31u << 10));
  CHECK((bench.read32(spec::kRegBpinfo) >> 24 & 3) == 3);
  bench.write32(spec::kRegBprsel, 0);
  CHECK((bench.read32(spec::kRegBpinfo) >> 24 & 3) == 3);
  CHECK(bench.lines.size() == 2);
}
TEST_CASE("Sanitize waits for the reset that a committed image needs") {
  device::ControllerConfig config = full_config();
  config.firmware.activation_ms = 0;
  Ready bench(config);
  bench.download("2.0");
  REQUIRE(bench.status(0, bench.commit(2, 1)) == Status::kSuccess);  // active at the next reset
  bench.check_rejected(0, admin(AdminOpcode::kSanitize, 2), Status::kFirmwareNeedsControllerReset);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.status(0, admin(AdminOpcode::kSanitize, 2)) == Status::kSuccess);
}
