// The persistent state of a drive: what survives a power cycle, and what text is refused.
#include <cstring>

#include "device/persistent_state.hpp"
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
  explicit Ready(device::ControllerConfig wanted = full_config(), bool spare = false)
      : Bench(wanted, spare) {
    REQUIRE(enable());
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

// A bench whose drive begins with the state of another.
std::string state_of(const Bench& bench) {
  return device::write_state(bench.controller->save());
}
void bring_back(Bench& bench, const std::string& text) {
  bench.controller->restore(device::read_state(text, "state"), "state");
}

// The drive after its power was off: a controller of its own in front of the same media.
device::ControllerConfig after_power_loss(device::ControllerConfig config) {
  config.identity.controller_id = 5;
  return config;
}

}  // namespace

TEST_CASE("namespaces, saved features, firmware and counters survive a restart with their state") {
  Ready bench;
  bench.create_pair(1);
  auto remove = admin(AdminOpcode::kNamespaceManagement, 1);
  remove.nsid = 2;
  REQUIRE(bench.status(0, remove) == Status::kSuccess);
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  REQUIRE(bench.status(0, set(FeatureId::kArbitration, 2, true)) == Status::kSuccess);
  std::fill_n(bench.port.at(kData), 4096, std::byte{0x66});
  REQUIRE(bench.status(0, set(FeatureId::kLbaRangeType, 1, true, 1)) == Status::kSuccess);
  bench.run(1ms);
  const std::string text = state_of(bench);
  device::ControllerConfig config = full_config();
  device::PersistentState state = device::read_state(text, "state");
  CHECK(state.namespaces.size() == 1);
  CHECK(state.features.size() == 2);
  CHECK(state.counters.writes == 1);
  CHECK_FALSE(state.clean_shutdown);
  // The same drive after a power cycle.
  Bench again(after_power_loss(config), bench);
  bench.disable();
  bring_back(again, text);
  REQUIRE(again.enable());
  REQUIRE(again.status(0, identify(0x10, 0)) == Status::kSuccess);
  CHECK(again.port.load<std::uint32_t>(kData) == 1);
  CHECK(again.port.load<std::uint32_t>(kData + 4) == 0);
  CHECK(again.run_command(0, admin(AdminOpcode::kGetFeatures, 1)).entry.dw0 == 2);
  REQUIRE(again.status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
  const auto smart = again.port.load<spec::SmartLog>(kData);
  CHECK(smart.host_write_commands.low == 1);
  CHECK(smart.power_cycles.low == 2);
  CHECK(smart.unsafe_shutdowns.low == 1);
  CHECK(state_of(again).find("\"data\":\"6666") != std::string::npos);
}
TEST_CASE("blocks made unreadable stay so over a power cycle") {
  device::ControllerConfig config = full_config();
  config.oncs |= spec::kOncsWriteUncorrectable;
  Ready bench(config);
  bench.create_pair(1);
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 16, kData, kData + 4096)) == Status::kSuccess);
  REQUIRE(bench.status(1, io(NvmOpcode::kWriteUncorrectable, 10, 3)) == Status::kSuccess);
  const std::string text = state_of(bench);
  bench.disable();
  Bench again(after_power_loss(config), bench);
  again.controller->core().subsystem.bad_blocks = {};  // as a new subsystem begins
  bring_back(again, text);
  REQUIRE(again.enable());
  again.create_pair(1);
  CHECK(again.status(1, io(NvmOpcode::kRead, 8, 2)) == Status::kSuccess);
  CHECK(again.status(1, io(NvmOpcode::kRead, 12, 1)) == Status::kUnrecoveredReadError);
  CHECK(again.status(1, io(NvmOpcode::kRead, 13, 1)) == Status::kSuccess);
  CHECK(state_of(again).find("\"uncorrectable\":[{") != std::string::npos);
}
TEST_CASE("a reservation with PTPL survives a power cycle, one without does not") {
  device::ControllerConfig config = full_config();
  config.oncs |= spec::kOncsReservations;
  config.namespaces[1].shared = true;
  Ready bench(config);
  bench.create_pair(1);
  std::memset(bench.port.at(kData), 0x11, 16);
  REQUIRE(bench.status(0, set(FeatureId::kHostIdentifier, 1)) == Status::kSuccess);
  for (const std::uint32_t nsid : {1u, 2u}) {
    auto enroll = io(NvmOpcode::kReservationRegister, 0, 1);
    enroll.nsid = nsid;
    enroll.cdw10 = nsid == 1 ? 3u << 30 : 0;
    bench.port.store(kData + 8, std::uint64_t{77});
    REQUIRE(bench.status(1, enroll) == Status::kSuccess);
    auto acquire = io(NvmOpcode::kReservationAcquire, 0, 1);
    acquire.nsid = nsid;
    acquire.cdw10 = 2u << 8;  // Exclusive Access
    bench.port.store(kData, std::uint64_t{77});
    REQUIRE(bench.status(1, acquire) == Status::kSuccess);
  }
  const std::string text = state_of(bench);
  bench.disable();
  Bench again(after_power_loss(config), bench);
  again.controller->core().subsystem.reservations.clear();
  bring_back(again, text);
  REQUIRE(again.enable());
  again.create_pair(1);
  auto read = io(NvmOpcode::kRead, 0, 1);
  CHECK(again.status(1, read) == Status::kReservationConflict);
  read.nsid = 2;
  CHECK(again.status(1, read) == Status::kSuccess);
  // The host comes back to what it holds by its identifier.
  std::memset(again.port.at(kData), 0x11, 16);
  REQUIRE(again.status(0, set(FeatureId::kHostIdentifier, 1)) == Status::kSuccess);
  CHECK(again.status(1, io(NvmOpcode::kRead, 0, 1)) == Status::kSuccess);
  auto release = io(NvmOpcode::kReservationRelease, 0, 1);
  release.cdw10 = 2u << 8;
  again.port.store(kData, std::uint64_t{77});
  CHECK(again.status(1, release) == Status::kSuccess);
}
TEST_CASE("the event log and the host's telemetry survive a power cycle") {
  Ready bench;
  auto telemetry = get_log(LogPageId::kTelemetryHostInitiated, 1024);
  telemetry.cdw10 |= 1u << 8;  // create
  REQUIRE(bench.status(0, telemetry) == Status::kSuccess);
  const std::vector<std::byte> page(bench.port.at(kData), bench.port.at(kData) + 1024);
  const std::size_t events = bench.controller->core().subsystem.events.count();
  const std::string text = state_of(bench);
  bench.disable();
  Bench again(after_power_loss(full_config()), bench);
  again.controller->core().subsystem.events = device::PersistentEvents(100);
  bring_back(again, text);
  CHECK(again.controller->core().subsystem.events.count() == events);
  CHECK(events != 0);
  REQUIRE(again.enable());
  telemetry.cdw10 &= ~(1u << 8);
  REQUIRE(again.status(0, telemetry) == Status::kSuccess);
  CHECK(std::memcmp(again.port.at(kData), page.data(), page.size()) == 0);
  auto events_page = get_log(LogPageId::kPersistentEventLog, 512);
  events_page.cdw10 |= 1u << 8;  // establish a context
  REQUIRE(again.status(0, events_page) == Status::kSuccess);
  const auto header = again.port.load<spec::PersistentEventHeader>(kData);
  CHECK(header.events == events + 1);  // and this power on
}
TEST_CASE("a sanitize that the loss of power ended starts again") {
  Ready bench;
  bench.create_pair(1);
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  device::PersistentState state = bench.controller->save();
  state.sanitize_status = spec::kSanitizeRunning;
  state.sanitize_cdw10 = spec::kSanitizeBlockErase;
  bench.disable();
  Bench again(after_power_loss(full_config()), bench);
  bring_back(again, device::write_state(state));
  REQUIRE(again.enable());
  again.create_pair(1);
  CHECK(again.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSanitizeInProgress);
  CHECK(again.media.used_units() == 1);
  again.run(20ms);
  CHECK(again.media.used_units() == 0);
  CHECK(again.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
}
TEST_CASE("a shutdown makes the next start a safe one") {
  Ready bench;
  bench.write32(spec::kRegCc, 0x0046'4001);
  bench.run(1ms);
  CHECK(bench.controller->save().clean_shutdown);
}
TEST_CASE("a state that is not of this drive is refused and changes nothing") {
  Bench bench(full_config());
  const device::PersistentState good = bench.controller->save();
  const std::string before = state_of(bench);
  const auto refused = [&](auto change) {
    device::PersistentState bad = good;
    change(bad);
    CHECK_THROWS_AS(bench.controller->restore(bad, "state"), base::UserError);
    CHECK(state_of(bench) == before);
  };
  using State = device::PersistentState;
  refused([](State& s) { s.serial_number = "other"; });
  refused([](State& s) { s.namespaces[0].units = 1ull << 60; });
  refused([](State& s) { s.namespaces[0].first_unit = ~0ull; });
  refused([](State& s) { s.namespaces[0].units = 0; });
  refused([](State& s) { s.namespaces[0].blocks = 1ull << 50; });
  refused([](State& s) { s.namespaces[0].block_bytes = 520; });
  refused([](State& s) { s.namespaces[0].metadata_bytes = 8; });
  refused([](State& s) { s.namespaces[0].protection_type = 1; });
  refused([](State& s) { s.namespaces[0].ana_group = 0; });
  refused([](State& s) { s.namespaces[0].nsid = 0; });
  refused([](State& s) { s.namespaces[0].nsid = 9; });
  refused([](State& s) { s.namespaces[1].nsid = 1; });
  refused([](State& s) { s.namespaces[1].first_unit = 0; });
  refused([](State& s) { s.firmware.pop_back(); });
  refused([](State& s) { s.firmware[0].revision = "123456789"; });
  refused([](State& s) { s.firmware[0].reset = 3; });
  refused([](State& s) { s.active_slot = 0; });
  refused([](State& s) { s.active_slot = 2; });
  refused([](State& s) { s.next_slot = 4; });
  refused([](State& s) { s.sanitize_status = 0x200; });
  refused([](State& s) { s.uncorrectable.push_back({0, 0}); });
  refused([](State& s) { s.uncorrectable.push_back({kMediaUnits * 4096, 512}); });
  refused([](State& s) { s.uncorrectable.push_back({512, ~0ull}); });
  refused([](State& s) { s.reservations.push_back({9, 0, 0, 0, {}}); });
  refused([](State& s) { s.reservations.push_back({1, 7, 0, 0, {}}); });
  refused([](State& s) { s.reservations.push_back({1, 1, 0, 0, {}}); });  // held by nobody
  refused([](State& s) { s.reservations.push_back({1, 0, 0, 1, {{"00", 0, 1}}}); });
  refused([](State& s) { s.events.push_back({256, 1, 0, ""}); });
  refused([](State& s) { s.events.push_back({1, 1, 0, "0"}); });
  refused([](State& s) { s.host_telemetry = "00"; });
  refused([](State& s) { s.features.push_back({0x07, 0, 0, ""}); });
  refused([](State& s) { s.features.push_back({0x01, 1, 0, ""}); });
  refused([](State& s) { s.features.push_back({0x02, 0, 31, ""}); });
  refused([](State& s) { s.features.push_back({0x04, 7, 300, ""}); });
  refused([](State& s) { s.features.push_back({0x09, 99, 99, ""}); });
  refused([](State& s) { s.features.push_back({0x0C, 0, 1, "00"}); });
  const std::string no_hexadecimal(512, 'z');
  refused([&](State& s) { s.features.push_back({0x0C, 0, 1, no_hexadecimal}); });
  const std::string too_long(8192, '0');
  refused([&](State& s) { s.features.push_back({0x03, 5, 0, too_long}); });
}
TEST_CASE("text that is not a state is refused with a line that says where") {
  const Bench bench(full_config());
  const std::string good = state_of(bench);
  for (std::size_t cut = 0; cut + 2 < good.size(); cut += 37) {
    CHECK_THROWS_AS(device::read_state(good.substr(0, cut), "drive.json"), base::UserError);
  }
  for (const std::string_view text :
       {"{\"version\":2}", "[]", "{\"namespaces\":3}", "{\"nonsense\":1}", "{\"version\":-1}"}) {
    try {
      device::read_state(text, "drive.json");
      FAIL("not refused: " << text);
    } catch (const base::UserError& error) {
      CHECK(std::string(error.what()).find("drive.json") != std::string::npos);
    }
  }
}
