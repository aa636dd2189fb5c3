// Asynchronous events and Abort.
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
  explicit Ready(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  std::uint16_t request() { return submit(0, admin(AdminOpcode::kAsyncEventRequest)); }
  void bad_doorbell() { write32(spec::sq_tail_doorbell(4, 0), 1); }
  Status set(FeatureId id, std::uint32_t cdw11) {
    return status(0, admin(AdminOpcode::kSetFeatures, static_cast<std::uint32_t>(id), cdw11));
  }
  Completion abort(std::uint16_t qid, std::uint16_t cid) {
    return run_command(0, admin(AdminOpcode::kAbort, qid | (std::uint32_t{cid} << 16)));
  }
};

constexpr std::uint32_t kErrorEvent = 1u << 16;   // bad doorbell register, log page 01h
constexpr std::uint32_t kHotEvent = 0x0002'0101;  // SMART, temperature, log page 02h

}  // namespace

TEST_CASE("an event request waits for its event") {
  Ready bench;
  const std::uint16_t cid = bench.request();
  CHECK_FALSE(bench.wait(0, cid, 5ms));
  bench.bad_doorbell();
  const auto completion = bench.wait(0, cid);
  REQUIRE(completion);
  CHECK(completion->entry.dw0 == kErrorEvent);
}
TEST_CASE("an event waits for its request") {
  Ready bench;
  bench.bad_doorbell();
  const auto completion = bench.wait(0, bench.request());
  REQUIRE(completion);
  CHECK(completion->entry.dw0 == kErrorEvent);
}
TEST_CASE("a type is masked until its log page is read") {
  Ready bench;
  const std::uint16_t first = bench.request();
  const std::uint16_t second = bench.request();
  bench.bad_doorbell();
  CHECK(bench.wait(0, first));
  bench.bad_doorbell();
  CHECK_FALSE(bench.wait(0, second, 1ms));
  // Reading with Retain Asynchronous Event, or another page, keeps the mask.
  bench.run_command(0, get_log(LogPageId::kErrorInformation, 64, 0, kData, true));
  bench.run_command(0, get_log(LogPageId::kSmart, 64));
  bench.bad_doorbell();
  CHECK_FALSE(bench.wait(0, second, 1ms));
  bench.run_command(0, get_log(LogPageId::kErrorInformation, 64));
  bench.bad_doorbell();
  CHECK(bench.wait(0, second));
}
TEST_CASE("reading the log page takes back an event not yet reported") {
  Ready bench;
  bench.bad_doorbell();
  bench.run_command(0, get_log(LogPageId::kErrorInformation, 64));
  CHECK_FALSE(bench.wait(0, bench.request(), 1ms));
}
TEST_CASE("more event requests than AERL allows are refused, the others stay") {
  Ready bench;
  std::vector<std::uint16_t> cids;
  for (int i = 0; i < 4; ++i) cids.push_back(bench.request());
  bench.run(50us);
  CHECK(bench.controller->core().events.outstanding() == 4);
  bench.check_rejected(0, admin(AdminOpcode::kAsyncEventRequest), Status::kAsyncEventLimitExceeded);
  CHECK(bench.controller->core().events.outstanding() == 4);
  bench.bad_doorbell();
  CHECK(bench.wait(0, cids[0]));
}
TEST_CASE("outstanding event requests leave room for other admin commands") {
  device::ControllerConfig config = small_config();
  config.aerl = 20;
  config.pipeline.admin_command_slots = 5;
  Ready bench(config);
  for (int i = 0; i < 21; ++i) {
    bench.request();
    bench.run(20us);
  }
  CHECK(bench.alive());
}
TEST_CASE("the temperature warning is reported when the host asked for it") {
  Ready bench;
  const std::uint16_t cid = bench.request();
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 300) == Status::kSuccess);
  CHECK_FALSE(bench.wait(0, cid, 1ms));  // masked by feature 0Bh
  CHECK(bench.set(FeatureId::kAsyncEventConfiguration, 2) == Status::kSuccess);
  const auto completion = bench.wait(0, cid);
  REQUIRE(completion);
  CHECK(completion->entry.dw0 == kHotEvent);
  REQUIRE(bench.status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
  CHECK(bench.port.load<spec::SmartLog>(kData).critical_warning == spec::kWarningTemperature);
}
TEST_CASE("a temperature below its lower threshold is reported, once") {
  Ready bench;
  const std::uint16_t first = bench.request();
  const std::uint16_t second = bench.request();
  CHECK(bench.set(FeatureId::kAsyncEventConfiguration, 2) == Status::kSuccess);
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 320 | (1u << 20)) == Status::kSuccess);
  CHECK(bench.wait(0, first));
  bench.run_command(0, get_log(LogPageId::kSmart, 512));
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 330 | (1u << 20)) == Status::kSuccess);
  CHECK_FALSE(bench.wait(0, second, 1ms));  // the warning never went away
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 200 | (1u << 20)) == Status::kSuccess);
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 330 | (1u << 20)) == Status::kSuccess);
  CHECK(bench.wait(0, second));
}
TEST_CASE("error and SMART events are masked apart") {
  Ready bench;
  const std::uint16_t first = bench.request();
  const std::uint16_t second = bench.request();
  CHECK(bench.set(FeatureId::kAsyncEventConfiguration, 2) == Status::kSuccess);
  bench.bad_doorbell();
  CHECK(bench.set(FeatureId::kTemperatureThreshold, 300) == Status::kSuccess);
  const auto one = bench.wait(0, first);
  const auto two = bench.wait(0, second);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->entry.dw0 == kErrorEvent);
  CHECK(two->entry.dw0 == kHotEvent);
}

TEST_CASE("Abort ends a command in the media, before its own completion") {
  Ready bench;
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(50us);
  REQUIRE(bench.media.running() == 1);
  CHECK(bench.abort(1, cid).entry.dw0 == 0);
  CHECK(bench.media.running() == 0);
  const auto completions = bench.reap(1);
  REQUIRE(completions.size() == 1);
  CHECK(completions[0].status() == Status::kAbortRequested);
  CHECK_FALSE(spec::dnr_of(completions[0].entry.status));
  CHECK(bench.idle());
}
TEST_CASE("Abort ends a write whose data is on its way") {
  Ready bench;
  const std::uint64_t before = bench.media.fingerprint();
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kWrite, 0, 8));
  while (bench.port.open() != 1 || bench.media.running() == 0) bench.run(10ns);
  // The Abort itself is quick enough only if it is there already: end it from inside.
  auto& core = const_cast<device::Core&>(bench.controller->core());
  for (device::Command& command : core.commands.all()) {
    if (command.state == device::CommandState::kMedia) {
      CHECK(core.terminate(command, Status::kAbortRequested) == device::Termination::kEnding);
      CHECK(core.terminate(command, Status::kAbortRequested) == device::Termination::kTooLate);
    }
  }
  const auto completion = bench.wait(1, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kAbortRequested);
  CHECK(bench.media.fingerprint() == before);
  CHECK(bench.idle());
}
TEST_CASE("Abort of a command that is still in decode ends it") {
  device::ControllerConfig config = small_config();
  config.pipeline.read_latency_ns = 1'000'000;
  Ready bench(config);
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(10us);
  CHECK(bench.abort(1, cid).entry.dw0 == 0);
  const auto completion = bench.wait(1, cid, 50us);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kAbortRequested);
  bench.run(2ms);
  CHECK(bench.idle());
}
TEST_CASE("Abort ends an event request") {
  Ready bench;
  const std::uint16_t cid = bench.request();
  bench.run(20us);
  CHECK(bench.abort(0, cid).entry.dw0 == 0);
  const auto completion = bench.wait(0, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kAbortRequested);
  CHECK(bench.controller->core().events.outstanding() == 0);
  bench.bad_doorbell();
  CHECK(bench.alive());
}
TEST_CASE("Abort of a command that is not there says so") {
  Ready bench;
  const std::uint64_t before = bench.fingerprint();
  const Completion completion = bench.abort(1, 0x7777);
  CHECK(completion.status() == Status::kSuccess);
  CHECK(completion.entry.dw0 == 1);
  CHECK(bench.fingerprint() == before);
}
TEST_CASE("Abort of a completed command says that it was not aborted") {
  Ready bench;
  const Completion read = bench.run_command(1, io(NvmOpcode::kRead, 0, 8));
  CHECK(bench.abort(1, read.entry.cid).entry.dw0 == 1);
}
TEST_CASE("Abort touches no other command with the same CID") {
  Ready bench;
  bench.create_pair(2);
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(20us);
  CHECK(bench.abort(2, cid).entry.dw0 == 1);
  CHECK(bench.media.running() == 1);
}
TEST_CASE("Abort refuses a submission queue that does not exist") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kAbort, 3), Status::kInvalidField);
}
TEST_CASE("more Aborts at once than ACL allows are refused") {
  device::ControllerConfig config = small_config();
  config.acl = 0;
  config.pipeline.completion_cycles = 80'000;  // 100 us: the first is open when the second comes
  Ready bench(config);
  const std::uint16_t first = bench.put(0, admin(AdminOpcode::kAbort, 1 | (9u << 16)));
  const std::uint16_t second = bench.put(0, admin(AdminOpcode::kAbort, 1 | (9u << 16)));
  bench.ring(0);
  const auto one = bench.wait(0, first);
  const auto two = bench.wait(0, second);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->status() == Status::kSuccess);
  CHECK(two->status() == Status::kAbortLimitExceeded);
  CHECK(bench.abort(1, 9).status() == Status::kSuccess);
}
