// Random commands and register accesses, mostly sensible, often not: the device never hangs (it
// answers Identify after a reset), keeps its own invariants, and leaves alone what nobody wrote to.
#include <algorithm>
#include <cstring>

#include "sim/base/random.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kSeed = 20260101;
constexpr std::uint64_t kKeptBlocks = 256;         // nobody writes to these
constexpr std::uint64_t kPages = 1024;             // data pages, from kData
constexpr std::uint64_t kRanges = 9 * base::kMiB;  // for Dataset Management
constexpr std::uint16_t kQueues = 4;

class Monkey {
 public:
  explicit Monkey(std::uint64_t seed) : random_(seed, "monkey") {
    REQUIRE(bench_.enable());
    bench_.create_pair(1);
    for (std::uint64_t block = 0; block < kKeptBlocks; block += 8) {
      for (std::uint64_t i = 0; i < 4096; i += 8) bench_.port.store(kData + i, block * 4096 + i);
      REQUIRE(bench_.status(1, io(NvmOpcode::kWrite, block, 8)) == Status::kSuccess);
    }
    // A wild doorbell may send old entries again: none of them may be one of those writes.
    std::fill_n(bench_.port.at(bench_.queue(1).sq), kQueueStride / 2, std::byte{0});
    for (std::uint64_t i = 0; i < 65'536; ++i) bench_.port.store(kLists + i * 8, page());
    for (std::uint64_t i = 0; i < 4'096; ++i) {
      bench_.port.store(kRanges + i * 16,
                        spec::DsmRange{0, below(20), kKeptBlocks + random_.below(30'000)});
    }
  }

  void step() {
    const std::uint64_t kind = random_.below(1000);
    if (kind < 600) {
      submit_io();
    } else if (kind < 850) {
      submit_admin();
    } else if (kind < 900) {
      bench_.write32(spec::kDoorbellBase + 4 * below(16), below(300));
    } else if (kind < 960) {
      touch_register();
    } else if (kind < 966) {
      bench_.write32(spec::kRegCc, static_cast<std::uint32_t>(random_.next()));
      restart();
    } else if (kind < 969) {
      bench_.controller->function_reset();
      restart();
    } else {
      (bench_.media.held ? bench_.media.held : bench_.media.cache) ^= true;
    }
    bench_.run(base::picoseconds(static_cast<std::int64_t>(random_.below(4'000'000))));
    for (std::uint16_t qid = 0; qid <= kQueues; ++qid) {
      if (bench_.queue(qid).cq_size != 0 && !random_.chance(1, 8)) {
        for (const Completion& completion : bench_.reap(qid)) count(completion);
      }
    }
  }

  // A controller reset must always help.
  void restart() {
    bench_.run(50us);
    bench_.media.held = false;
    bench_.write32(spec::kRegCc, 0);
    bench_.run(1ms);
    CHECK(bench_.controller->core().commands.clean());
    CHECK(bench_.media.running() == 0);
    REQUIRE(bench_.enable());
    REQUIRE(bench_.alive());
    ++restarts_;
    for (std::uint16_t qid = 1; qid <= kQueues; ++qid) {
      if (random_.chance(3, 4)) bench_.create_pair(qid, 2 + below(60));
    }
  }

  void check_kept_blocks() {
    restart();
    if (bench_.controller->core().queues.sq(1) == nullptr) bench_.create_pair(1);
    for (std::uint64_t block = 0; block < kKeptBlocks; block += 8) {
      REQUIRE(bench_.status(1, io(NvmOpcode::kRead, block, 8)) == Status::kSuccess);
      for (std::uint64_t i = 0; i < 4096; i += 8) {
        REQUIRE(bench_.port.load<std::uint64_t>(kData + i) == block * 4096 + i);
      }
    }
    CHECK(bench_.idle());
  }

  std::uint64_t succeeded() const { return succeeded_; }
  std::uint64_t failed() const { return failed_; }
  std::uint64_t restarts() const { return restarts_; }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_.below(bound));
  }
  std::uint64_t page() { return kData + random_.below(kPages) * 4096; }
  void count(const Completion& completion) {
    ++(completion.status() == Status::kSuccess ? succeeded_ : failed_);
  }

  bool room(std::uint16_t qid) {
    const device::SubmissionQueue* queue = bench_.controller->core().queues.sq(qid);
    return queue != nullptr && bench_.queue(qid).size == queue->size &&
           bench_.queue(qid).tail == queue->tail &&
           queue->distance(queue->head, queue->tail) + 1 < queue->size;
  }
  void send(std::uint16_t qid, spec::SubmissionEntry entry) {
    if (random_.chance(1, 50)) entry.flags = static_cast<std::uint8_t>(random_.next());
    if (random_.chance(1, 50)) entry.nsid = below(3);
    // A list of ranges that is read from elsewhere would name other blocks, kept ones among them.
    const bool ranges =
        qid != 0 && entry.opc == static_cast<std::uint8_t>(NvmOpcode::kDatasetManagement);
    if (!ranges && random_.chance(1, 50)) entry.prp1 |= below(8);
    if (random_.chance(1, 50)) entry.prp2 |= below(8);
    if (room(qid)) bench_.submit(qid, entry);
  }

  // PRPs that fit the length: what the device writes stays in the data pages.
  void set_pages(spec::SubmissionEntry& entry, std::uint64_t bytes) {
    entry.prp1 = page() + random_.below(1024) * 4 * random_.below(2);
    const std::uint64_t first = 4096 - entry.prp1 % 4096;
    const std::uint64_t more = bytes <= first ? 0 : (bytes - first + 4095) / 4096;
    // The whole list lies in one page, so that a chain never leads elsewhere.
    entry.prp2 = more < 2 ? page() : kLists + random_.below(64) * 4096 + random_.below(128) * 8;
  }

  void submit_io() {
    static constexpr NvmOpcode kOpcodes[] = {NvmOpcode::kRead,
                                             NvmOpcode::kRead,
                                             NvmOpcode::kWrite,
                                             NvmOpcode::kWrite,
                                             NvmOpcode::kFlush,
                                             NvmOpcode::kWriteZeroes,
                                             NvmOpcode::kDatasetManagement,
                                             NvmOpcode::kCompare};
    const NvmOpcode opcode = kOpcodes[random_.below(std::size(kOpcodes))];
    std::uint64_t lba = kKeptBlocks + random_.below(33'000);  // at times beyond the end
    if (random_.chance(1, 100)) lba = random_.next() | kKeptBlocks;
    const std::uint32_t blocks = 1 + below(random_.chance(1, 2) ? 8 : 270);
    auto entry = io(opcode, lba, blocks);
    if (opcode == NvmOpcode::kDatasetManagement) {
      entry.cdw10 = below(256);
      entry.cdw11 = below(8);
      entry.prp1 = kRanges + random_.below(8) * 4096;
    } else {
      if (random_.chance(1, 10)) entry.cdw12 |= 1u << 30;
      set_pages(entry, blocks * 512ull);
    }
    send(static_cast<std::uint16_t>(1 + below(kQueues)), entry);
  }

  void submit_admin() {
    static constexpr AdminOpcode kOpcodes[] = {
        AdminOpcode::kDeleteIoSq,  AdminOpcode::kCreateIoSq,  AdminOpcode::kDeleteIoCq,
        AdminOpcode::kCreateIoCq,  AdminOpcode::kIdentify,    AdminOpcode::kIdentify,
        AdminOpcode::kGetLogPage,  AdminOpcode::kGetLogPage,  AdminOpcode::kAbort,
        AdminOpcode::kSetFeatures, AdminOpcode::kGetFeatures, AdminOpcode::kAsyncEventRequest,
        AdminOpcode::kFormatNvm};
    const AdminOpcode opcode = kOpcodes[random_.below(std::size(kOpcodes))];
    auto entry = admin(opcode);
    entry.prp1 = page();
    switch (opcode) {
      case AdminOpcode::kCreateIoCq:
      case AdminOpcode::kCreateIoSq:
        create(opcode);
        return;
      case AdminOpcode::kDeleteIoSq:
      case AdminOpcode::kDeleteIoCq:
        entry.cdw10 = below(kQueues + 2);
        break;
      case AdminOpcode::kIdentify:
        entry.cdw10 = below(6);
        entry.nsid = below(3);
        break;
      case AdminOpcode::kGetLogPage: {
        const std::uint32_t dwords = 1 + below(random_.chance(1, 2) ? 128 : 2048);
        entry = get_log(static_cast<spec::LogPageId>(below(6)), dwords * 4,
                        random_.chance(1, 2) ? 0 : below(600), 0, random_.chance(1, 2));
        set_pages(entry, dwords * 4ull);
        break;
      }
      case AdminOpcode::kAbort:
        entry.cdw10 = below(kQueues + 2) | (below(0x1'0000) << 16);
        break;
      case AdminOpcode::kSetFeatures:
        entry.cdw10 = below(0x10) | (random_.chance(1, 20) ? spec::kSetFeaturesSave : 0);
        entry.cdw11 = random_.chance(1, 2) ? below(8) : static_cast<std::uint32_t>(random_.next());
        break;
      case AdminOpcode::kGetFeatures:
        entry.cdw10 = below(0x10) | (below(5) << 8);
        entry.cdw11 = below(8);
        entry.nsid = below(3);
        break;
      default:
        break;
    }
    send(0, entry);
  }

  void create(AdminOpcode opcode) {
    const auto qid = static_cast<std::uint16_t>(below(kQueues + 2));
    if (qid == 0 || qid > kQueues || !room(0)) return;
    if (opcode == AdminOpcode::kCreateIoCq) {
      if (bench_.controller->core().queues.cq(qid) == nullptr) {
        bench_.create_cq(qid, 1 + below(80), random_.chance(1, 8) ? below(4) : 1 | (qid << 16));
      }
    } else if (bench_.controller->core().queues.sq(qid) == nullptr) {
      bench_.create_sq(qid, bench_.queue(qid).size != 0 ? bench_.queue(qid).size : 16, qid);
    }
  }

  void touch_register() {
    static constexpr std::uint32_t kOffsets[] = {spec::kRegCap,
                                                 spec::kRegVs,
                                                 spec::kRegIntms,
                                                 spec::kRegIntmc,
                                                 spec::kRegCsts,
                                                 spec::kRegNssr,
                                                 spec::kRegAqa,
                                                 spec::kRegAsq,
                                                 spec::kRegAcq,
                                                 spec::kRegCmbsz,
                                                 spec::kRegCmbmsc,
                                                 0x18,
                                                 0x60,
                                                 0xF00};
    const std::uint32_t offset = kOffsets[random_.below(std::size(kOffsets))];
    const std::uint64_t value = random_.next();
    const std::size_t bytes = random_.chance(1, 10) ? std::size_t{1} << below(4) : 4;
    bench_.controller->bar_write(0, offset, std::as_bytes(std::span(&value, 1)).first(bytes));
    bench_.read64(offset & ~7u);
    // Eight bytes at INTMC reach CC: they may have disabled the controller or shut it down.
    if (offset < spec::kRegCc && offset + bytes > spec::kRegCc) restart();
  }

  Bench bench_;
  base::Random random_;
  std::uint64_t succeeded_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t restarts_ = 0;
};

}  // namespace

TEST_CASE("20,000 random steps neither hang the device nor touch foreign data") {
  INFO("seed " << kSeed);
  Monkey monkey(kSeed);
  for (int i = 1; i <= 20'000; ++i) {
    monkey.step();
    if (i % 2'000 == 0) monkey.check_kept_blocks();
  }
  CHECK(monkey.restarts() > 100);
  CHECK(monkey.succeeded() > 1'000);
  CHECK(monkey.failed() > 1'000);
}
