#include <array>
#include <map>

#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("one read takes its engine, block layer, driver and device time") {
  BlockBench bench;
  auto& io = bench.io_at(1us, BioOp::kRead, 16, 8);
  io.bio.engine_cost = 351ns;
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(io.ended == 1us + 351ns + 400ns + 100ns + 10us);
  CHECK(io.bio.stages.spent(base::Stage::kSubmit) == 851ns);
  CHECK(io.bio.stages.spent(base::Stage::kArray) == 10us);
  CHECK(io.bio.stages.spent(base::Stage::kTagWait) == 0ns);
  CHECK(bench.host.machine.cpu(CpuId(0)).task_busy() == 851ns);
  const auto& seen = bench.driver.seen.at(0);
  CHECK(seen.sector == 16);
  CHECK(seen.data_bytes == 4096);
  CHECK(seen.last);
}

TEST_CASE("requests cover a long bio exactly, within the limits, split at physical blocks") {
  BlockBench bench({.depth = 16});
  BlockLimits limits;
  limits.logical_block_bytes = 512;
  limits.physical_block_bytes = 4096;
  limits.max_sectors = 100;  // not a multiple of a physical block
  limits.max_discard_sectors = 1000;
  limits.max_write_zeroes_sectors = 77;
  bench.disk.set_limits(limits);
  base::Random random(9, "split");
  for (int i = 0; i < 400; ++i) {
    const auto op = std::array{BioOp::kRead, BioOp::kWrite, BioOp::kDiscard,
                               BioOp::kWriteZeroes}[random.below(4)];
    bench.io_at(base::Time(std::chrono::microseconds(random.below(20000))), op,
                random.below(1'000'000), static_cast<std::uint32_t>(1 + random.below(900)),
                static_cast<unsigned>(random.below(4)));
  }
  sc_core::sc_start();
  bench.expect_all_ended();
  std::map<const Bio*, std::uint64_t> covered;
  for (const auto& seen : bench.driver.seen) {
    const Bio& bio = *seen.bio;
    const std::uint64_t from = covered[&bio];
    const bool moves_data = bio.op == BioOp::kRead || bio.op == BioOp::kWrite;
    REQUIRE(seen.sector == bio.sector + from);
    covered[&bio] += seen.sectors;
    CHECK(seen.sectors > 0);
    if (moves_data) {
      CHECK(seen.sectors <= 100);
      CHECK(seen.data_address == bio.buffer.address + from * 512);
      CHECK(seen.data_bytes == seen.sectors * 512);
      if (covered[&bio] != bio.sectors) CHECK((seen.sector + seen.sectors) % 8 == 0);
    } else {
      CHECK(seen.sectors <= (bio.op == BioOp::kDiscard ? 1000u : 77u));
      CHECK(seen.data_bytes == 0);
    }
  }
  for (const auto& io : bench.ios) CHECK(covered[&io.bio] == io.bio.sectors);
  CHECK(bench.disk.queue().bios_split() > 100);
}

TEST_CASE("only the last request of a split bio is sent as last, unless tags run out") {
  BlockBench bench({.depth = 3});
  BlockLimits limits;
  limits.max_sectors = 8;
  bench.disk.set_limits(limits);
  auto& io = bench.io_at(0ns, BioOp::kWrite, 0, 40);  // 5 requests, 3 tags
  sc_core::sc_start();
  bench.expect_all_ended();
  std::vector<bool> last;
  for (const auto& seen : bench.driver.seen) last.push_back(seen.last);
  // The fourth finds one tag free: it is the last for now. So does the fifth.
  CHECK(last == std::vector<bool>{false, false, true, true, true});
  CHECK(io.bio.stages.spent(base::Stage::kTagWait) == 10us);
  CHECK(io.ended == 500ns + 20us);
  // Requests behind the first charge the driver's time again.
  CHECK(bench.host.machine.cpu(CpuId(0)).task_busy() == 500ns + 2 * 100ns + 2 * 1000ns);
}

TEST_CASE("a split bio has the first error and the stages of the part that ended last") {
  BlockBench bench({.depth = 8});
  BlockLimits limits;
  limits.max_sectors = 8;
  bench.disk.set_limits(limits);
  auto& io = bench.io_at(0ns, BioOp::kRead, 0, 32);
  bench.driver.latency = [](Request& request) {
    return base::Time(std::chrono::microseconds(request.sector == 8 ? 90 : 10));
  };
  bench.driver.status = [](Request& request) {
    return request.sector == 16 ? BlockStatus::kMedium : BlockStatus::kOk;
  };
  sc_core::sc_start();
  CHECK(io.ends == 1);
  CHECK(io.bio.status == BlockStatus::kMedium);
  CHECK(io.bio.stages.spent(base::Stage::kArray) == 90us);
  bench.expect_idle();
}

TEST_CASE("wrong ranges and missing abilities end with an error") {
  BlockBench bench;
  BlockLimits limits;
  limits.logical_block_bytes = 4096;
  limits.physical_block_bytes = 4096;
  bench.disk.set_limits(limits);
  auto& beyond = bench.io_at(0ns, BioOp::kRead, 2 * base::kMiB - 8, 16);
  auto& unaligned = bench.io_at(0ns, BioOp::kRead, 4, 8);
  auto& nothing = bench.io_at(0ns, BioOp::kWrite, 8, 0);
  auto& discard = bench.io_at(0ns, BioOp::kDiscard, 8, 8);
  auto& zeroes = bench.io_at(0ns, BioOp::kWriteZeroes, 8, 8);
  auto& good = bench.io_at(0ns, BioOp::kRead, 2 * base::kMiB - 8, 8);
  sc_core::sc_start();
  CHECK(beyond.bio.status == BlockStatus::kIoError);
  CHECK(unaligned.bio.status == BlockStatus::kIoError);
  CHECK(nothing.bio.status == BlockStatus::kIoError);
  CHECK(discard.bio.status == BlockStatus::kNotSupported);
  CHECK(zeroes.bio.status == BlockStatus::kNotSupported);
  CHECK(good.bio.status == BlockStatus::kOk);
  CHECK(bench.driver.seen.size() == 1);
  bench.expect_idle();
}

TEST_CASE("what is open is listed oldest first, with what it waits for") {
  BlockBench bench({.depth = 1});
  bench.driver.hold = true;
  auto& first = bench.io_at(0ns, BioOp::kRead, 8, 8);
  auto& second = bench.io_at(0ns, BioOp::kRead, 16, 8, 1);
  struct Look {
    BlockBench& bench;
    std::vector<OpenBio> open;
    void go() {
      bench.disk.for_each_open(
          [](void* self, const OpenBio& one) { static_cast<Look*>(self)->open.push_back(one); },
          this);
      CHECK(bench.disk.waiting_for_tag() == 1);
      bench.driver.hold = false;
      bench.driver.finish_at(*bench.set.request_of(0, 0), bench.host.scheduler.now());
    }
  } look{bench, {}};
  bench.host.scheduler.at<&Look::go>(5us, &look);
  sc_core::sc_start();
  REQUIRE(look.open.size() == 2);
  CHECK(look.open[0].bio == &first.bio);
  CHECK(look.open[0].stage == "the drive");
  CHECK(look.open[1].bio == &second.bio);
  CHECK(look.open[1].stage == "a tag");
  CHECK(look.open[1].submitted == 0ns);
  bench.expect_all_ended();
}

TEST_CASE("a data buffer is host memory that can be written and read and goes back") {
  BlockBench bench;
  const IoBuffer buffer = bench.disk.allocate_buffer(10000);
  CHECK(buffer.address % kPageBytes == 0);
  const std::array<std::byte, 4> out{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::array<std::byte, 4> in{};
  bench.disk.write_buffer(buffer, 9996, out);
  bench.disk.read_buffer(buffer, 9996, in);
  CHECK(in == out);
  CHECK_THROWS_AS(bench.disk.write_buffer(buffer, 9997, out), base::ModelBug);
  CHECK_THROWS_AS(bench.disk.allocate_buffer(~0u), base::UserError);
  bench.disk.free_buffer(buffer);
  CHECK(bench.host.machine.pages.pages_in_use() == 0);
}
