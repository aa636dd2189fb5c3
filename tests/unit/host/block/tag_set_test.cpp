#include "host/block/tag_set.hpp"

#include <set>

#include "tests/unit/host/block/fake_driver.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("a tag bitmap gives out the lowest free tag, as a sorted set does") {
  base::Random random(7, "tag_test");
  for (const unsigned size : {1u, 30u, 63u, 64u, 65u, 1023u}) {
    const auto count = static_cast<std::uint16_t>(size);
    constexpr std::uint16_t kFirst = 5;
    TagBitmap tags(kFirst, count);
    std::set<std::uint16_t> free_tags;
    std::set<std::uint16_t> taken;
    for (std::uint16_t i = 0; i < count; ++i)
      free_tags.insert(static_cast<std::uint16_t>(kFirst + i));
    for (int step = 0; step < 5000; ++step) {
      REQUIRE(tags.empty() == free_tags.empty());
      if (!free_tags.empty() && (taken.empty() || random.below(100) < 53)) {
        const std::uint16_t tag = tags.take();
        REQUIRE(tag == *free_tags.begin());
        free_tags.erase(tag);
        taken.insert(tag);
      } else {
        auto victim = taken.begin();
        std::advance(victim, random.below(taken.size()));
        tags.give_back(*victim);
        free_tags.insert(*victim);
        taken.erase(victim);
      }
      REQUIRE(tags.in_use() == taken.size());
    }
    if (!free_tags.empty()) CHECK_THROWS_AS(tags.give_back(*free_tags.begin()), base::ModelBug);
  }
}

TEST_CASE("under a storm of bios tags are unique, all come back, and nobody waits for ever") {
  BlockBench bench({.hw_queues = 2, .depth = 8});
  base::Random random(8, "storm");
  bench.driver.latency = [&](Request&) {
    return base::Time(std::chrono::nanoseconds(1000 + random.below(50000)));
  };
  for (int i = 0; i < 3000; ++i) {
    const auto cpu = static_cast<unsigned>(random.below(4));
    bench.io_at(base::Time(std::chrono::nanoseconds(random.below(8'000'000))),
                random.below(2) == 0 ? BioOp::kRead : BioOp::kWrite, 8 * random.below(200000),
                static_cast<std::uint32_t>(8 * (1 + random.below(4))), cpu);
  }
  sc_core::sc_start();
  bench.expect_all_ended();
  CHECK(bench.driver.most_in_flight == 16);
  std::size_t waited = 0;
  for (const auto& io : bench.ios) {
    const base::Time tag_wait = io.bio.stages.spent(base::Stage::kTagWait);
    waited += tag_wait != base::kTimeZero;
    CHECK(io.bio.stages.spent(base::Stage::kSubmit) >= 500ns);
    CHECK(io.bio.stages.spent(base::Stage::kRequeue) == base::kTimeZero);
  }
  CHECK(waited > 100);
  for (const auto& seen : bench.driver.seen) {
    CHECK(seen.hw_queue == seen.bio->cpu.value() % 2);
    CHECK(seen.tag < 8);
  }
}

TEST_CASE("bios that wait for a tag get one in the order of waiting") {
  BlockBench bench({.depth = 1});
  for (int i = 0; i < 6; ++i) bench.io_at(0ns, BioOp::kRead, 8, 8, static_cast<unsigned>(i % 4));
  sc_core::sc_start();
  bench.expect_all_ended();
  std::vector<const Bio*> issued;
  for (const auto& seen : bench.driver.seen) issued.push_back(seen.bio);
  CHECK(issued == bench.order);
  for (std::size_t i = 1; i < issued.size(); ++i) {
    CHECK(bench.driver.seen[i].when == bench.driver.seen[i - 1].when + 10us);
  }
}

TEST_CASE("reserved tags are for those who ask for them") {
  BlockBench bench({.depth = 4, .reserved = 1});
  RequestQueue& queue = bench.disk.queue();
  std::vector<Request*> taken;
  while (Request* request = queue.alloc_request(RequestOp::kDriverIn, {.nowait = true})) {
    CHECK(request->tag != 0);
    taken.push_back(request);
  }
  CHECK(taken.size() == 3);
  Request* reserved = queue.alloc_request(RequestOp::kDriverIn, {.nowait = true, .reserved = true});
  REQUIRE(reserved != nullptr);
  CHECK(reserved->tag == 0);
  CHECK(bench.set.request_of(0, 0) == reserved);
  queue.free_request(*reserved);
  CHECK(bench.set.request_of(0, 0) == nullptr);
  CHECK(bench.set.request_of(0, 99) == nullptr);
  for (Request* request : taken) queue.free_request(*request);
  bench.expect_idle();
}

TEST_CASE("queues follow the affinity of their vectors, a map without queues uses the default") {
  QuietHost host(BlockBench::costs());
  struct Driver : FakeDriver {
    Driver(base::Scheduler& scheduler, Machine& host_machine)
        : FakeDriver(scheduler), machine(host_machine) {}
    void map_queues(TagSet& set) override {
      set.map(QueueType::kDefault).count = 2;
      set.map(QueueType::kDefault).map_by_affinity(machine, FakeBus::function(), 1);
      QueueMap& read = set.map(QueueType::kRead);
      read.count = reads;
      read.offset = 2;
      if (reads != 0) read.map_by_affinity(machine, FakeBus::function(), 3);
    }
    Machine& machine;
    std::uint16_t reads = 4;
  } driver(host.scheduler, host.machine);
  host.machine.threads.spawn("probe", [&] {
    IrqAffinity affinity;
    affinity.pre_vectors = 1;
    affinity.calc_sets = [](unsigned) { return std::vector<unsigned>{2, 4}; };
    host.machine.interrupts.alloc_irq_vectors(FakeBus::function(), 7, 7, affinity);
    TagSet set(host.machine, driver, {.hw_queues = 6, .depth = 4, .maps = 2});
    for (std::uint16_t cpu = 0; cpu < 4; ++cpu) {
      CHECK(set.hw_queue(QueueType::kDefault, CpuId(cpu)) == cpu / 2);
      CHECK(set.hw_queue(QueueType::kRead, CpuId(cpu)) == 2 + cpu);
      CHECK(set.hw_queue(QueueType::kPoll, CpuId(cpu)) == cpu / 2);
    }
    driver.reads = 0;
    set.update_nr_hw_queues(2);
    CHECK(set.hw_queue(QueueType::kRead, CpuId(3)) == 1);
  });
  sc_core::sc_start();
  CHECK(driver.initialised == 0);
}
