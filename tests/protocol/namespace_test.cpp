// Namespace Management, Namespace Attachment, Format NVM, and what Identify tells of them.
#include "tests/protocol/support/managed_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;
using Ready = ManagedBench;

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
TEST_CASE("a namespace that is being formatted is not deleted") {
  Ready bench;
  const std::uint16_t cid = bench.submit(0, bench.format_entry(2, 0));
  bench.run(50us);
  CHECK(bench.status(0, bench.remove_entry(2)) == Status::kFormatInProgress);
  CHECK(bench.status(0, bench.remove_entry(spec::kNsidAll)) == Status::kFormatInProgress);
  const auto completion = bench.wait(0, cid);
  REQUIRE(completion);
  CHECK(completion->status() == Status::kSuccess);
  CHECK(bench.status(0, bench.remove_entry(2)) == Status::kSuccess);
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
TEST_CASE("a Format NVM whose media fails is an internal error, and can be tried again") {
  Ready bench;
  bench.media.fail_erases = true;
  CHECK(bench.status(0, bench.format_entry(1, 0)) == Status::kInternalError);
  bench.media.fail_erases = false;
  CHECK(bench.status(0, bench.format_entry(1, 0)) == Status::kSuccess);
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
