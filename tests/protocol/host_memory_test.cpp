// The host memory buffer: its descriptor list, who uses it, and how the host gets it back.
#include "tests/protocol/support/borrower.hpp"
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::FeatureId;
using spec::Status;

namespace {

constexpr std::uint64_t kPieces = 0x40'0000;

struct Piece {
  std::uint64_t address;
  std::uint32_t pages;
  std::uint32_t reserved = 0;
};

device::ControllerConfig wanting() {
  device::ControllerConfig config = small_config();
  config.hmb.hmpre_pages = 64;
  config.hmb.hmmin_pages = 8;
  config.hmb.hmminds_pages = 2;
  config.hmb.hmmaxd = 8;
  return config;
}

// The media's part must be there before the controller is built.
struct HmbBench : Bench {
  explicit HmbBench(device::ControllerConfig wanted = wanting())
      : Bench(wanted, false,
              [](FakeMedia& built, base::Scheduler& time) {
                built.user = std::make_unique<Borrower>(time);
              }),
        user(static_cast<Borrower*>(media.user.get())) {
    REQUIRE(enable());
  }
  spec::SubmissionEntry give(const std::vector<Piece>& pieces, std::uint32_t size,
                             std::uint32_t cdw11 = 1, std::uint64_t list = kLists) {
    for (std::size_t i = 0; i < pieces.size(); ++i) port.store(list + i * 16, pieces[i]);
    auto entry = admin(spec::AdminOpcode::kSetFeatures,
                       static_cast<std::uint32_t>(FeatureId::kHostMemoryBuffer), cdw11);
    entry.cdw12 = size;
    entry.cdw13 = static_cast<std::uint32_t>(list);
    entry.cdw14 = static_cast<std::uint32_t>(list >> 32);
    entry.cdw15 = static_cast<std::uint32_t>(pieces.size());
    return entry;
  }
  spec::SubmissionEntry take_back() {
    return admin(spec::AdminOpcode::kSetFeatures,
                 static_cast<std::uint32_t>(FeatureId::kHostMemoryBuffer), 0);
  }
  std::vector<Piece> two() const { return {{kPieces, 6}, {kPieces + 0x10'0000, 10}}; }
  Borrower* user;
};

}  // namespace

TEST_CASE("lent host memory is used by DMA, piece by piece") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  REQUIRE(bench.user->memory_ != nullptr);
  CHECK(bench.user->memory_->bytes() == 16 * 4096);
  CHECK_FALSE(bench.user->last_intact);
  const auto before = bench.port.reads() + bench.port.writes();
  for (std::uint64_t page = 0; page < 16; ++page) {
    bench.user->write(page);
    bench.run(10us);
  }
  CHECK(bench.port.load<std::uint64_t>(kPieces + 5 * 4096 + 8) == 5);
  CHECK(bench.port.load<std::uint64_t>(kPieces + 0x10'0000 + 8) == 6);
  CHECK(bench.port.load<std::uint64_t>(kPieces + 0x10'0000 + 9 * 4096 + 8) == 15);
  bench.user->read(7);
  bench.run(10us);
  CHECK(bench.user->value() == 7);
  CHECK(bench.user->moves == 17);
  CHECK(bench.port.reads() + bench.port.writes() == before + 17);
}
TEST_CASE("the host has its memory back only when the media gave it up") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  const auto cid = bench.submit(0, bench.take_back());
  bench.run(25us);
  CHECK(bench.user->memory_ != nullptr);
  CHECK(bench.alive());  // other commands go on
  const auto ended = bench.wait(0, cid);
  REQUIRE(ended.has_value());
  CHECK(ended->status() == Status::kSuccess);
  CHECK(bench.user->memory_ == nullptr);
  CHECK(bench.status(0, bench.take_back()) == Status::kSuccess);  // there is none
}
TEST_CASE("memory returned as it was is told to be intact") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.take_back()) == Status::kSuccess);
  REQUIRE(bench.status(0, bench.give(bench.two(), 16, 3)) == Status::kSuccess);
  CHECK(bench.user->last_intact);
}
TEST_CASE("enabling it twice is a command sequence error") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  bench.check_rejected(0, bench.give(bench.two(), 16), Status::kCommandSequenceError);
  CHECK(bench.user->times_lent == 1);
}
TEST_CASE("pieces below HMMINDS are left alone") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give({{kPieces, 8}, {kPieces + 0x10'0000, 1}, {kData, 0}}, 9)) ==
          Status::kSuccess);
  CHECK(bench.user->memory_->bytes() == 8 * 4096);
}
TEST_CASE("a descriptor list over pages is read whole") {
  device::ControllerConfig config = wanting();
  config.hmb.hmmaxd = 0;
  HmbBench bench(config);
  std::vector<Piece> pieces;
  for (std::uint64_t i = 0; i < 300; ++i) pieces.push_back({kPieces + i * 0x4000, 2});
  REQUIRE(bench.status(0, bench.give(pieces, 600, 1, kLists + 0xF00)) == Status::kSuccess);
  CHECK(bench.user->memory_->bytes() == 600 * 4096);
  bench.user->write(599);
  bench.run(10us);
  CHECK(bench.port.load<std::uint64_t>(kPieces + 299 * 0x4000 + 4096 + 8) == 599);
}
TEST_CASE("a buffer below HMMIN is refused") {
  HmbBench bench;
  bench.check_rejected(0, bench.give({{kPieces, 7}}, 7), Status::kInvalidField);
}
TEST_CASE("a size that is not the sum of the pieces is refused") {
  HmbBench bench;
  bench.check_rejected(0, bench.give(bench.two(), 17), Status::kInvalidField);
  CHECK(bench.user->times_lent == 0);
}
TEST_CASE("more descriptors than HMMAXD are refused, and none") {
  HmbBench bench;
  bench.check_rejected(0, bench.give(std::vector<Piece>(9, {kPieces, 2}), 18),
                       Status::kInvalidField);
  bench.check_rejected(0, bench.give({}, 16), Status::kInvalidField);
}
TEST_CASE("a piece that does not start at a page is refused") {
  HmbBench bench;
  bench.check_rejected(0, bench.give({{kPieces + 512, 16}}, 16), Status::kInvalidField);
}
TEST_CASE("a descriptor list that cannot be read is a data transfer error") {
  HmbBench bench;
  const auto entry = bench.give(bench.two(), 16);
  bench.port.poison_page(kLists);
  bench.check_rejected(0, entry, Status::kDataTransferError);
}
TEST_CASE("a reset takes the memory from the media at once") {
  HmbBench bench;
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  bench.user->read(3);
  bench.disable();
  CHECK(bench.user->times_dropped == 1);
  CHECK(bench.user->moves == 0);
  REQUIRE(bench.enable());
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
}
TEST_CASE("a reset while the list is being read leaves nothing behind") {
  HmbBench bench;
  bench.submit(0, bench.give(bench.two(), 16));
  bench.run(1300ns);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.user->times_lent == 0);
  CHECK(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
}
TEST_CASE("Get Features tells where the host memory is") {
  HmbBench bench;
  auto get = admin(spec::AdminOpcode::kGetFeatures,
                   static_cast<std::uint32_t>(FeatureId::kHostMemoryBuffer));
  get.prp1 = kData;
  auto answer = bench.run_command(0, get);
  CHECK(answer.entry.dw0 == 0);
  REQUIRE(bench.status(0, bench.give(bench.two(), 16)) == Status::kSuccess);
  answer = bench.run_command(0, get);
  CHECK(answer.status() == Status::kSuccess);
  CHECK(answer.entry.dw0 == 1);
  CHECK(bench.port.load<std::uint32_t>(kData) == 16);
  CHECK(bench.port.load<std::uint64_t>(kData + 4) == kLists);
  CHECK(bench.port.load<std::uint32_t>(kData + 12) == 2);
}
TEST_CASE("Identify tells how much host memory is wanted") {
  HmbBench bench;
  CHECK(bench.status(0, identify(1, 0)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyController>(kData);
  CHECK(data.hmpre == 64);
  CHECK(data.hmmin == 8);
  CHECK(data.hmminds == 2);
  CHECK(data.hmmaxd == 8);
}
TEST_CASE("a drive whose media has no use for host memory cannot ask for it") {
  base::Scheduler scheduler("scheduler");
  FakePort port(scheduler, 5);
  FakeMedia media(scheduler, kMediaUnits);
  base::StageJoin stages;
  base::Log log;
  CHECK_THROWS_AS(device::Controller(wanting(), scheduler, port, media, stages, log, true),
                  base::UserError);
}
