// Create and Delete of I/O queues, with every status, and queues at their edges.
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
  }
};

spec::SubmissionEntry create(AdminOpcode opcode, std::uint32_t qid, std::uint32_t qsize,
                             std::uint32_t cdw11, std::uint64_t prp1 = 20 * base::kMiB) {
  auto entry = admin(opcode, qid | (qsize << 16), cdw11);
  entry.prp1 = prp1;
  return entry;
}
spec::SubmissionEntry cq(std::uint32_t qid, std::uint32_t qsize = 15, std::uint32_t cdw11 = 1,
                         std::uint64_t prp1 = 20 * base::kMiB) {
  return create(AdminOpcode::kCreateIoCq, qid, qsize, cdw11, prp1);
}
spec::SubmissionEntry sq(std::uint32_t qid, std::uint32_t cqid, std::uint32_t qsize = 15,
                         std::uint32_t flags = 1, std::uint64_t prp1 = 20 * base::kMiB) {
  return create(AdminOpcode::kCreateIoSq, qid, qsize, flags | (cqid << 16), prp1);
}

}  // namespace

TEST_CASE("Create CQ refuses queue id 0") {
  Ready bench;
  bench.check_rejected(0, cq(0), Status::kInvalidQueueId);
}
TEST_CASE("Create CQ refuses a queue id above the granted number") {
  Ready bench;
  bench.check_rejected(0, cq(5), Status::kInvalidQueueId);
}
TEST_CASE("Create CQ refuses the largest queue id") {
  Ready bench;
  bench.check_rejected(0, cq(0xFFFF), Status::kInvalidQueueId);
}
TEST_CASE("Create CQ refuses a queue id in use") {
  Ready bench;
  bench.create_pair(1);
  bench.check_rejected(0, cq(1), Status::kInvalidQueueId);
}
TEST_CASE("Create CQ refuses a queue of one entry") {
  Ready bench;
  bench.check_rejected(0, cq(1, 0), Status::kInvalidQueueSize);
}
TEST_CASE("Create CQ refuses a queue above CAP.MQES") {
  Ready bench;
  bench.check_rejected(0, cq(1, 256), Status::kInvalidQueueSize);
}
TEST_CASE("Create CQ takes a queue of CAP.MQES") {
  Ready bench;
  CHECK(bench.status(0, cq(1, 255)) == Status::kSuccess);
  CHECK(bench.controller->core().queues.cq(1)->size == 256);
}
TEST_CASE("Create CQ refuses an address with an offset") {
  Ready bench;
  bench.check_rejected(0, cq(1, 15, 1, 0x10'0010), Status::kPrpOffsetInvalid);
}
TEST_CASE("Create CQ refuses address 0") {
  Ready bench;
  bench.check_rejected(0, cq(1, 15, 1, 0), Status::kPrpOffsetInvalid);
}
TEST_CASE("Create CQ refuses PC = 0") {
  Ready bench;
  bench.check_rejected(0, cq(1, 15, 0), Status::kInvalidField);
}
TEST_CASE("Create CQ refuses a vector outside of the MSI-X table") {
  Ready bench;
  bench.check_rejected(0, cq(1, 15, 3 | (5u << 16)), Status::kInvalidInterruptVector);
}
TEST_CASE("Create CQ needs CC.IOCQES") {
  Ready bench;
  bench.write32(spec::kRegCc, 0x0006'0001);
  bench.check_rejected(0, cq(1), Status::kInvalidField);
}
TEST_CASE("Create SQ refuses completion queue 0") {
  Ready bench;
  bench.check_rejected(0, sq(1, 0), Status::kCompletionQueueInvalid);
}
TEST_CASE("Create SQ refuses a completion queue that does not exist") {
  Ready bench;
  bench.check_rejected(0, sq(1, 2), Status::kCompletionQueueInvalid);
}
TEST_CASE("Create SQ refuses queue id 0") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(0, 1), Status::kInvalidQueueId);
}
TEST_CASE("Create SQ refuses a queue id above the granted number") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(5, 1), Status::kInvalidQueueId);
}
TEST_CASE("Create SQ refuses a queue id in use") {
  Ready bench;
  bench.create_pair(1);
  bench.check_rejected(0, sq(1, 1), Status::kInvalidQueueId);
}
TEST_CASE("Create SQ refuses a queue of one entry") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(1, 1, 0), Status::kInvalidQueueSize);
}
TEST_CASE("Create SQ refuses a queue above CAP.MQES") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(1, 1, 0xFFFF), Status::kInvalidQueueSize);
}
TEST_CASE("Create SQ refuses an address with an offset") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(1, 1, 15, 1, 0x10'0040), Status::kPrpOffsetInvalid);
}
TEST_CASE("Create SQ refuses PC = 0") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.check_rejected(0, sq(1, 1, 15, 0), Status::kInvalidField);
}
TEST_CASE("Create SQ needs CC.IOSQES") {
  Ready bench;
  bench.create_cq(1, 16, 1);
  bench.write32(spec::kRegCc, 0x0040'0001);
  bench.check_rejected(0, sq(1, 1), Status::kInvalidField);
}
TEST_CASE("Delete CQ refuses queue id 0") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kDeleteIoCq, 0), Status::kCompletionQueueInvalid);
}
TEST_CASE("Delete CQ refuses a queue that does not exist") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kDeleteIoCq, 3), Status::kCompletionQueueInvalid);
}
TEST_CASE("Delete CQ refuses a queue that submission queues use") {
  Ready bench;
  bench.create_pair(1);
  bench.check_rejected(0, admin(AdminOpcode::kDeleteIoCq, 1), Status::kInvalidQueueDeletion);
}
TEST_CASE("Delete SQ refuses queue id 0") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kDeleteIoSq, 0), Status::kInvalidQueueId);
}
TEST_CASE("Delete SQ refuses a queue that does not exist") {
  Ready bench;
  bench.check_rejected(0, admin(AdminOpcode::kDeleteIoSq, 2), Status::kInvalidQueueId);
}

TEST_CASE("a pair can be deleted and created again, and works") {
  Ready bench;
  bench.create_pair(1);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoSq, 1)) == Status::kSuccess);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoCq, 1)) == Status::kSuccess);
  bench.queue(1) = {};
  bench.create_pair(1, 16);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
}

TEST_CASE("deleting a submission queue aborts its commands in flight and frees them") {
  Ready bench;
  bench.create_pair(1);
  bench.media.held = true;
  for (int i = 0; i < 5; ++i) bench.put(1, io(spec::NvmOpcode::kRead, 8 * i, 8));
  bench.ring(1);
  bench.run(50us);
  CHECK(bench.media.running() == 5);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoSq, 1)) == Status::kSuccess);
  CHECK(bench.media.running() == 0);
  const auto completions = bench.reap(1, false);
  REQUIRE(completions.size() == 5);
  for (const Completion& completion : completions) {
    CHECK(completion.status() == Status::kAbortedSqDeletion);
  }
  CHECK(bench.idle());
}

TEST_CASE("deleting a submission queue whose completion queue is full does not hang") {
  Ready bench;
  REQUIRE(bench.create_cq(1, 4, 1) == Status::kSuccess);
  REQUIRE(bench.create_sq(1, 64, 1) == Status::kSuccess);
  for (int i = 0; i < 20; ++i) bench.put(1, io(spec::NvmOpcode::kRead, 0, 8));
  bench.ring(1);
  bench.run(200us);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoSq, 1)) == Status::kSuccess);
  CHECK(bench.status(0, admin(AdminOpcode::kDeleteIoCq, 1)) == Status::kSuccess);
  CHECK(bench.idle());
  CHECK_FALSE(bench.port.promptly());
}

TEST_CASE("several submission queues share a completion queue and its entries name them") {
  Ready bench;
  REQUIRE(bench.create_cq(1, 64, 3 | (1u << 16)) == Status::kSuccess);
  for (std::uint16_t qid = 1; qid <= 4; ++qid) {
    REQUIRE(bench.create_sq(qid, 16, 1) == Status::kSuccess);
    bench.submit(qid, io(spec::NvmOpcode::kRead, 0, 8));
  }
  bench.run(100us);
  std::uint32_t seen = 0;
  for (const Completion& completion : bench.reap(1)) {
    CHECK(completion.status() == Status::kSuccess);
    CHECK(completion.entry.sqhd == 1);
    seen |= 1u << completion.entry.sqid;
  }
  CHECK(seen == 0b11110);
}

TEST_CASE("the phase tag is right over many wraps of a small queue") {
  Ready bench;
  bench.create_pair(1, 3);
  for (int i = 0; i < 100; ++i) {
    const Completion completion = bench.run_command(1, io(spec::NvmOpcode::kRead, 0, 8));
    CHECK(completion.status() == Status::kSuccess);
    CHECK(completion.entry.sqhd == (i + 1) % 3);
  }
  // wait() only takes entries of the expected phase: 100 completions are 33 wraps.
}

TEST_CASE("a full completion queue holds completions back until the host makes room") {
  Ready bench;
  REQUIRE(bench.create_cq(1, 4, 1) == Status::kSuccess);
  REQUIRE(bench.create_sq(1, 64, 1) == Status::kSuccess);
  for (int i = 0; i < 10; ++i) bench.put(1, io(spec::NvmOpcode::kRead, 0, 8));
  bench.ring(1);
  bench.run(200us);
  CHECK(bench.port.promptly());
  std::size_t total = bench.reap(1, false).size();
  CHECK(total == 3);
  CHECK(bench.controller->core().queues.cq(1)->full());
  bench.write32(spec::cq_head_doorbell(1, 0), bench.queue(1).head);
  while (true) {
    bench.run(10us);
    const std::size_t more = bench.reap(1).size();
    CHECK(more <= 3);
    if (more == 0) break;
    total += more;
  }
  CHECK(total == 10);
  CHECK_FALSE(bench.port.promptly());
  CHECK(bench.idle());
}

TEST_CASE("a completion queue without interrupts raises none") {
  Ready bench;
  bench.create_pair(1, 16, false);
  bench.create_pair(2, 16, true);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.port.interrupts(1) == 0);
  CHECK_FALSE(bench.port.last_write().deferrable);
  CHECK(bench.status(2, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.port.interrupts(2) == 1);
  CHECK(bench.port.last_write().deferrable);
  CHECK_FALSE(bench.port.last_write().relaxed_ordering);
}
