// Several controllers in a subsystem: shared namespaces, notices, resets, ANA.
#include "tests/protocol/support/managed_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::LogPageId;
using spec::NvmOpcode;
using spec::Status;
using Ready = ManagedBench;

namespace {

device::ControllerConfig second_config() {
  device::ControllerConfig config = full_config();
  config.identity.controller_id = 7;
  return config;
}

constexpr std::uint32_t kNamespaceNotice = 0x0004'0002;

}  // namespace

TEST_CASE("two controllers share a shared namespace and nothing private") {
  Ready first;
  Ready second(second_config(), first);
  CHECK(second.list_entry(0x02, 0) == 1);
  CHECK(second.list_entry(0x02, 1) == 0);
  std::fill_n(first.port.at(kData), 4096, std::byte{0x42});
  REQUIRE(first.status(1, first.io_to(NvmOpcode::kWrite, 1)) == Status::kSuccess);
  REQUIRE(second.status(1, second.io_to(NvmOpcode::kRead, 1)) == Status::kSuccess);
  CHECK(second.port.load<std::uint8_t>(kData + 100) == 0x42);
  CHECK(second.status(1, second.io_to(NvmOpcode::kRead, 2)) == Status::kInvalidNamespace);
  CHECK(first.read_controller().cmic == 0x0A);
  CHECK(second.read_controller().cntlid == 7);
}
TEST_CASE("the controller lists name both controllers, from a CNTLID on") {
  Ready first;
  Ready second(second_config(), first);
  REQUIRE(first.status(0, identify(0x13, 0, kData)) == Status::kSuccess);
  CHECK(first.port.load<std::uint16_t>(kData) == 2);
  CHECK(first.port.load<std::uint16_t>(kData + 2) == 1);
  CHECK(first.port.load<std::uint16_t>(kData + 4) == 7);
  REQUIRE(first.status(0, identify(0x13 | (2u << 16), 0, kData)) == Status::kSuccess);
  CHECK(first.port.load<std::uint16_t>(kData) == 1);
  REQUIRE(first.status(0, identify(0x12, 2, kData)) == Status::kSuccess);
  CHECK(first.port.load<std::uint16_t>(kData) == 1);
}
TEST_CASE("a private namespace cannot be attached twice, a shared one can") {
  Ready first;
  Ready second(second_config(), first);
  first.check_rejected(0, first.attach_entry(2, {7}), Status::kNamespaceIsPrivate);
  spec::IdentifyNamespace wanted{};
  wanted.nsze = wanted.ncap = 64;
  wanted.nmic = 1;
  REQUIRE(first.status(0, first.create_entry(wanted)) == Status::kSuccess);
  CHECK(first.status(0, first.attach_entry(3, {1, 7})) == Status::kSuccess);
  CHECK(second.status(1, second.io_to(NvmOpcode::kRead, 3)) == Status::kSuccess);
}
TEST_CASE("the other controller hears of an attachment and lists the namespace, once") {
  Ready first;
  Ready second(second_config(), first);
  second.ask_for_notices();
  const std::uint16_t cid = second.await_event();
  const std::uint32_t nsid = first.create(64);
  REQUIRE(first.status(0, first.attach_entry(nsid, {7})) == Status::kSuccess);
  const auto event = second.wait(0, cid);
  REQUIRE(event);
  CHECK(event->entry.dw0 == kNamespaceNotice);
  REQUIRE(second.status(0, get_log(LogPageId::kChangedNamespaceList, 4096)) == Status::kSuccess);
  CHECK(second.port.load<std::uint32_t>(kData) == nsid);
  CHECK(second.port.load<std::uint32_t>(kData + 4) == 0);
  REQUIRE(second.status(0, get_log(LogPageId::kChangedNamespaceList, 4096)) == Status::kSuccess);
  CHECK(second.port.load<std::uint32_t>(kData) == 0);
}
TEST_CASE("a notice that nobody asked for is not sent, its log page tells of it") {
  Ready first;
  Ready second(second_config(), first);
  const std::uint16_t cid = second.await_event();
  const std::uint32_t nsid = first.create(64);
  REQUIRE(first.status(0, first.attach_entry(nsid, {7})) == Status::kSuccess);
  CHECK_FALSE(second.wait(0, cid, 1ms));
  REQUIRE(second.status(0, get_log(LogPageId::kChangedNamespaceList, 4096, 0, kData, true)) ==
          Status::kSuccess);
  CHECK(second.port.load<std::uint32_t>(kData) == nsid);
}
TEST_CASE("deletion through one controller ends the other's commands and tells it") {
  Ready first;
  Ready second(second_config(), first);
  second.ask_for_notices();
  const std::uint16_t event = second.await_event();
  first.media.held = true;
  const std::uint16_t cid = second.submit(1, second.io_to(NvmOpcode::kRead, 1));
  second.run(50us);
  first.media.held = false;
  REQUIRE(first.status(0, first.remove_entry(1)) == Status::kSuccess);
  const auto completion = second.wait(1, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kInvalidNamespace);
  CHECK(second.wait(0, event));
}
TEST_CASE("two controllers with one CNTLID are a user's mistake") {
  Ready first;
  CHECK_THROWS_AS(Bench(full_config(), first), base::UserError);
}
TEST_CASE("a reset of one controller leaves the other alone") {
  Ready first;
  Ready second(second_config(), first);
  first.disable();
  CHECK(second.alive());
  CHECK(second.status(1, second.io_to(NvmOpcode::kRead, 1)) == Status::kSuccess);
}
TEST_CASE("an NVM subsystem reset resets every controller") {
  Ready first;
  Ready second(second_config(), first);
  first.write32(spec::kRegNssr, spec::kNssrMagic);
  CHECK(first.csts().value == 0x10);
  CHECK(second.csts().value == 0x10);
  CHECK(second.read32(spec::kRegCc) == 0);
  CHECK(first.enable());
  CHECK(second.enable());
  CHECK(second.csts().nssro());
  second.write32(spec::kRegCsts, 0x10);
  CHECK_FALSE(second.csts().nssro());
}

TEST_CASE("an ANA group that is not accessible ends I/O with its path status") {
  Ready bench;
  bench.ask_for_notices();
  const std::uint16_t cid = bench.await_event();
  struct Case {
    spec::AnaState state;
    Status status;
  };
  for (const Case& one : {Case{spec::AnaState::kInaccessible, Status::kAnaInaccessible},
                          Case{spec::AnaState::kPersistentLoss, Status::kAnaPersistentLoss},
                          Case{spec::AnaState::kChange, Status::kAnaTransition}}) {
    bench.controller->set_ana_state(1, one.state);
    bench.check_rejected(1, bench.io_to(NvmOpcode::kRead, 1), one.status);
  }
  const auto event = bench.wait(0, cid);
  REQUIRE(event);
  CHECK(event->entry.dw0 == 0x000C'0302);
  bench.controller->set_ana_state(1, spec::AnaState::kNonOptimized);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 1)) == Status::kSuccess);
}
TEST_CASE("the ANA log has a descriptor per group, with or without namespaces") {
  Ready bench;
  bench.controller->set_ana_state(2, spec::AnaState::kNonOptimized);
  REQUIRE(bench.status(0, get_log(LogPageId::kAsymmetricNamespaceAccess, 512)) == Status::kSuccess);
  const auto header = bench.port.load<spec::AnaLogHeader>(kData);
  CHECK(header.change_count == 1);
  CHECK(header.descriptors == 2);
  const auto group = bench.port.load<spec::AnaGroupDescriptor>(kData + 16);
  CHECK(group.group == 1);
  CHECK(group.nsids == 2);
  CHECK(group.state == 1);
  CHECK(bench.port.load<std::uint32_t>(kData + 48) == 1);
  CHECK(bench.port.load<std::uint32_t>(kData + 52) == 2);
  const auto other = bench.port.load<spec::AnaGroupDescriptor>(kData + 56);
  CHECK(other.group == 2);
  CHECK(other.nsids == 0);
  CHECK(other.state == 2);
  CHECK(other.change_count == 1);
  auto groups_only = get_log(LogPageId::kAsymmetricNamespaceAccess, 512);
  groups_only.cdw10 |= 1u << 8;
  REQUIRE(bench.status(0, groups_only) == Status::kSuccess);
  CHECK(bench.port.load<spec::AnaGroupDescriptor>(kData + 16).nsids == 0);
  CHECK(bench.port.load<spec::AnaGroupDescriptor>(kData + 48).group == 2);
}
