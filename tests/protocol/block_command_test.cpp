// Compare, Verify, Copy, Write Uncorrectable, Write Zeroes and deallocated blocks.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kBack = 0x50'0000;
constexpr std::uint64_t kPrpList = kLists + 0x4000;

device::ControllerConfig every_command() {
  device::ControllerConfig config = small_config();
  config.oncs = 0x1FF & ~spec::kOncsReservations;
  config.limits.mssrl = 32;
  config.limits.mcl = 100;
  config.limits.msrc = 7;
  return config;
}

struct BlockBench : DataBench {
  explicit BlockBench(device::ControllerConfig wanted = every_command(), bool spare = false)
      : DataBench(wanted, spare) {}

  void write(std::uint64_t lba, std::uint32_t count, std::uint8_t seed) {
    fill(kData, count * 512ull, seed);
    REQUIRE(status(1, transfer(NvmOpcode::kWrite, lba, count, kData)) == Status::kSuccess);
  }
  Status read(std::uint64_t lba, std::uint32_t count) {
    return status(1, transfer(NvmOpcode::kRead, lba, count, kBack));
  }
  spec::SubmissionEntry transfer(NvmOpcode opcode, std::uint64_t lba, std::uint32_t count,
                                 std::uint64_t address) {
    for (std::uint64_t i = 0; i < 8; ++i) port.store(kPrpList + i * 8, address + (i + 1) * 4096);
    return io(opcode, lba, count, address, count > 16 ? kPrpList : address + 4096);
  }
  spec::SubmissionEntry copy(std::uint64_t to, const std::vector<spec::CopyRange>& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      port.store(kLists + i * sizeof(spec::CopyRange), ranges[i]);
    }
    auto entry = io(NvmOpcode::kCopy, to, 1, kLists);
    entry.cdw12 = static_cast<std::uint32_t>(ranges.size() - 1);
    return entry;
  }
};

spec::CopyRange range(std::uint64_t slba, std::uint32_t blocks) {
  spec::CopyRange result{};
  result.slba = slba;
  result.nlb = static_cast<std::uint16_t>(blocks - 1);
  return result;
}

void set_dulbe(Bench& bench, bool on) {
  auto entry =
      admin(spec::AdminOpcode::kSetFeatures,
            static_cast<std::uint32_t>(spec::FeatureId::kErrorRecovery), on ? 1u << 16 : 0);
  entry.nsid = 1;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
}

}  // namespace

TEST_CASE("Compare succeeds on equal data and fails on any byte that differs") {
  BlockBench bench;
  bench.write(5, 9, 1);
  CHECK(bench.status(1, io(NvmOpcode::kCompare, 5, 9, kData, kData + 4096)) == Status::kSuccess);
  for (const std::uint64_t byte : {0ull, 511ull, 4095ull, 4096ull, 4607ull}) {
    const auto old = bench.port.load<std::uint8_t>(kData + byte);
    bench.port.store(kData + byte, static_cast<std::uint8_t>(old ^ 1));
    bench.check_rejected(1, io(NvmOpcode::kCompare, 5, 9, kData, kData + 4096),
                         Status::kCompareFailure);
    bench.port.store(kData + byte, old);
  }
  CHECK(bench.idle());
}
TEST_CASE("Compare of blocks never written compares with zeroes") {
  BlockBench bench;
  bench.set(kData, 4096, 0);
  CHECK(bench.status(1, io(NvmOpcode::kCompare, 100, 8)) == Status::kSuccess);
  bench.set(kData, 4096, 1);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 100, 8), Status::kCompareFailure);
}
TEST_CASE("Compare refuses a range over the end and more than MDTS") {
  BlockBench bench;
  bench.check_rejected(1, io(NvmOpcode::kCompare, bench.blocks() - 7, 8), Status::kLbaOutOfRange);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 0, 257), Status::kInvalidField);
}
TEST_CASE("Compare with data that cannot be read is a data transfer error") {
  BlockBench bench;
  bench.port.poison_page(0x60'0000);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 0, 8, 0x60'0000), Status::kDataTransferError);
}
TEST_CASE("Compare of a unit that cannot be read is an unrecovered read error") {
  BlockBench bench;
  bench.media.fail(1, models::MediaStatus::kUncorrectable);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 8, 8), Status::kUnrecoveredReadError);
}
TEST_CASE("a Compare can be aborted while its data comes") {
  BlockBench bench;
  bench.media.held = true;
  const auto cid = bench.submit(1, io(NvmOpcode::kCompare, 0, 8));
  bench.run(5us);
  CHECK(bench.status(0, admin(spec::AdminOpcode::kAbort, 1u | std::uint32_t{cid} << 16)) ==
        Status::kSuccess);
  const auto ended = bench.wait(1, cid);
  REQUIRE(ended.has_value());
  CHECK(ended->status() == Status::kAbortRequested);
  CHECK(bench.idle());
}

TEST_CASE("Verify reads the media and moves no data") {
  BlockBench bench;
  bench.write(0, 16, 1);
  const auto reads = bench.port.reads();
  const auto writes = bench.port.writes();
  CHECK(bench.status(1, io(NvmOpcode::kVerify, 0, 20'000)) == Status::kSuccess);
  CHECK(bench.port.reads() == reads + 1);    // the submission entry
  CHECK(bench.port.writes() == writes + 1);  // the completion entry
  bench.media.fail(2000, models::MediaStatus::kUncorrectable);
  bench.check_rejected(1, io(NvmOpcode::kVerify, 0, 20'000), Status::kUnrecoveredReadError);
  CHECK(bench.status(1, io(NvmOpcode::kVerify, 0, 16'000)) == Status::kSuccess);
  CHECK(bench.idle());
}
TEST_CASE("Verify refuses a range over the end") {
  BlockBench bench;
  bench.check_rejected(1, io(NvmOpcode::kVerify, bench.blocks() - 7, 8), Status::kLbaOutOfRange);
}

TEST_CASE("Write Uncorrectable makes its blocks unreadable until they are written") {
  BlockBench bench;
  bench.write(0, 24, 1);
  CHECK(bench.status(1, io(NvmOpcode::kWriteUncorrectable, 4, 10)) == Status::kSuccess);
  CHECK(bench.read(0, 4) == Status::kSuccess);
  CHECK(bench.read(14, 4) == Status::kSuccess);
  for (const std::uint64_t lba : {4ull, 9ull, 13ull}) {
    bench.check_rejected(1, io(NvmOpcode::kRead, lba, 1), Status::kUnrecoveredReadError);
  }
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 5), Status::kUnrecoveredReadError);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 13, 2), Status::kUnrecoveredReadError);
  bench.check_rejected(1, io(NvmOpcode::kVerify, 0, 24), Status::kUnrecoveredReadError);
  bench.write(6, 2, 9);
  CHECK(bench.read(6, 2) == Status::kSuccess);
  CHECK(bench.read(5, 1) == Status::kUnrecoveredReadError);
  CHECK(bench.read(8, 1) == Status::kUnrecoveredReadError);
  CHECK(bench.status(1, io(NvmOpcode::kWriteZeroes, 0, 24)) == Status::kSuccess);
  CHECK(bench.read(0, 24) == Status::kSuccess);
  CHECK(bench.all(kBack, 24 * 512, 0));
}
TEST_CASE("Write Uncorrectable outlives a controller reset") {
  BlockBench bench;
  CHECK(bench.status(1, io(NvmOpcode::kWriteUncorrectable, 4, 1)) == Status::kSuccess);
  bench.disable();
  REQUIRE(bench.enable());
  bench.create_pair(1);
  CHECK(bench.read(4, 1) == Status::kUnrecoveredReadError);
}
TEST_CASE("Write Uncorrectable refuses a range over the end") {
  BlockBench bench;
  bench.check_rejected(1, io(NvmOpcode::kWriteUncorrectable, bench.blocks(), 1),
                       Status::kLbaOutOfRange);
}

TEST_CASE("Copy gathers its ranges at the destination, overlapping ones too") {
  BlockBench bench;
  bench.write(0, 16, 1);
  bench.write(100, 16, 77);
  CHECK(bench.status(1, bench.copy(8, {range(3, 5), range(100, 16), range(0, 2)})) ==
        Status::kSuccess);
  CHECK(bench.read(8, 23) == Status::kSuccess);
  bench.fill(kData, 16 * 512, 1);
  CHECK(bench.same(kBack, kData + 3 * 512, 5 * 512));
  CHECK(bench.same(kBack + 21 * 512, kData, 2 * 512));
  bench.fill(kData, 16 * 512, 77);
  CHECK(bench.same(kBack + 5 * 512, kData, 16 * 512));
  CHECK(bench.idle());
}
TEST_CASE("Copy refuses more ranges, longer ranges and more blocks than its limits") {
  BlockBench bench;
  bench.check_rejected(1, bench.copy(0, std::vector(9, range(0, 1))),
                       Status::kCommandSizeLimitExceeded);
  bench.check_rejected(1, bench.copy(0, {range(0, 33)}), Status::kCommandSizeLimitExceeded);
  bench.check_rejected(1, bench.copy(0, std::vector(4, range(0, 26))),
                       Status::kCommandSizeLimitExceeded);
  CHECK(bench.status(1, bench.copy(0, std::vector(4, range(0, 25)))) == Status::kSuccess);
}
TEST_CASE("Copy refuses sources and destinations over the end") {
  BlockBench bench;
  bench.check_rejected(1, bench.copy(0, {range(0, 2), range(bench.blocks() - 1, 2)}),
                       Status::kLbaOutOfRange);
  bench.check_rejected(1, bench.copy(bench.blocks() - 3, {range(0, 2), range(8, 2)}),
                       Status::kLbaOutOfRange);
}
TEST_CASE("Copy refuses another descriptor format") {
  BlockBench bench;
  auto entry = bench.copy(0, {range(0, 2)});
  entry.cdw12 |= 1u << 8;
  bench.check_rejected(1, entry, Status::kInvalidField);
}
TEST_CASE("Copy of a block that cannot be read writes nothing") {
  BlockBench bench;
  bench.write(0, 16, 1);
  bench.media.fail(1, models::MediaStatus::kUncorrectable);
  bench.check_rejected(1, bench.copy(64, {range(0, 2), range(8, 2)}),
                       Status::kUnrecoveredReadError);
}
TEST_CASE("Copy whose ranges cannot be read is a data transfer error") {
  BlockBench bench;
  const auto entry = bench.copy(64, {range(0, 2)});
  bench.port.poison_page(kLists);
  bench.check_rejected(1, entry, Status::kDataTransferError);
}
TEST_CASE("Identify tells the limits of Copy") {
  BlockBench bench;
  CHECK(bench.status(0, identify(0, 1)) == Status::kSuccess);
  const auto space = bench.port.load<spec::IdentifyNamespace>(kData);
  CHECK(space.mssrl == 32);
  CHECK(space.mcl == 100);
  CHECK(space.msrc == 7);
  CHECK(bench.status(0, identify(1, 0)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyController>(kData).ocfs == 1);
}

TEST_CASE("with DULBE set, blocks never written or deallocated cannot be read") {
  device::ControllerConfig config = every_command();
  config.dulbe = true;
  BlockBench bench(config, true);
  bench.write(2, 3, 1);
  CHECK(bench.read(0, 8) == Status::kSuccess);
  set_dulbe(bench, true);
  CHECK(bench.read(2, 3) == Status::kSuccess);
  bench.check_rejected(1, io(NvmOpcode::kRead, 1, 2), Status::kDeallocatedBlock);
  bench.check_rejected(1, io(NvmOpcode::kRead, 4, 2), Status::kDeallocatedBlock);
  bench.check_rejected(1, io(NvmOpcode::kVerify, 0, 8), Status::kDeallocatedBlock);
  bench.check_rejected(1, io(NvmOpcode::kCompare, 100, 1), Status::kDeallocatedBlock);
  // Write Zeroes without DEAC writes; with it, it deallocates.
  CHECK(bench.status(1, io(NvmOpcode::kWriteZeroes, 8, 16)) == Status::kSuccess);
  CHECK(bench.read(8, 16) == Status::kSuccess);
  CHECK(bench.all(kBack, 16 * 512, 0));
  auto deallocating = io(NvmOpcode::kWriteZeroes, 8, 8);
  deallocating.cdw12 |= 1u << 25;
  CHECK(bench.status(1, deallocating) == Status::kSuccess);
  bench.check_rejected(1, io(NvmOpcode::kRead, 8, 8), Status::kDeallocatedBlock);
  CHECK(bench.read(16, 8) == Status::kSuccess);
  set_dulbe(bench, false);
  CHECK(bench.read(0, 24) == Status::kSuccess);
}
TEST_CASE("DULBE is refused by a drive without it") {
  BlockBench bench;
  auto entry = admin(spec::AdminOpcode::kSetFeatures,
                     static_cast<std::uint32_t>(spec::FeatureId::kErrorRecovery), 1u << 16);
  entry.nsid = 1;
  bench.check_rejected(0, entry, Status::kInvalidField);
}
TEST_CASE("deallocated blocks read as ones where the drive is so") {
  device::ControllerConfig config = every_command();
  config.deallocated_ones = true;
  BlockBench bench(config, true);
  bench.write(2, 3, 1);
  CHECK(bench.read(0, 8) == Status::kSuccess);
  CHECK(bench.all(kBack, 1024, 0xFF));
  CHECK(bench.same(kBack + 1024, kData, 3 * 512));
  CHECK(bench.all(kBack + 5 * 512, 3 * 512, 0xFF));
  // Zeroes are still zeroes, with DEAC too.
  auto zeroes = io(NvmOpcode::kWriteZeroes, 4, 12);
  zeroes.cdw12 |= 1u << 25;
  CHECK(bench.status(1, zeroes) == Status::kSuccess);
  CHECK(bench.read(3, 14) == Status::kSuccess);
  CHECK(bench.same(kBack, kData + 512, 512));
  CHECK(bench.all(kBack + 512, 12 * 512, 0));
  CHECK(bench.all(kBack + 13 * 512, 512, 0xFF));
  CHECK(bench.status(0, identify(0, 1)) == Status::kSuccess);
  CHECK((bench.port.load<spec::IdentifyNamespace>(kData).dlfeat & 0xF) == 2);
}
TEST_CASE("Limited Retry of a Read reaches the media, of a Write it means nothing") {
  DataBench bench;
  auto read = io(NvmOpcode::kRead, 0, 8);
  REQUIRE(bench.status(1, read) == Status::kSuccess);
  CHECK(bench.media.limited_reads == 0);
  read.cdw12 |= 1u << 31;
  REQUIRE(bench.status(1, read) == Status::kSuccess);
  CHECK(bench.media.limited_reads == 1);
  auto write = io(NvmOpcode::kWrite, 0, 8);
  write.cdw12 |= 1u << 31;
  REQUIRE(bench.status(1, write) == Status::kSuccess);
  REQUIRE(bench.status(1, io(NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.media.limited_reads == 1);
}
TEST_CASE("with MDTS 0 a transfer may have all the blocks that NLB can name") {
  device::ControllerConfig config = small_config();
  config.mdts = 0;
  DataBench bench(config);
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyController>(kData).mdts == 0);
  // 16 MiB, half the media: 8,192 pages over 16 lists of 512 entries, pages used again and again.
  constexpr std::uint64_t kLists16 = 0x70'0000;
  for (std::uint64_t i = 0; i < 512 * 17; ++i) {
    const bool chain = i % 512 == 511;
    bench.port.store(kLists16 + i * 8, chain ? kLists16 + (i + 1) * 8 : 0x20'0000 + i % 256 * 4096);
  }
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 32'768, kData, kLists16)) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 32'768, kData, kLists16)) == Status::kSuccess);
  CHECK(bench.idle());
}
