// Namespace Management, Namespace Attachment, Format NVM, and several controllers in a subsystem.
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
    create_pair(1);
  }
  Ready(device::ControllerConfig wanted, Bench& sibling) : Bench(wanted, sibling) {
    REQUIRE(enable());
    create_pair(1);
  }

  spec::SubmissionEntry create_entry(std::uint64_t blocks, std::uint8_t flbas = 0) {
    spec::IdentifyNamespace wanted{};
    wanted.nsze = wanted.ncap = blocks;
    wanted.flbas = flbas;
    return create_entry(wanted);
  }
  spec::SubmissionEntry create_entry(const spec::IdentifyNamespace& wanted) {
    port.store(kData, wanted);
    auto entry = admin(AdminOpcode::kNamespaceManagement, 0);
    entry.prp1 = kData;
    return entry;
  }
  std::uint32_t create(std::uint64_t blocks, std::uint8_t flbas = 0) {
    const Completion completion = run_command(0, create_entry(blocks, flbas));
    REQUIRE(completion.status() == Status::kSuccess);
    return completion.entry.dw0;
  }
  spec::SubmissionEntry remove_entry(std::uint32_t nsid) {
    auto entry = admin(AdminOpcode::kNamespaceManagement, 1);
    entry.nsid = nsid;
    return entry;
  }
  spec::SubmissionEntry attach_entry(std::uint32_t nsid, std::vector<std::uint16_t> ids,
                                     std::uint32_t select = 0) {
    spec::ControllerList list{};
    list.count = static_cast<std::uint16_t>(ids.size());
    std::copy(ids.begin(), ids.end(), list.ids.begin());
    port.store(kData, list);
    auto entry = admin(AdminOpcode::kNamespaceAttachment, select);
    entry.nsid = nsid;
    entry.prp1 = kData;
    return entry;
  }
  spec::SubmissionEntry format_entry(std::uint32_t nsid, std::uint32_t cdw10) {
    auto entry = admin(AdminOpcode::kFormatNvm, cdw10);
    entry.nsid = nsid;
    return entry;
  }
  spec::IdentifyNamespace read_namespace(std::uint32_t nsid, std::uint32_t cns = 0) {
    REQUIRE(status(0, identify(cns, nsid, kData + 0x4000)) == Status::kSuccess);
    return port.load<spec::IdentifyNamespace>(kData + 0x4000);
  }
  spec::IdentifyController read_controller() {
    REQUIRE(status(0, identify(1, 0, kData + 0x4000)) == Status::kSuccess);
    return port.load<spec::IdentifyController>(kData + 0x4000);
  }
  std::uint32_t list_entry(std::uint32_t cns, std::uint32_t index, std::uint32_t nsid = 0) {
    REQUIRE(status(0, identify(cns, nsid, kData + 0x4000)) == Status::kSuccess);
    return port.load<std::uint32_t>(kData + 0x4000 + index * 4);
  }
  spec::SubmissionEntry io_to(NvmOpcode opcode, std::uint32_t nsid, std::uint64_t lba = 0,
                              std::uint32_t blocks = 8) {
    auto entry = io(opcode, lba, blocks);
    entry.nsid = nsid;
    return entry;
  }
  std::uint16_t await_event() { return submit(0, admin(AdminOpcode::kAsyncEventRequest)); }
  void ask_for_notices() {
    REQUIRE(status(0, admin(AdminOpcode::kSetFeatures, 0x0B, 0x4BFF)) == Status::kSuccess);
  }
};

device::ControllerConfig second_config() {
  device::ControllerConfig config = full_config();
  config.identity.controller_id = 7;
  return config;
}

constexpr std::uint32_t kNamespaceNotice = 0x0004'0002;

}  // namespace

TEST_CASE("a created namespace is allocated, attached to nobody, and usable once attached") {
  Ready bench;
  const std::uint32_t nsid = bench.create(4096);
  CHECK(nsid == 3);
  CHECK(bench.list_entry(0x02, 2) == 0);
  CHECK(bench.list_entry(0x10, 2) == 3);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 3)) == Status::kInvalidNamespace);
  CHECK(bench.read_namespace(3, 0x11).nsze == 4096);
  CHECK(bench.status(0, bench.attach_entry(3, {1})) == Status::kSuccess);
  CHECK(bench.list_entry(0x02, 2) == 3);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kWrite, 3)) == Status::kSuccess);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 3, 4088)) == Status::kSuccess);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 3, 4089)) == Status::kLbaOutOfRange);
}
TEST_CASE("created namespaces do not overlap each other") {
  Ready bench;
  const std::uint32_t first = bench.create(80);
  const std::uint32_t second = bench.create(80);
  for (const std::uint32_t nsid : {first, second}) {
    REQUIRE(bench.status(0, bench.attach_entry(nsid, {1})) == Status::kSuccess);
  }
  for (const std::uint32_t nsid : {1u, 2u, first, second}) {
    std::fill_n(bench.port.at(kData), 4096, static_cast<std::byte>(nsid));
    REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kWrite, nsid)) == Status::kSuccess);
  }
  for (const std::uint32_t nsid : {1u, 2u, first, second}) {
    REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, nsid)) == Status::kSuccess);
    CHECK(bench.port.load<std::uint8_t>(kData + 4095) == nsid);
  }
}
TEST_CASE("deleting a namespace gives its capacity and NSID back and forgets its data") {
  Ready bench;
  const std::uint64_t free = bench.read_controller().unvmcap.low;
  const std::uint32_t nsid = bench.create(4096);
  CHECK(bench.read_controller().unvmcap.low == free - 4096 * 512);
  REQUIRE(bench.status(0, bench.attach_entry(nsid, {1})) == Status::kSuccess);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kWrite, nsid)) == Status::kSuccess);
  const auto before = bench.read_namespace(nsid).nguid;
  REQUIRE(bench.status(0, bench.remove_entry(nsid)) == Status::kSuccess);
  bench.run(100us);
  CHECK(bench.read_controller().unvmcap.low == free);
  CHECK(bench.media.used_units() == 0);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, nsid)) == Status::kInvalidNamespace);
  CHECK(bench.create(4096) == nsid);
  REQUIRE(bench.status(0, bench.attach_entry(nsid, {1})) == Status::kSuccess);
  CHECK(bench.read_namespace(nsid).nguid != before);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, nsid)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 0);
}
TEST_CASE("deleting a namespace ends its commands in flight") {
  Ready bench;
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, bench.io_to(NvmOpcode::kRead, 2));
  bench.run(50us);
  bench.media.held = false;
  REQUIRE(bench.status(0, bench.remove_entry(2)) == Status::kSuccess);
  const auto completion = bench.wait(1, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kInvalidNamespace);
}
TEST_CASE("NSID FFFFFFFFh deletes every namespace") {
  Ready bench;
  REQUIRE(bench.status(0, bench.remove_entry(spec::kNsidAll)) == Status::kSuccess);
  bench.run(100us);
  CHECK(bench.list_entry(0x10, 0) == 0);
  CHECK(bench.read_controller().unvmcap.low == kMediaUnits * 4096);
}
TEST_CASE("create refuses a size of 0, thin provisioning, and what is not offered") {
  Ready bench;
  bench.check_rejected(0, bench.create_entry(0), Status::kInvalidField);
  spec::IdentifyNamespace thin{};
  thin.nsze = 100;
  thin.ncap = 50;
  bench.check_rejected(0, bench.create_entry(thin), Status::kThinProvisioningNotSupported);
  bench.check_rejected(0, bench.create_entry(100, 9), Status::kInvalidFormat);
  spec::IdentifyNamespace protection{};
  protection.nsze = protection.ncap = 8;
  protection.dps = 1;  // without metadata
  bench.check_rejected(0, bench.create_entry(protection), Status::kInvalidFormat);
  spec::IdentifyNamespace group{};
  group.nsze = group.ncap = 8;
  group.anagrpid = 9;
  bench.check_rejected(0, bench.create_entry(group), Status::kAnaGroupIdInvalid);
}
TEST_CASE("create refuses more than is unallocated") {
  Ready bench;
  bench.check_rejected(0, bench.create_entry(kMediaUnits * 8),
                       Status::kNamespaceInsufficientCapacity);
}
TEST_CASE("create refuses one namespace more than NN") {
  Ready bench;
  for (int i = 0; i < 6; ++i) bench.create(8);
  bench.check_rejected(0, bench.create_entry(8), Status::kNamespaceIdUnavailable);
}
TEST_CASE("Namespace Management refuses a reserved select and an NSID that is not allocated") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kNamespaceManagement, 2), Status::kInvalidField);
  bench.check_rejected(0, bench.remove_entry(0), Status::kInvalidNamespace);
  bench.check_rejected(0, bench.remove_entry(5), Status::kInvalidNamespace);
  bench.check_rejected(0, bench.remove_entry(99), Status::kInvalidNamespace);
}
TEST_CASE("Namespace Attachment refuses what is so already") {
  Ready bench;
  bench.check_rejected(0, bench.attach_entry(1, {1}), Status::kNamespaceAlreadyAttached);
  const std::uint32_t nsid = bench.create(8);
  bench.check_rejected(0, bench.attach_entry(nsid, {1}, 1), Status::kNamespaceNotAttached);
}
TEST_CASE("Namespace Attachment refuses bad controller lists") {
  Ready bench;
  const std::uint32_t nsid = bench.create(8);
  bench.check_rejected(0, bench.attach_entry(nsid, {}), Status::kControllerListInvalid);
  bench.check_rejected(0, bench.attach_entry(nsid, {9}), Status::kControllerListInvalid);
  bench.check_rejected(0, bench.attach_entry(nsid, {1, 1}), Status::kControllerListInvalid);
  auto entry = bench.attach_entry(nsid, {1});
  bench.port.store<std::uint16_t>(kData, 0xFFFF);
  bench.check_rejected(0, entry, Status::kControllerListInvalid);
}
TEST_CASE("Namespace Attachment refuses a reserved select and an unknown NSID") {
  Ready bench;
  bench.check_rejected(0, bench.attach_entry(1, {1}, 2), Status::kInvalidField);
  bench.check_rejected(0, bench.attach_entry(6, {1}), Status::kInvalidNamespace);
}
TEST_CASE("a detached namespace keeps its data") {
  Ready bench;
  std::fill_n(bench.port.at(kData), 4096, std::byte{0x3C});
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kWrite, 2)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.attach_entry(2, {1}, 1)) == Status::kSuccess);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 2)) == Status::kInvalidNamespace);
  REQUIRE(bench.status(0, bench.attach_entry(2, {1})) == Status::kSuccess);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, 2)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData) == 0x3C);
}

TEST_CASE("Identify lists the formats, and Format NVM changes between them") {
  Ready bench;
  auto before = bench.read_namespace(2);
  CHECK(before.nlbaf == 1);
  CHECK(before.lbaf[0].lbads == 9);
  CHECK(before.lbaf[1].lbads == 12);
  CHECK(before.flbas == 0);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kWrite, 2)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.format_entry(2, 1)) == Status::kSuccess);
  const auto after = bench.read_namespace(2);
  CHECK(after.flbas == 1);
  CHECK(after.nsze == 500);
  CHECK(after.nguid == before.nguid);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, 2, 499, 1)) == Status::kSuccess);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 2, 500, 1)) == Status::kLbaOutOfRange);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, 2, 0, 1)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 0);
}
TEST_CASE("Format NVM of one namespace leaves the others alone") {
  Ready bench;
  std::fill_n(bench.port.at(kData), 4096, std::byte{0x77});
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kWrite, 1, 7'992)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.format_entry(2, 0x200)) == Status::kSuccess);
  REQUIRE(bench.status(1, bench.io_to(NvmOpcode::kRead, 1, 7'992)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 9) == 0x77);
}
TEST_CASE("Format NVM takes its time, and I/O to that namespace is refused meanwhile") {
  Ready bench;
  const base::Time start = bench.scheduler.now();
  const std::uint16_t cid = bench.submit(0, bench.format_entry(2, 0));
  bench.run(500us);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 2)) == Status::kFormatInProgress);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 1)) == Status::kSuccess);
  CHECK(bench.status(0, bench.format_entry(2, 0)) == Status::kFormatInProgress);
  CHECK(bench.status(0, bench.format_entry(spec::kNsidAll, 0)) == Status::kFormatInProgress);
  REQUIRE(bench.wait(0, cid));
  CHECK(bench.scheduler.now() - start >= 2ms);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 2)) == Status::kSuccess);
}
TEST_CASE("a Format NVM goes on over a controller reset, without its completion") {
  Ready bench;
  bench.submit(0, bench.format_entry(2, 1));
  bench.run(500us);
  bench.disable();
  REQUIRE(bench.enable());
  bench.create_pair(1);
  CHECK(bench.status(1, bench.io_to(NvmOpcode::kRead, 2, 0, 1)) == Status::kFormatInProgress);
  bench.run(3ms);
  CHECK(bench.read_namespace(2).flbas == 1);
  CHECK(bench.idle());
}
TEST_CASE("Format NVM with NSID FFFFFFFFh formats every namespace") {
  Ready bench;
  REQUIRE(bench.status(0, bench.format_entry(spec::kNsidAll, 1)) == Status::kSuccess);
  CHECK(bench.read_namespace(1).nsze == 1'000);
  CHECK(bench.read_namespace(2).nsze == 500);
}
TEST_CASE("Format NVM refuses formats, erase settings and namespaces that are not there") {
  Ready bench;
  bench.check_rejected(0, bench.format_entry(2, 7), Status::kInvalidFormat);
  bench.check_rejected(0, bench.format_entry(2, 1u << 5), Status::kInvalidFormat);
  bench.check_rejected(0, bench.format_entry(2, 3u << 9), Status::kInvalidField);
  bench.check_rejected(0, bench.format_entry(0, 0), Status::kInvalidNamespace);
  bench.check_rejected(0, bench.format_entry(6, 0), Status::kInvalidNamespace);
}
TEST_CASE("Format NVM ends commands in flight to its namespace") {
  Ready bench;
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, bench.io_to(NvmOpcode::kRead, 2));
  bench.run(50us);
  bench.media.held = false;
  REQUIRE(bench.status(0, bench.format_entry(2, 0)) == Status::kSuccess);
  const auto completion = bench.wait(1, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kInvalidNamespace);
  CHECK(bench.idle());
}

TEST_CASE("Identify with NSID FFFFFFFFh tells what all namespaces have in common") {
  Ready bench;
  const auto common = bench.read_namespace(spec::kNsidAll);
  CHECK(common.nsze == 0);
  CHECK(common.nlbaf == 1);
  CHECK(common.lbaf[1].lbads == 12);
}
TEST_CASE("an NSID that is not allocated reads as zeroes in CNS 11h and is refused beyond NN") {
  Ready bench;
  CHECK(bench.read_namespace(5, 0x11).nsze == 0);
  bench.check_rejected(0, identify(0x11, 9), Status::kInvalidNamespace);
  bench.check_rejected(0, identify(0x11, 0), Status::kInvalidNamespace);
  bench.check_rejected(0, identify(0x12, 5), Status::kInvalidNamespace);
}
TEST_CASE("NVM sets and endurance groups are listed") {
  Ready bench;
  auto entry = identify(0x04, 0, kData + 0x4000);
  entry.cdw11 = 1;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x4000) == 1);
  const auto set = bench.port.load<spec::NvmSetEntry>(kData + 0x4080);
  CHECK(set.nvmsetid == 1);
  CHECK(set.total_capacity.low == kMediaUnits * 4096);
  CHECK(set.unallocated_capacity.low == bench.read_controller().unvmcap.low);
  REQUIRE(bench.status(0, identify(0x19, 0, kData + 0x4000)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint32_t>(kData + 0x4000) == 0x0001'0001);
  entry.cdw11 = 2;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x4000) == 0);
}
TEST_CASE("namespace granularity is the unit of the media") {
  Ready bench;
  REQUIRE(bench.status(0, identify(0x16, 0, kData)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData + 32) == 4096);
  CHECK(bench.port.load<std::uint64_t>(kData + 40) == 4096);
}
TEST_CASE("CNS values of revision 2.0 answer for the NVM command set and refuse others") {
  Ready bench;
  for (const std::uint32_t cns : {0x05u, 0x06u, 0x07u, 0x1Au, 0x1Bu}) {
    auto entry = identify(cns, cns == 0x07 || cns == 0x1A ? 0 : 1);
    CHECK(bench.status(0, entry) == Status::kSuccess);
    entry.cdw11 = 2u << 24;
    bench.check_rejected(0, entry, Status::kInvalidField);
  }
  CHECK(bench.list_entry(0x07, 1) == 2);
  CHECK(bench.list_entry(0x1A, 1) == 2);
  REQUIRE(bench.status(0, identify(0x1C, 0, kData)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 1);
  REQUIRE(bench.status(0, identify(0x08, 1, kData)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyNamespaceIndependent>(kData);
  CHECK(data.nmic == 1);
  CHECK(data.nstat == 1);
  CHECK(data.anagrpid == 1);
}

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
