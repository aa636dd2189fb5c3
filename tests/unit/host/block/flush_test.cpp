#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

namespace {

void set_write_cache(BlockBench& bench, bool on) {
  BlockLimits limits;
  limits.write_cache = on;
  bench.disk.set_limits(limits);
}

}  // namespace

TEST_CASE("without a volatile cache flushes end in the block layer and FUA is not asked for") {
  BlockBench bench({.depth = 8});
  set_write_cache(bench, false);
  auto& flush = bench.io_at(0ns, BioOp::kFlush, 0, 0);
  auto& write = bench.io_at(0ns, BioOp::kWrite, 0, 8, 1);
  write.bio.fua = true;
  write.bio.preflush = true;
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(flush.bio.ended_in_block_layer);
  CHECK(flush.ended == 400ns);
  CHECK_FALSE(write.bio.ended_in_block_layer);
  REQUIRE(bench.driver.seen.size() == 1);
  CHECK_FALSE(bench.driver.seen[0].fua);
  CHECK(bench.disk.queue().flushes_ended_here() == 1);
}

TEST_CASE("with a volatile cache a write with PREFLUSH and FUA is a flush, then a write with FUA") {
  BlockBench bench({.depth = 8});
  set_write_cache(bench, true);
  auto& write = bench.io_at(0ns, BioOp::kWrite, 64, 16);
  write.bio.preflush = true;
  write.bio.fua = true;
  auto& fua_only = bench.io_at(0ns, BioOp::kWrite, 128, 8, 1);
  fua_only.bio.fua = true;
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(write.ended == 500ns + 20us);
  CHECK(fua_only.ended == 500ns + 10us);
  REQUIRE(bench.driver.seen.size() == 3);
  CHECK(bench.driver.seen[0].op == RequestOp::kFlush);
  CHECK(bench.driver.seen[0].data_bytes == 0);
  CHECK(bench.driver.seen[2].op == RequestOp::kWrite);
  CHECK(bench.driver.seen[2].data_bytes == 8192);
  CHECK(bench.driver.seen[2].sector == 64);
  CHECK(bench.driver.seen[2].fua);
}

TEST_CASE("flushes that wait while one is out share the next") {
  BlockBench bench({.depth = 64});
  set_write_cache(bench, true);
  for (unsigned i = 0; i < 20; ++i) bench.io_at(0ns, BioOp::kFlush, 0, 0, i % 4);
  sc_core::sc_start();
  bench.expect_all_ended();
  // The first goes alone; the others come within its 10 us and share one.
  CHECK(bench.driver.seen.size() == 2);
  CHECK(bench.disk.queue().flush_commands() == 2);
  CHECK(bench.ios.back().ended == 500ns + 20us);
}

TEST_CASE("a failed flush fails all it stood for, and no data follows it") {
  BlockBench bench({.depth = 64});
  set_write_cache(bench, true);
  bench.driver.status = [](Request& request) {
    return request.op == RequestOp::kFlush ? BlockStatus::kIoError : BlockStatus::kOk;
  };
  bench.io_at(0ns, BioOp::kFlush, 0, 0);
  for (unsigned i = 0; i < 3; ++i) bench.io_at(0ns, BioOp::kWrite, 8, 8, i).bio.preflush = true;
  sc_core::sc_start();
  bench.expect_all_ended(BlockStatus::kIoError);
  for (const auto& seen : bench.driver.seen) CHECK(seen.op == RequestOp::kFlush);
}

TEST_CASE("data never overtakes the flush before it, whatever the mix") {
  BlockBench bench({.hw_queues = 2, .depth = 6});
  set_write_cache(bench, true);
  BlockLimits limits = bench.disk.limits();
  limits.max_sectors = 16;
  bench.disk.set_limits(limits);
  base::Random random(11, "flush");
  bench.driver.latency = [&](Request&) {
    return base::Time(std::chrono::nanoseconds(500 + random.below(30000)));
  };
  // Times of flush commands: issued and ended.
  std::vector<std::pair<base::Time, base::Time>> flushes;
  bench.driver.retry = [&](Request& request) {
    if (request.op == RequestOp::kFlush) {
      const base::Time end = bench.host.scheduler.now();
      for (auto seen = bench.driver.seen.rbegin();; ++seen) {
        if (seen->tag != request.tag || seen->hw_queue != request.hw_queue) continue;
        flushes.emplace_back(seen->when, end);
        break;
      }
    }
    return false;
  };
  for (int i = 0; i < 1500; ++i) {
    const auto when = base::Time(std::chrono::nanoseconds(random.below(20'000'000)));
    const auto cpu = static_cast<unsigned>(random.below(4));
    if (random.below(4) == 0) {
      bench.io_at(when, BioOp::kFlush, 0, 0, cpu);
    } else {
      auto& io = bench.io_at(when, BioOp::kWrite, 8 * random.below(1000),
                             static_cast<std::uint32_t>(8 * (1 + random.below(5))), cpu);
      io.bio.preflush = random.below(2) == 0;
      io.bio.fua = random.below(2) == 0;
    }
  }
  sc_core::sc_start();
  bench.expect_all_ended();
  std::size_t checked = 0;
  for (const auto& seen : bench.driver.seen) {
    if (seen.op != RequestOp::kWrite || !seen.bio->preflush) continue;
    const base::Time submitted = seen.bio->stages.start();
    const bool covered = std::any_of(flushes.begin(), flushes.end(), [&](const auto& flush) {
      return flush.first >= submitted && flush.second <= seen.when;
    });
    CHECK(covered);
    ++checked;
  }
  CHECK(checked > 300);
}
