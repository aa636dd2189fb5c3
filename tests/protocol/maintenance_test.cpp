// Device Self-test, Sanitize and Keep Alive.
#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::LogPageId;
using spec::NvmOpcode;
using spec::SelfTestResult;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  spec::SubmissionEntry test(std::uint32_t code, std::uint32_t nsid = 0) {
    auto entry = admin(AdminOpcode::kDeviceSelfTest, code);
    entry.nsid = nsid;
    return entry;
  }
  spec::SelfTestLog test_log() {
    REQUIRE(status(0, get_log(LogPageId::kDeviceSelfTest, 564)) == Status::kSuccess);
    return port.load<spec::SelfTestLog>(kData);
  }
  spec::SanitizeLog sanitize_log() {
    REQUIRE(status(0, get_log(LogPageId::kSanitizeStatus, 512)) == Status::kSuccess);
    return port.load<spec::SanitizeLog>(kData);
  }
  spec::SubmissionEntry sanitize(std::uint32_t cdw10) {
    return admin(AdminOpcode::kSanitize, cdw10);
  }
};

unsigned result_of(const spec::SelfTestLog& log, std::size_t index = 0) {
  return log.results[index].status & 0xF;
}
unsigned number(SelfTestResult result) {
  return static_cast<unsigned>(result);
}

}  // namespace

TEST_CASE("a self-test runs in the background with progress and ends with a result") {
  Ready bench;
  CHECK(result_of(bench.test_log()) == number(SelfTestResult::kNoEntry));
  REQUIRE(bench.status(0, bench.test(1)) == Status::kSuccess);
  bench.run(5ms);
  auto log = bench.test_log();
  CHECK(log.current_operation == 1);
  CHECK(log.current_completion >= 49);
  CHECK(log.current_completion <= 53);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  bench.run(6ms);
  log = bench.test_log();
  CHECK(log.current_operation == 0);
  CHECK(log.results[0].status == 0x10);
  CHECK(result_of(log, 1) == number(SelfTestResult::kNoEntry));
}
TEST_CASE("a drive with media errors fails its self-test") {
  Ready bench;
  bench.media.fail(0, models::MediaStatus::kUncorrectable);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kUnrecoveredReadError);
  REQUIRE(bench.status(0, bench.test(1, 1)) == Status::kSuccess);
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  const auto diagnostic = bench.wait(0, event);
  REQUIRE(diagnostic);
  CHECK(diagnostic->entry.dw0 == 0x0001'0200);
  const auto log = bench.test_log();
  CHECK(result_of(log) == number(SelfTestResult::kFailedSegment));
  CHECK(log.results[0].nsid == 1);
  CHECK(log.results[0].valid == 1);
  CHECK(log.results[0].segment != 0);
}
TEST_CASE("a self-test is aborted by STC Fh") {
  Ready bench;
  REQUIRE(bench.status(0, bench.test(2, spec::kNsidAll)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.test(15)) == Status::kSuccess);
  const auto log = bench.test_log();
  CHECK(log.current_operation == 0);
  CHECK(log.results[0].status == 0x21);
  REQUIRE(bench.status(0, bench.test(15)) == Status::kSuccess);  // nothing runs: no new entry
  CHECK(result_of(bench.test_log(), 1) == number(SelfTestResult::kNoEntry));
}
TEST_CASE("a controller reset ends a short self-test, an extended one goes on") {
  Ready bench;
  REQUIRE(bench.status(0, bench.test(1)) == Status::kSuccess);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(result_of(bench.test_log()) == number(SelfTestResult::kAbortedByReset));
  REQUIRE(bench.status(0, bench.test(2)) == Status::kSuccess);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.test_log().current_operation == 2);
  bench.run(101ms);
  CHECK(bench.test_log().results[0].status == 0x20);
}
TEST_CASE("Format NVM and deletion end the self-test of their namespace") {
  Ready bench;
  REQUIRE(bench.status(0, bench.test(2, 2)) == Status::kSuccess);
  auto format = admin(AdminOpcode::kFormatNvm);
  format.nsid = 2;
  REQUIRE(bench.status(0, format) == Status::kSuccess);
  CHECK(result_of(bench.test_log()) == number(SelfTestResult::kAbortedByFormat));
  REQUIRE(bench.status(0, bench.test(2, 2)) == Status::kSuccess);
  auto remove = admin(AdminOpcode::kNamespaceManagement, 1);
  remove.nsid = 2;
  REQUIRE(bench.status(0, remove) == Status::kSuccess);
  CHECK(result_of(bench.test_log()) == number(SelfTestResult::kAbortedNamespaceRemoved));
}
TEST_CASE("the self-test log keeps the last twenty results, newest first") {
  Ready bench;
  for (std::uint32_t i = 0; i < 22; ++i) {
    REQUIRE(bench.status(0, bench.test(i % 2 == 0 ? 1 : 2)) == Status::kSuccess);
    REQUIRE(bench.status(0, bench.test(15)) == Status::kSuccess);
  }
  const auto log = bench.test_log();
  CHECK(log.results[0].status == 0x21);
  CHECK(log.results[1].status == 0x11);
  CHECK(log.results[19].status == 0x11);
}
TEST_CASE("Device Self-test refuses a second test, reserved codes and unknown namespaces") {
  Ready bench;
  bench.check_rejected(0, bench.test(0), Status::kInvalidField);
  bench.check_rejected(0, bench.test(3), Status::kInvalidField);
  bench.check_rejected(0, bench.test(1, 5), Status::kInvalidNamespace);
  REQUIRE(bench.status(0, bench.test(2)) == Status::kSuccess);
  bench.check_rejected(0, bench.test(1), Status::kSelfTestInProgress);
}
TEST_CASE("with DSTO bit 0 one self-test at a time runs in the subsystem") {
  Ready bench;
  device::ControllerConfig config = full_config();
  config.identity.controller_id = 2;
  Bench other(config, bench);
  REQUIRE(other.enable());
  REQUIRE(bench.status(0, bench.test(2)) == Status::kSuccess);
  other.check_rejected(0, bench.test(1), Status::kSelfTestInProgress);
}

TEST_CASE("a sanitize erases everything, tells its progress and its end") {
  Ready bench;
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  CHECK(bench.sanitize_log().sstat == 0);
  REQUIRE(bench.status(0, bench.sanitize(2)) == Status::kSuccess);
  bench.run(2ms);
  auto log = bench.sanitize_log();
  CHECK((log.sstat & 7) == spec::kSanitizeRunning);
  CHECK(log.sprog > 0x7000);
  CHECK(log.sprog < 0x9000);
  CHECK(log.scdw10 == 2);
  const auto completion = bench.wait(0, event);
  REQUIRE(completion);
  CHECK(completion->entry.dw0 == 0x0081'0106);
  log = bench.sanitize_log();
  CHECK(log.sstat == (spec::kSanitizeSucceeded | spec::kSanitizeGlobalErased));
  CHECK(log.sprog == 0xFFFF);
  CHECK(bench.media.used_units() == 0);
  REQUIRE(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 0);
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  CHECK(bench.sanitize_log().sstat == spec::kSanitizeSucceeded);
}
TEST_CASE("while a sanitize runs I/O and most admin commands are refused") {
  Ready bench;
  REQUIRE(bench.status(0, bench.sanitize(4)) == Status::kSuccess);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 8), Status::kSanitizeInProgress);
  bench.check_rejected(1, io(NvmOpcode::kFlush, 0, 1), Status::kSanitizeInProgress);
  bench.check_rejected(0, bench.sanitize(2), Status::kSanitizeInProgress);
  bench.check_rejected(0, bench.test(1), Status::kSanitizeInProgress);
  auto format = admin(AdminOpcode::kFormatNvm);
  format.nsid = 1;
  bench.check_rejected(0, format, Status::kSanitizeInProgress);
  bench.check_rejected(0, admin(AdminOpcode::kFirmwareCommit, 1 | (2 << 3)),
                       Status::kSanitizeInProgress);
  CHECK(bench.alive());
  bench.run(2ms);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
}
TEST_CASE("a sanitize ends I/O in flight") {
  Ready bench;
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(50us);
  bench.media.held = false;
  REQUIRE(bench.status(0, bench.sanitize(2)) == Status::kSuccess);
  const auto completion = bench.wait(1, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kSanitizeInProgress);
  bench.run(5ms);
  CHECK(bench.idle());
}
TEST_CASE("a sanitize goes on over a controller reset") {
  Ready bench;
  REQUIRE(bench.status(0, bench.sanitize(2)) == Status::kSuccess);
  bench.disable();
  REQUIRE(bench.enable());
  bench.create_pair(1);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 8), Status::kSanitizeInProgress);
  bench.run(5ms);
  CHECK((bench.sanitize_log().sstat & 7) == spec::kSanitizeSucceeded);
}
TEST_CASE("an overwrite takes its time for each pass and counts them") {
  Ready bench;
  const base::Time start = bench.scheduler.now();
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  REQUIRE(bench.status(0, bench.sanitize(3 | (2u << 4))) == Status::kSuccess);
  REQUIRE(bench.wait(0, event));
  CHECK(bench.scheduler.now() - start >= 10ms);
  CHECK(bench.sanitize_log().sstat ==
        (spec::kSanitizeSucceeded | (2u << 3) | spec::kSanitizeGlobalErased));
}
TEST_CASE("a sanitize of a media that fails is reported, and can be left") {
  Ready bench;
  bench.media.fail_erases = true;
  REQUIRE(bench.status(0, bench.sanitize(4)) == Status::kSuccess);
  bench.run(3ms);
  CHECK((bench.sanitize_log().sstat & 7) == spec::kSanitizeFailedState);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 8), Status::kSanitizeFailed);
  CHECK(bench.status(0, bench.sanitize(1)) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
}
TEST_CASE("Sanitize refuses reserved actions and No Deallocate") {
  Ready bench;
  for (const std::uint32_t action : {0u, 5u, 6u, 7u}) {
    bench.check_rejected(0, bench.sanitize(action), Status::kInvalidField);
  }
  bench.check_rejected(0, bench.sanitize(2 | (1u << 9)), Status::kInvalidField);
}
TEST_CASE("with NODRM a Sanitize that asks for No Deallocate deallocates and says so") {
  Ready bench;
  constexpr std::uint32_t kNoDeallocate = 1u << 9;
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x17, 1)) == Status::kSuccess);
  CHECK(bench.run_command(0, admin(AdminOpcode::kGetFeatures, 0x17)).entry.dw0 == 1);
  REQUIRE(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.sanitize(2 | kNoDeallocate)) == Status::kSuccess);
  bench.run(10ms);
  CHECK((bench.sanitize_log().sstat & 7) == spec::kSanitizeDeallocated);
  CHECK(bench.media.used_units() == 0);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x17, 0)) == Status::kSuccess);
  bench.check_rejected(0, bench.sanitize(2 | kNoDeallocate), Status::kInvalidField);
}
TEST_CASE("Sanitize is refused while the persistent memory region is enabled") {
  device::ControllerConfig config = full_config();
  config.pmr.pages = 16;
  Ready bench(config);
  bench.write32(spec::kRegPmrctl, 1);
  bench.check_rejected(0, bench.sanitize(2), Status::kSanitizeProhibitedByPmr);
  bench.write32(spec::kRegPmrctl, 0);
  CHECK(bench.status(0, bench.sanitize(2)) == Status::kSuccess);
}
TEST_CASE("Sanitize refuses actions that SANICAP does not have") {
  device::ControllerConfig config = full_config();
  config.sanitize.sanicap = spec::kSanicapCrypto;
  Ready bench(config);
  bench.check_rejected(0, bench.sanitize(2), Status::kInvalidField);
  bench.check_rejected(0, bench.sanitize(3), Status::kInvalidField);
  CHECK(bench.sanitize_log().block_erase_seconds == 0xFFFF'FFFF);
  CHECK(bench.sanitize_log().crypto_erase_seconds == 1);
  CHECK(bench.status(0, bench.sanitize(4)) == Status::kSuccess);
}
TEST_CASE("Sanitize is refused during a Format NVM") {
  Ready bench;
  auto format = admin(AdminOpcode::kFormatNvm);
  format.nsid = 1;
  bench.submit(0, format);
  bench.run(100us);
  CHECK(bench.status(0, bench.sanitize(2)) == Status::kFormatInProgress);
}

TEST_CASE("without Keep Alive in time the controller is fatal") {
  Ready bench;
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0F, 150)) == Status::kSuccess);
  CHECK(bench.run_command(0, admin(AdminOpcode::kGetFeatures, 0x0F)).entry.dw0 == 200);
  for (int i = 0; i < 5; ++i) {
    bench.run(150ms);
    CHECK(bench.status(0, admin(AdminOpcode::kKeepAlive)) == Status::kSuccess);
  }
  bench.run(199ms);
  CHECK_FALSE(bench.csts().cfs());
  bench.run(2ms);
  CHECK(bench.csts().cfs());
  CHECK(spec::status_of(bench.controller->core().errors.entry(0).status_field) ==
        Status::kKeepAliveExpired);
  bench.disable();
  CHECK(bench.enable());
  bench.run(1s);
  CHECK_FALSE(bench.csts().cfs());
}
TEST_CASE("a keep alive timer of 0 is off") {
  Ready bench;
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0F, 100)) == Status::kSuccess);
  REQUIRE(bench.status(0, admin(AdminOpcode::kSetFeatures, 0x0F, 0)) == Status::kSuccess);
  bench.run(1s);
  CHECK_FALSE(bench.csts().cfs());
}
