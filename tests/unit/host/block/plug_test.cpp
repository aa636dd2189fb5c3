// Bios of one batch: what is gathered, merged and issued together, within which limits, and that
// each ends by itself.
#include <algorithm>

#include "sim/base/random.hpp"
#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

namespace {

// Submits bios one after the other at one instant; all but the last are plugged.
void batch(BlockBench& bench, base::Time when, const std::vector<BlockBench::Io*>& ios) {
  for (BlockBench::Io* io : ios) {
    io->bio.plugged = io != ios.back();
    bench.host.scheduler.at<&BlockBench::Io::submit>(when, io);
  }
}

// Each bio's data follows the one before in memory and on the disk.
BlockBench::Io& part(BlockBench& bench, BioOp op, unsigned index, std::uint32_t sectors = 8) {
  auto& io = bench.io(op, 1000 + index * sectors, sectors);
  io.bio.buffer = {0x1000000 + std::uint64_t{index} * sectors * 512, sectors * 512};
  return io;
}

// A request as the driver saw it is whole: its bios follow one another, and it keeps the limits.
struct Checked {
  explicit Checked(BlockBench& bench) {
    bench.driver.answer = [this, &limits = bench.disk.limits()](Request& request) {
      look(request, limits);
      return QueueResult::kOk;
    };
  }
  void look(const Request& request, const BlockLimits& limits) {
    if (request.bio == nullptr || request.op == RequestOp::kFlush) return;
    if (request.sectors != request.bio->sectors && request.bio->merged == nullptr) {
      ++parts;  // of a bio that was split: it is alone
      return;
    }
    std::uint64_t sectors = 0;
    std::uint32_t segments = 0;
    std::uint32_t bios = 0;
    std::uint64_t end = 0;
    for (const Bio* bio = request.bio; bio != nullptr; bio = bio->merged, ++bios) {
      if (request.op != RequestOp::kDiscard) wrong += bio->sector != request.sector + sectors;
      sectors += bio->sectors;
      if (request.op == RequestOp::kDiscard) continue;
      const IoBuffer whole = bio->buffer;
      for (const IoBuffer& piece : bio->pieces.empty() ? std::span(&whole, 1) : bio->pieces) {
        if (segments == 0 || piece.address != end) {
          if (segments != 0) wrong += ((piece.address | end) & limits.boundary_mask) != 0;
          ++segments;
        }
        end = piece.address + piece.bytes;
      }
    }
    ++requests;
    carried += bios;
    most_bios = std::max(most_bios, bios);
    wrong += sectors != request.sectors;
    if (request.op == RequestOp::kDiscard) {
      wrong += bios > limits.max_discard_segments || sectors > limits.max_discard_sectors;
      return;
    }
    wrong += request.data_bytes != sectors * 512;
    wrong += sectors > limits.max_sectors || segments > limits.max_segments;
    if (limits.chunk_sectors != 0) {
      wrong += request.sector / limits.chunk_sectors !=
               (request.sector + sectors - 1) / limits.chunk_sectors;
    }
    // An address is one contiguous piece of memory.
    if (request.data_address != 0)
      wrong += segments != 1 || request.data_address + request.data_bytes != end;
  }
  unsigned parts = 0;
  unsigned requests = 0;
  unsigned carried = 0;
  std::uint32_t most_bios = 0;
  unsigned wrong = 0;
};

HostConfig with_nomerges(std::uint32_t nomerges) {
  HostConfig config = BlockBench::costs();
  config.nomerges = nomerges;
  return config;
}

// Batches of bios of which many touch, over all limits and kinds.
void random_batches(std::uint32_t nomerges, bool newest_only) {
  BlockBench bench({.depth = 64}, with_nomerges(nomerges));
  BlockLimits limits;
  limits.max_sectors = 96;
  limits.chunk_sectors = 128;
  limits.max_segments = 5;
  limits.max_discard_sectors = 400;
  limits.max_discard_segments = 7;
  bench.disk.set_limits(limits);
  if (newest_only) bench.disk.queue().set_plug_rules({.most_requests = 32, .newest_only = true});
  Checked checked(bench);
  base::Random random(17, "plug");
  std::deque<std::vector<IoBuffer>> pieces;
  for (unsigned round = 0; round < 300; ++round) {
    std::vector<BlockBench::Io*> ios;
    const auto cpu = static_cast<unsigned>(random.below(4));
    std::uint64_t sector = random.below(100'000) * 8;
    std::uint64_t address = 0x1000000 + random.below(1000) * 0x10000;
    const auto count = 1 + random.below(24);
    for (unsigned i = 0; i < count; ++i) {
      const BioOp op = std::array{BioOp::kRead,  BioOp::kRead,    BioOp::kRead, BioOp::kWrite,
                                  BioOp::kWrite, BioOp::kDiscard, BioOp::kFlush}[random.below(7)];
      const auto sectors =
          static_cast<std::uint32_t>(op == BioOp::kFlush ? 0 : 1 + random.below(24));
      if (random.chance(1, 4)) sector = random.below(100'000) * 8;
      if (random.chance(1, 4)) address += random.below(8) * 512;
      auto& io = bench.io(op, random.chance(1, 5) && sector > 24 ? sector - sectors : sector,
                          sectors, cpu);
      io.bio.buffer = {address, sectors * 512};
      io.bio.fua = op == BioOp::kWrite && random.chance(1, 8);
      if (sectors > 8 && random.chance(1, 2)) {
        pieces.push_back({{address, 4096}, {address + 0x100000, (sectors - 8) * 512}});
        io.bio.pieces = pieces.back();
      }
      sector += sectors;
      address += sectors * 512;
      ios.push_back(&io);
    }
    batch(bench, base::Time(std::chrono::microseconds(random.below(4000))), ios);
  }
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(checked.wrong == 0);
  const RequestQueue& queue = bench.disk.queue();
  // Each bio is in one request, but for flushes and for what had to be split.
  CHECK(checked.carried == checked.requests + queue.bios_merged());
  CHECK(checked.carried + queue.bios_split() + queue.flushes_ended_here() == bench.ios.size());
  CHECK(checked.parts > queue.bios_split());
  if (nomerges == 2) {
    CHECK(queue.bios_merged() == 0);
    CHECK(checked.most_bios == 1);
  } else {
    CHECK(queue.bios_merged() > 100);
    CHECK(checked.most_bios > 3);
  }
}

}  // namespace

TEST_CASE("bios that touch but come one by one are not merged") {
  BlockBench bench({.depth = 16});
  for (unsigned i = 0; i < 8; ++i)
    bench.host.scheduler.at<&BlockBench::Io::submit>(0ns, &part(bench, BioOp::kRead, i));
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(bench.driver.seen.size() == 8);
  CHECK(bench.disk.queue().bios_merged() == 0);
  CHECK(bench.disk.queue().plug_flushes() == 0);
}

TEST_CASE("a batch of bios that touch is one request, and the driver is paid once") {
  BlockBench bench({.depth = 16});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {1u, 2u, 0u, 3u}) ios.push_back(&part(bench, BioOp::kRead, i));
  batch(bench, 1us, ios);
  sc_core::sc_start();
  bench.expect_all_ended();
  REQUIRE(bench.driver.seen.size() == 1);
  const auto& seen = bench.driver.seen[0];
  CHECK(seen.sector == 1000);
  CHECK(seen.sectors == 32);
  CHECK(seen.data_address == 0x1000000);
  CHECK(seen.data_bytes == 32 * 512);
  CHECK(seen.last);
  CHECK(bench.disk.queue().bios_merged() == 3);
  // Four slices of the block layer, one of the driver, then the device.
  for (const auto& io : bench.ios) CHECK(io.ended == 1us + 1700ns + 10us);
  CHECK(bench.ios[0].bio.stages.spent(base::Stage::kSubmit) == 1700ns);
  CHECK(bench.host.machine.cpu(CpuId(0)).task_busy() == 1700ns);
}

TEST_CASE("bios of a batch that do not touch are issued together, only the last as last") {
  BlockBench bench({.depth = 16});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {0u, 10u, 20u}) ios.push_back(&part(bench, BioOp::kWrite, i));
  batch(bench, 0ns, ios);
  sc_core::sc_start();
  bench.expect_all_ended();
  REQUIRE(bench.driver.seen.size() == 3);
  for (unsigned i = 0; i < 3; ++i) {
    CHECK(bench.driver.seen[i].when == 1300ns);
    CHECK(bench.driver.seen[i].last == (i == 2));
  }
  CHECK(bench.host.machine.cpu(CpuId(0)).task_busy() == 1500ns);
}

TEST_CASE("an older kernel merges with any request of a batch") {
  BlockBench bench({.depth = 16});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {0u, 10u, 1u, 11u}) ios.push_back(&part(bench, BioOp::kRead, i));
  batch(bench, 0ns, ios);
  sc_core::sc_start();
  CHECK(bench.driver.seen.size() == 2);
}

TEST_CASE("a newer kernel does not look beyond the newest request of a batch") {
  BlockBench bench({.depth = 16});
  bench.disk.queue().set_plug_rules({.most_requests = 32, .newest_only = true});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {0u, 10u, 1u, 2u}) ios.push_back(&part(bench, BioOp::kRead, i));
  batch(bench, 0ns, ios);
  sc_core::sc_start();
  CHECK(bench.driver.seen.size() == 3);
}

TEST_CASE("random batches are merged within all limits, and each bio ends once") {
  random_batches(0, false);
}

TEST_CASE("random batches of a newer kernel are merged within all limits too") {
  random_batches(1, true);
}

TEST_CASE("with nomerges=2 random batches are issued bio by bio") {
  random_batches(2, false);
}

TEST_CASE("a gathering ends when it is full, and behind a request of 128 KiB") {
  BlockBench bench({.depth = 64});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i = 0; i < 20; ++i) ios.push_back(&part(bench, BioOp::kRead, 10 * i));
  ios.push_back(&bench.io(BioOp::kRead, 50'000, 256));
  ios.push_back(&bench.io(BioOp::kRead, 60'000, 8));
  batch(bench, 0ns, ios);
  sc_core::sc_start();
  bench.expect_all_ended();
  std::vector<std::size_t> lasts;
  for (std::size_t i = 0; i < bench.driver.seen.size(); ++i)
    if (bench.driver.seen[i].last) lasts.push_back(i);
  CHECK(lasts == std::vector<std::size_t>{15, 20, 21});
}

TEST_CASE("discards of a batch are ranges of one command, as many as the drive takes") {
  BlockBench bench({.depth = 16});
  BlockLimits limits = bench.disk.limits();
  limits.max_discard_segments = 3;
  bench.disk.set_limits(limits);
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {9u, 2u, 5u, 7u}) ios.push_back(&part(bench, BioOp::kDiscard, i));
  batch(bench, 0ns, ios);
  std::vector<unsigned> ranges;
  bench.driver.answer = [&](Request& request) {
    ranges.push_back(0);
    for (const Bio* bio = request.bio; bio != nullptr; bio = bio->merged) ++ranges.back();
    return QueueResult::kOk;
  };
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(ranges == std::vector<unsigned>{3, 1});
}

TEST_CASE("what was gathered is issued when nothing more follows after all") {
  BlockBench bench({.depth = 16});
  auto& io = part(bench, BioOp::kRead, 0);
  io.bio.plugged = true;
  bench.host.scheduler.at<&BlockBench::Io::submit>(0ns, &io);
  sc_core::sc_start(1, sc_core::SC_MS);
  CHECK(io.ends == 0);
  bench.disk.unplug(CpuId(0));
  sc_core::sc_start();
  bench.expect_all_ended();
}

TEST_CASE("a queue that is frozen amid a batch lets the first ones end and keeps the rest") {
  BlockBench bench({.depth = 16});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {0u, 1u, 2u, 3u}) ios.push_back(&part(bench, BioOp::kRead, i));
  batch(bench, 0ns, ios);
  // Two of the four have been gathered by then.
  struct Steps {
    RequestQueue& queue;
    void freeze() { queue.freeze_start(); }
  } steps{bench.disk.queue()};
  bench.host.scheduler.at<&Steps::freeze>(900ns, &steps);
  sc_core::sc_start(1, sc_core::SC_MS);
  CHECK(ios[0]->ends + ios[1]->ends == 2);
  CHECK(ios[2]->ends + ios[3]->ends == 0);
  CHECK(bench.disk.queue().entered() == 0);
  bench.disk.queue().unfreeze();
  sc_core::sc_start();
  bench.expect_all_ended();
}

TEST_CASE("a failed request fails all its bios, one that is sent again keeps them") {
  BlockBench bench({.depth = 16});
  std::vector<BlockBench::Io*> ios;
  for (unsigned i : {0u, 1u, 2u}) ios.push_back(&part(bench, BioOp::kRead, i));
  batch(bench, 0ns, ios);
  bool again = true;
  bench.driver.retry = [&](Request& request) {
    if (!std::exchange(again, false)) return false;
    request.queue->requeue_request(request);
    request.queue->kick_requeue_list();
    return true;
  };
  bench.driver.status = [](Request&) { return BlockStatus::kMedium; };
  sc_core::sc_start();
  bench.expect_all_ended(BlockStatus::kMedium);
  CHECK(bench.driver.seen.size() == 2);
  for (const auto& seen : bench.driver.seen) CHECK(seen.sectors == 24);
}
