// Fused Compare and Write, and atomic writes.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kNew = kData + 0x10000;
constexpr std::uint64_t kBack = 0x50'0000;

device::ControllerConfig fusing() {
  device::ControllerConfig config = small_config();
  config.oncs |= spec::kOncsCompare;
  config.fuses = 1;
  config.limits.awun = 15;
  config.limits.acwu = 7;
  return config;
}

spec::SubmissionEntry half(unsigned fuse, NvmOpcode opcode, std::uint64_t lba, std::uint32_t blocks,
                           std::uint64_t address) {
  auto entry = io(opcode, lba, blocks, address);
  entry.flags = static_cast<std::uint8_t>(fuse);
  return entry;
}
spec::SubmissionEntry first(std::uint64_t lba = 0, std::uint32_t blocks = 8) {
  return half(1, NvmOpcode::kCompare, lba, blocks, kData);
}
spec::SubmissionEntry second(std::uint64_t lba = 0, std::uint32_t blocks = 8) {
  return half(2, NvmOpcode::kWrite, lba, blocks, kNew);
}

struct FusedBench : DataBench {
  explicit FusedBench(device::ControllerConfig wanted = fusing()) : DataBench(wanted) {
    fill(kData, 8192, 1);
    fill(kNew, 8192, 99);
    REQUIRE(status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  }
  // What became of a pair that the host puts into the queue with one doorbell.
  std::pair<Status, Status> pair(const spec::SubmissionEntry& a, const spec::SubmissionEntry& b) {
    const auto cid_a = put(1, a);
    const auto cid_b = put(1, b);
    ring(1);
    const auto end_a = wait(1, cid_a);
    const auto end_b = wait(1, cid_b);
    REQUIRE(end_a.has_value());
    REQUIRE(end_b.has_value());
    return {end_a->status(), end_b->status()};
  }
  bool stored(std::uint64_t expected) {
    REQUIRE(status(1, io(NvmOpcode::kRead, 0, 8, kBack)) == Status::kSuccess);
    return same(kBack, expected, 4096);
  }
};

}  // namespace

TEST_CASE("a fused Compare and Write writes when the data is as expected") {
  FusedBench bench;
  CHECK(bench.pair(first(), second()) == std::pair(Status::kSuccess, Status::kSuccess));
  CHECK(bench.stored(kNew));
  CHECK(bench.idle());
}
TEST_CASE("a fused Compare that fails takes its Write with it") {
  FusedBench bench;
  bench.port.store(kData + 5, std::uint8_t{0});
  CHECK(bench.pair(first(), second()) ==
        std::pair(Status::kCompareFailure, Status::kAbortedFailedFused));
  bench.fill(kData, 4096, 1);
  CHECK(bench.stored(kData));
  CHECK(bench.idle());
}
TEST_CASE("the first of a fused pair without a second is aborted") {
  FusedBench bench;
  CHECK(bench.pair(first(), io(NvmOpcode::kRead, 0, 8, kBack)) ==
        std::pair(Status::kAbortedMissingFused, Status::kSuccess));
  CHECK(bench.status(1, first()) == Status::kAbortedMissingFused);
  CHECK(bench.pair(first(), first()) ==
        std::pair(Status::kAbortedMissingFused, Status::kAbortedMissingFused));
  CHECK(bench.idle());
}
TEST_CASE("the second of a fused pair without a first is aborted") {
  FusedBench bench;
  bench.check_rejected(1, second(), Status::kAbortedMissingFused);
  CHECK(bench.stored(kData));
}
TEST_CASE("a pair that lies across the end of the queue is a pair") {
  FusedBench bench;
  while (bench.queue(1).tail != bench.queue(1).size - 1) {
    CHECK(bench.status(1, io(NvmOpcode::kFlush, 0, 1)) == Status::kSuccess);
  }
  CHECK(bench.pair(first(), second()) == std::pair(Status::kSuccess, Status::kSuccess));
  CHECK(bench.stored(kNew));
}
TEST_CASE("a pair of other blocks, or of other commands, fails as a whole") {
  FusedBench bench;
  const auto refused = std::pair(Status::kInvalidField, Status::kInvalidField);
  CHECK(bench.pair(first(), second(1)) == refused);
  CHECK(bench.pair(first(), second(0, 7)) == refused);
  CHECK(bench.pair(first(), half(2, NvmOpcode::kRead, 0, 8, kNew)) == refused);
  CHECK(bench.pair(half(1, NvmOpcode::kWrite, 0, 8, kData), second()) == refused);
  CHECK(bench.stored(kData));
  CHECK(bench.idle());
}
TEST_CASE("a pair above ACWU fails as a whole") {
  FusedBench bench;
  CHECK(bench.pair(half(1, NvmOpcode::kCompare, 0, 9, kData), second(0, 9)) ==
        std::pair(Status::kAtomicWriteUnitExceeded, Status::kAtomicWriteUnitExceeded));
  CHECK(bench.stored(kData));
}
TEST_CASE("FUSE 11b is refused") {
  FusedBench bench;
  bench.check_rejected(1, half(3, NvmOpcode::kWrite, 0, 8, kNew), Status::kInvalidField);
}
TEST_CASE("a Compare that is refused takes its Write with it") {
  FusedBench bench;
  CHECK(bench.pair(first(bench.blocks()), second(bench.blocks())) ==
        std::pair(Status::kLbaOutOfRange, Status::kAbortedFailedFused));
}
TEST_CASE("two pairs on the same blocks do not mix") {
  FusedBench bench;
  bench.create_pair(2);
  // Both expect the old data; only the one that comes first may write.
  const auto a1 = bench.put(1, first());
  const auto a2 = bench.put(1, second());
  const auto b1 = bench.put(2, first());
  const auto b2 = bench.put(2, second());
  bench.ring(1);
  bench.ring(2);
  const auto a_first = bench.wait(1, a1);
  const auto a_second = bench.wait(1, a2);
  const auto b_first = bench.wait(2, b1);
  const auto b_second = bench.wait(2, b2);
  REQUIRE((a_first && a_second && b_first && b_second));
  CHECK(a_first->status() == Status::kSuccess);
  CHECK(a_second->status() == Status::kSuccess);
  CHECK(b_first->status() == Status::kCompareFailure);
  CHECK(b_second->status() == Status::kAbortedFailedFused);
  CHECK(bench.controller->core().locks.waits_counter() == 1);
  CHECK(bench.idle());
}
TEST_CASE("deleting the queue ends a pair under way") {
  FusedBench bench;
  bench.media.held = true;
  bench.put(1, first());
  bench.put(1, second());
  bench.ring(1);
  bench.run(5us);
  CHECK(bench.status(0, admin(spec::AdminOpcode::kDeleteIoSq, 1)) == Status::kSuccess);
  CHECK(bench.idle());
}
TEST_CASE("an Abort of the second that waits lets the first end") {
  FusedBench bench;
  bench.media.held = true;
  const auto a = bench.put(1, first());
  const auto b = bench.put(1, second());
  bench.ring(1);
  bench.run(3us);
  CHECK(bench.status(0, admin(spec::AdminOpcode::kAbort, 1u | std::uint32_t{b} << 16)) ==
        Status::kSuccess);
  const auto ended = bench.wait(1, b);
  REQUIRE(ended.has_value());
  CHECK(ended->status() == Status::kAbortRequested);
  CHECK(bench.status(0, admin(spec::AdminOpcode::kAbort, 1u | std::uint32_t{a} << 16)) ==
        Status::kSuccess);
  CHECK(bench.wait(1, a).has_value());
  CHECK(bench.idle());
}

namespace {

// Two overlapping writes at once, each of its own byte, and a read: who sees a mixture?
bool mixes(std::uint32_t awun, std::uint64_t lba, std::uint32_t nabsn = 0, bool normal = true) {
  device::ControllerConfig config = fusing();
  config.fuses = 0;
  config.limits.acwu = 0;
  config.limits.awun = awun;
  config.limits.nabsn = nabsn;
  DataBench bench(config);
  bench.create_pair(2);
  if (!normal) {
    REQUIRE(bench.status(
                0, admin(spec::AdminOpcode::kSetFeatures,
                         static_cast<std::uint32_t>(spec::FeatureId::kWriteAtomicityNormal), 1)) ==
            Status::kSuccess);
  }
  bench.set(kData, 8192, 1);
  bench.set(kNew, 8192, 2);
  // The first write's data of the second unit comes late: its second page is read behind it all.
  const auto a = bench.submit(1, io(NvmOpcode::kWrite, lba, 16, kData, kData + 4096));
  bench.run(2300ns);
  const auto b = bench.submit(2, io(NvmOpcode::kRead, lba, 16, kBack, kBack + 4096));
  REQUIRE(bench.wait(1, a).has_value());
  REQUIRE(bench.wait(2, b).has_value());
  return bench.controller->core().locks.waits_counter() == 0;
}

}  // namespace

TEST_CASE("a read waits for an atomic write of its blocks") {
  CHECK_FALSE(mixes(15, 0));
}
TEST_CASE("a read does not wait for a write above AWUN") {
  CHECK(mixes(14, 0));
}
TEST_CASE("a write over an atomic boundary is not atomic") {
  CHECK(mixes(15, 8, 15));
}
TEST_CASE("a write within an atomic boundary is atomic") {
  CHECK_FALSE(mixes(15, 16, 15));
}
TEST_CASE("with DN set only AWUPF is promised") {
  CHECK(mixes(15, 0, 0, false));
}
