// The log pages beside error, SMART and firmware: effects, telemetry, endurance, persistent events,
// supported pages, sanitize, OCP.
#include <cstring>
#include <string>

#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::LogPageId;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  template <class Page>
  Page log(LogPageId page, std::uint32_t specific = 0) {
    auto entry = get_log(page, sizeof(Page), 0, kData + 0x10000);
    entry.cdw10 |= specific << 8;
    entry.prp2 = kData + 0x11000;
    REQUIRE(status(0, entry) == Status::kSuccess);
    return port.load<Page>(kData + 0x10000);
  }
};

spec::SubmissionEntry event_log(std::uint32_t action, std::uint32_t bytes = 512,
                                std::uint64_t offset = 0) {
  auto entry = get_log(LogPageId::kPersistentEventLog, bytes, offset);
  entry.cdw10 |= action << 8;
  return entry;
}

}  // namespace

TEST_CASE("every supported log page can be read, and no other") {
  Ready bench;
  REQUIRE(bench.status(0, event_log(1)) == Status::kSuccess);
  const auto pages = bench.log<std::array<std::uint32_t, 256>>(LogPageId::kSupportedLogPages);
  for (std::uint32_t page = 0; page < 256; ++page) {
    auto entry = get_log(static_cast<LogPageId>(page), 64);
    if (page == 9) entry.cdw11 |= 1u << 16;  // endurance group 1
    CHECK((bench.status(0, entry) == Status::kSuccess) == ((pages[page] & 1) != 0));
  }
  CHECK(pages[0x81] == 1);
  CHECK(pages[0x0A] == 0);
}
TEST_CASE("every supported feature can be read, and no other") {
  Ready bench;
  const auto features = bench.log<std::array<std::uint32_t, 256>>(LogPageId::kFeatureEffects);
  for (std::uint32_t id = 0; id < 256; ++id) {
    auto entry = admin(AdminOpcode::kGetFeatures, id, id == 0x18 ? 1 : 0);
    entry.nsid = 1;
    entry.prp1 = kData;
    CHECK((bench.status(0, entry) == Status::kSuccess) == ((features[id] & 1) != 0));
  }
  CHECK((features[5] & (1u << 20)) != 0);
  CHECK((features[1] & (1u << 21)) != 0);
}
TEST_CASE("the effects log agrees with what the controller accepts") {
  Ready bench;
  const auto log = bench.log<spec::EffectsLog>(LogPageId::kCommandsSupportedAndEffects);
  CHECK(log.admin[0x06] == spec::kEffectSupported);
  CHECK((log.admin[0x80] & spec::kEffectBlocks) != 0);
  CHECK((log.admin[0x0D] & spec::kEffectInventory) != 0);
  CHECK(log.io[0x02] == spec::kEffectSupported);
  CHECK(log.io[0x01] == (spec::kEffectSupported | spec::kEffectBlocks));
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (log.admin[opcode] != 0) continue;
    CHECK(bench.status(0, admin(static_cast<AdminOpcode>(opcode))) == Status::kInvalidOpcode);
  }
}
TEST_CASE("the NVMe-MI effects log is all zeroes") {
  Ready bench;
  const auto page = bench.log<std::array<std::uint64_t, 512>>(LogPageId::kNvmeMiEffects);
  for (const std::uint64_t word : page) REQUIRE(word == 0);
}
TEST_CASE("host telemetry is what the controller was when the host asked for it") {
  Ready bench;
  auto header = bench.log<spec::TelemetryHeader>(LogPageId::kTelemetryHostInitiated);
  CHECK(header.data_area1_last_block == 0);
  header = bench.log<spec::TelemetryHeader>(LogPageId::kTelemetryHostInitiated, 1);
  REQUIRE(header.data_area1_last_block > 0);
  CHECK(header.lid == 7);
  const auto first = bench.log<std::array<char, 1024>>(LogPageId::kTelemetryHostInitiated);
  CHECK(bench.alive());
  const auto again = bench.log<std::array<char, 1024>>(LogPageId::kTelemetryHostInitiated);
  CHECK(first == again);
  CHECK(std::string(first.data() + 512, 512).find("completions") != std::string::npos);
  const auto later = bench.log<std::array<char, 1024>>(LogPageId::kTelemetryHostInitiated, 1);
  CHECK(later != first);
}
TEST_CASE("controller telemetry has data once the media failed") {
  Ready bench;
  auto header = bench.log<spec::TelemetryHeader>(LogPageId::kTelemetryControllerInitiated);
  CHECK(header.controller_data_available == 0);
  CHECK(header.data_area1_last_block == 0);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0B, 0x400)) == Status::kSuccess);
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  bench.media.fail(0, models::MediaStatus::kUncorrectable);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kUnrecoveredReadError);
  const auto notice = bench.wait(0, event);
  REQUIRE(notice);
  CHECK(notice->entry.dw0 == 0x0008'0202);
  header = bench.log<spec::TelemetryHeader>(LogPageId::kTelemetryControllerInitiated);
  CHECK(header.controller_data_available == 1);
  CHECK(header.controller_data_generation == 1);
  CHECK(header.data_area1_last_block > 0);
}
TEST_CASE("the endurance group log counts what SMART counts") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  auto entry = get_log(LogPageId::kEnduranceGroup, 512);
  entry.cdw11 |= 1u << 16;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  const auto log = bench.port.load<spec::EnduranceGroupLog>(kData);
  CHECK(log.host_write_commands.low == 1);
  CHECK(log.data_units_written.low == 1);
  CHECK(log.available_spare == 100);
  CHECK(log.critical_warning == 0);
  entry.cdw11 = 2u << 16 | (entry.cdw11 & 0xFFFF);
  bench.check_rejected(0, entry, Status::kInvalidField);
}
TEST_CASE("a worn drive warns in SMART and in its endurance group") {
  device::ControllerConfig config = full_config();
  config.wear.spare_percent = 4;
  config.wear.used_percent = 130;
  Ready bench(config);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0B, 0x40FF)) == Status::kSuccess);
  const std::uint16_t first = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  auto smart_event = bench.wait(0, first);
  REQUIRE(smart_event);
  CHECK(smart_event->entry.dw0 == 0x0002'0201);
  const std::uint16_t second = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x18, 1 | (1u << 16))) ==
          Status::kSuccess);
  auto group_event = bench.wait(0, second);
  REQUIRE(group_event);
  CHECK(group_event->entry.dw0 == 0x000F'0602);
  const auto smart = bench.log<spec::SmartLog>(LogPageId::kSmart);
  CHECK(smart.critical_warning == spec::kWarningSpare);
  CHECK(smart.available_spare == 4);
  CHECK(smart.percentage_used == 130);
  REQUIRE(bench.status(0, get_log(LogPageId::kEnduranceGroupAggregate, 12)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 1);
  CHECK(bench.port.load<std::uint16_t>(kData + 8) == 1);
}
TEST_CASE("the persistent event log is read in a context, whole and in pieces") {
  Ready bench;
  bench.check_rejected(0, event_log(0), Status::kCommandSequenceError);
  REQUIRE(bench.status(0, event_log(1)) == Status::kSuccess);
  const auto header = bench.port.load<spec::PersistentEventHeader>(kData);
  CHECK(header.lid == 0x0D);
  CHECK(header.events >= 1);
  CHECK(header.header_length == 492);
  CHECK((header.supported_events[0] & 0x10) != 0);
  bench.check_rejected(0, event_log(1), Status::kCommandSequenceError);
  REQUIRE(bench.status(0, event_log(0, 64, 512)) == Status::kSuccess);
  const auto event = bench.port.load<spec::PersistentEvent>(kData);
  CHECK(event.type == spec::kEventPowerOnOrReset);
  CHECK(event.header_length == 21);
  CHECK(event.event_length == sizeof(spec::FirmwareSlotLog));
  bench.check_rejected(0, event_log(0, 64, (header.bytes + 3) / 4 * 4), Status::kInvalidField);
  bench.check_rejected(0, event_log(3), Status::kInvalidField);
  REQUIRE(bench.status(0, event_log(2)) == Status::kSuccess);
  bench.check_rejected(0, event_log(0), Status::kCommandSequenceError);
}
TEST_CASE("the persistent event log tells of what was done to the drive, newest first") {
  Ready bench;
  auto format = admin(AdminOpcode::kFormatNvm);
  format.nsid = 2;
  REQUIRE(bench.status(0, format) == Status::kSuccess);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSanitize, 4)) == Status::kSuccess);
  bench.run(3ms);
  REQUIRE(bench.status(0, event_log(1, 4096)) == Status::kSuccess);
  std::vector<std::uint8_t> types;
  const auto header = bench.port.load<spec::PersistentEventHeader>(kData);
  std::uint64_t at = 512;
  for (std::uint32_t i = 0; i < header.events; ++i) {
    const auto event = bench.port.load<spec::PersistentEvent>(kData + at);
    types.push_back(event.type);
    at += sizeof event + event.event_length;
  }
  CHECK(at == header.bytes);
  CHECK(types == std::vector<std::uint8_t>{spec::kEventSanitizeEnd, spec::kEventSanitizeStart,
                                           spec::kEventFormatEnd, spec::kEventFormatStart,
                                           spec::kEventPowerOnOrReset});
}
TEST_CASE("the persistent event log keeps the newest events only") {
  device::ControllerConfig config = full_config();
  config.management.persistent_events = 16;
  Ready bench(config);
  for (int i = 0; i < 20; ++i) {
    bench.disable();
    REQUIRE(bench.enable());
  }
  REQUIRE(bench.status(0, event_log(1)) == Status::kSuccess);
  CHECK(bench.port.load<spec::PersistentEventHeader>(kData).events == 16);
}
TEST_CASE("the OCP SMART log counts unaligned I/O, throttling and power state changes") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 1, 1)) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 8, 8)) == Status::kSuccess);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 2, 1)) == Status::kSuccess);
  const auto log = bench.log<spec::OcpSmartLog>(LogPageId::kOcpSmart);
  CHECK(log.unaligned_io == 1);
  CHECK(log.power_state_changes == 1);
  CHECK(log.total_nuse == 8);
  CHECK(log.log_page_version == 3);
  CHECK(log.log_page_guid[15] == 0xAF);
  CHECK(log.log_page_guid[0] == 0xC5);
}
TEST_CASE("SMART is told per namespace with LPA bit 0, for namespaces that are there") {
  Ready bench;
  auto entry = get_log(LogPageId::kSmart, 512);
  entry.nsid = 2;
  CHECK(bench.status(0, entry) == Status::kSuccess);
  entry.nsid = 7;
  bench.check_rejected(0, entry, Status::kInvalidNamespace);
  auto other = get_log(LogPageId::kFirmwareSlot, 512);
  other.nsid = 1;
  bench.check_rejected(0, other, Status::kInvalidField);
}
