// Security Send and Receive; Directive Send and Receive.
#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  spec::SubmissionEntry receive(std::uint32_t protocol, std::uint32_t specific,
                                std::uint32_t bytes) {
    auto entry = admin(AdminOpcode::kSecurityReceive, (protocol << 24) | (specific << 8), bytes);
    entry.prp1 = kData;
    return entry;
  }
  std::uint8_t byte(std::uint64_t offset) { return port.load<std::uint8_t>(kData + offset); }

  spec::SubmissionEntry directive(AdminOpcode opcode, std::uint32_t type, std::uint32_t operation,
                                  std::uint32_t specific = 0, std::uint32_t cdw12 = 0,
                                  std::uint32_t nsid = 1) {
    auto entry = admin(opcode, 7, operation | (type << 8) | (specific << 16));
    entry.cdw12 = cdw12;
    entry.nsid = nsid;
    entry.prp1 = kData;
    return entry;
  }
  spec::SubmissionEntry ask(std::uint32_t type, std::uint32_t operation, std::uint32_t cdw12 = 0) {
    return directive(AdminOpcode::kDirectiveReceive, type, operation, 0, cdw12);
  }
  spec::SubmissionEntry tell(std::uint32_t type, std::uint32_t operation,
                             std::uint32_t specific = 0, std::uint32_t cdw12 = 0) {
    return directive(AdminOpcode::kDirectiveSend, type, operation, specific, cdw12);
  }
  void enable_streams() { REQUIRE(status(0, tell(0, 1, 0, 0x101)) == Status::kSuccess); }
  spec::StreamsParameters parameters() {
    REQUIRE(status(0, ask(1, 1)) == Status::kSuccess);
    return port.load<spec::StreamsParameters>(kData);
  }
  Status write(std::uint16_t stream, std::uint32_t type = 1) {
    auto entry = io(NvmOpcode::kWrite, 0, 8, kData + 0x8000);
    entry.cdw12 |= type << 20;
    entry.cdw13 = std::uint32_t{stream} << 16;
    return status(1, entry);
  }
};

}  // namespace

TEST_CASE("the security protocols are listed") {
  Ready bench;
  REQUIRE(bench.status(0, bench.receive(0, 0, 512)) == Status::kSuccess);
  CHECK(bench.byte(7) == 2);
  CHECK(bench.byte(8) == 0);
  CHECK(bench.byte(9) == 1);
  CHECK(bench.byte(10) == 0);
  CHECK(bench.byte(511) == 0);
  CHECK(bench.byte(512) == 0xA5);
}
TEST_CASE("level 0 discovery names no security subsystem class") {
  Ready bench;
  REQUIRE(bench.status(0, bench.receive(1, 1, 512)) == Status::kSuccess);
  CHECK(bench.byte(3) == 60);  // length of what follows
  CHECK(bench.byte(7) == 1);
  CHECK(bench.byte(49) == 1);  // the TPer feature alone
  CHECK(bench.byte(51) == 12);
  CHECK(bench.byte(52) == 0);
  CHECK(bench.byte(64) == 0);
}
TEST_CASE("a short Security Receive gives the beginning") {
  Ready bench;
  REQUIRE(bench.status(0, bench.receive(0, 0, 8)) == Status::kSuccess);
  CHECK(bench.byte(7) == 2);
  CHECK(bench.byte(8) == 0xA5);
  CHECK(bench.status(0, bench.receive(0, 0, 0)) == Status::kSuccess);
}
TEST_CASE("Security Receive refuses protocols that are not listed and too much data") {
  Ready bench;
  bench.check_rejected(0, bench.receive(2, 1, 512), Status::kInvalidField);
  bench.check_rejected(0, bench.receive(0xEF, 0, 512), Status::kInvalidField);
  bench.check_rejected(0, bench.receive(0, 7, 512), Status::kInvalidField);
  bench.check_rejected(0, bench.receive(0, 0, 256 * 1024), Status::kInvalidField);
}
TEST_CASE("Security Send is refused: no protocol takes data") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kSecuritySend, 1u << 24, 512), Status::kInvalidField);
}

TEST_CASE("the identify directive tells what is supported and enabled") {
  Ready bench;
  auto entry = bench.ask(0, 1);
  entry.cdw10 = 1023;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.byte(0) == 3);
  CHECK(bench.byte(32) == 1);
  bench.enable_streams();
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.byte(32) == 3);
  CHECK(bench.byte(33) == 0);
}
TEST_CASE("NSID FFFFFFFFh enables streams for all namespaces and asks what they share") {
  Ready bench;
  const auto all = spec::kNsidAll;
  bench.check_rejected(0, bench.directive(AdminOpcode::kDirectiveReceive, 1, 1, 0, 0, all),
                       Status::kInvalidField);
  REQUIRE(bench.status(0, bench.directive(AdminOpcode::kDirectiveSend, 0, 1, 0, 0x101, all)) ==
          Status::kSuccess);
  CHECK(bench.write(3) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.directive(AdminOpcode::kDirectiveReceive, 1, 1, 0, 0, all)) ==
          Status::kSuccess);
  const auto shared = bench.port.load<spec::StreamsParameters>(kData);
  const auto own = bench.parameters();
  CHECK(shared.msl == own.msl);
  CHECK(shared.nsso == 1);
  CHECK(shared.nso == 0);
  CHECK(shared.sws == 0);
  CHECK(own.nso == 1);
  CHECK(own.sws != 0);
  // Streams of one namespace are told and released by its own NSID.
  bench.check_rejected(0, bench.directive(AdminOpcode::kDirectiveReceive, 1, 2, 0, 0, all),
                       Status::kInvalidNamespace);
  bench.check_rejected(0, bench.directive(AdminOpcode::kDirectiveSend, 1, 2, 0, 0, all),
                       Status::kInvalidNamespace);
  REQUIRE(bench.status(0, bench.directive(AdminOpcode::kDirectiveSend, 0, 1, 0, 0x100, all)) ==
          Status::kSuccess);
  CHECK(bench.write(3) == Status::kInvalidField);
}
TEST_CASE("a write opens its stream, release closes it") {
  Ready bench;
  bench.enable_streams();
  CHECK(bench.write(5) == Status::kSuccess);
  CHECK(bench.write(3) == Status::kSuccess);
  CHECK(bench.write(5) == Status::kSuccess);
  CHECK(bench.write(0) == Status::kSuccess);
  CHECK(bench.parameters().nso == 2);
  CHECK(bench.parameters().msl == 8);
  REQUIRE(bench.status(0, bench.ask(1, 2)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint16_t>(kData) == 2);
  CHECK(bench.port.load<std::uint16_t>(kData + 2) == 3);
  CHECK(bench.port.load<std::uint16_t>(kData + 4) == 5);
  REQUIRE(bench.status(0, bench.tell(1, 1, 3)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.ask(1, 2)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint16_t>(kData) == 1);
  CHECK(bench.port.load<std::uint16_t>(kData + 2) == 5);
}
TEST_CASE("stream resources are allocated from one pool and given back") {
  Ready bench;
  bench.enable_streams();
  CHECK(bench.run_command(0, bench.ask(1, 3, 6)).entry.dw0 == 6);
  CHECK(bench.parameters().nsa == 6);
  CHECK(bench.parameters().nssa == 2);
  CHECK(bench.run_command(0, bench.ask(1, 3, 9)).entry.dw0 == 2);
  bench.check_rejected(0, bench.ask(1, 3, 1), Status::kStreamAllocationFailed);
  REQUIRE(bench.status(0, bench.tell(1, 2)) == Status::kSuccess);
  CHECK(bench.parameters().nsa == 0);
  CHECK(bench.parameters().nssa == 8);
}
TEST_CASE("no more streams are open than there are resources") {
  Ready bench;
  bench.enable_streams();
  CHECK(bench.run_command(0, bench.ask(1, 3, 2)).entry.dw0 == 2);
  for (std::uint16_t stream = 1; stream <= 9; ++stream)
    CHECK(bench.write(stream) == Status::kSuccess);
  CHECK(bench.parameters().nso == 2);
}
TEST_CASE("the media learns the stream of a write, and of no write without one") {
  Ready bench;
  CHECK(bench.write(0, 0) == Status::kSuccess);
  bench.enable_streams();
  CHECK(bench.write(5) == Status::kSuccess);
  CHECK(bench.write(5, 0) == Status::kSuccess);  // DSPEC without a directive type
  CHECK(bench.write(3) == Status::kSuccess);
  CHECK(bench.media.write_streams == std::vector<std::uint16_t>{0, 5, 0, 3});
}
TEST_CASE("a write with a directive that is not enabled is refused") {
  Ready bench;
  CHECK(bench.write(1) == Status::kInvalidField);
  bench.enable_streams();
  CHECK(bench.write(1, 2) == Status::kInvalidField);
  CHECK(bench.write(1) == Status::kSuccess);
}
TEST_CASE("disabling streams or a controller reset forgets them") {
  Ready bench;
  bench.enable_streams();
  CHECK(bench.write(1) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.tell(0, 1, 0, 0x100)) == Status::kSuccess);
  bench.check_rejected(0, bench.ask(1, 1), Status::kInvalidField);
  bench.enable_streams();
  CHECK(bench.parameters().nso == 0);
  bench.disable();
  REQUIRE(bench.enable());
  bench.check_rejected(0, bench.ask(1, 1), Status::kInvalidField);
}
TEST_CASE("directives refuse unknown types, operations and namespaces") {
  Ready bench;
  bench.enable_streams();
  bench.check_rejected(0, bench.ask(2, 1), Status::kInvalidField);
  bench.check_rejected(0, bench.ask(0, 2), Status::kInvalidField);
  bench.check_rejected(0, bench.ask(1, 9), Status::kInvalidField);
  bench.check_rejected(0, bench.tell(2, 1), Status::kInvalidField);
  bench.check_rejected(0, bench.tell(0, 2), Status::kInvalidField);
  bench.check_rejected(0, bench.tell(1, 7), Status::kInvalidField);
  bench.check_rejected(0, bench.tell(0, 1, 0, 0x001), Status::kInvalidField);
  bench.check_rejected(0, bench.directive(AdminOpcode::kDirectiveReceive, 0, 1, 0, 0, 7),
                       Status::kInvalidNamespace);
}
