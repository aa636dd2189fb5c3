#include "host/kernel/cpu.hpp"

#include <algorithm>
#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;

namespace {

struct Slice {
  base::Time arrival{0};
  base::Time cost{0};
  CpuPriority priority = CpuPriority::kTask;
  base::Time expected{0};
  base::Time ended{-1};
  base::Time charge{0};
};

// One processor and slices that arrive on their own.
struct Bench {
  base::Scheduler scheduler{"scheduler"};
  Cpu* current = nullptr;
  Cpu cpu{CpuId(0), scheduler, current};
  std::vector<Slice> slices;

  void arrive(std::uint64_t index) {
    const Slice& slice = slices[index];
    cpu.run(slice.priority, slice.cost, base::Callback::of<&Bench::ended>(this, index));
  }
  void ended(std::uint64_t index) {
    CHECK(current == &cpu);
    slices[index].ended = scheduler.now();
    if (slices[index].charge != base::kTimeZero) cpu.charge(slices[index].charge);
  }
  void run() {
    for (std::size_t i = 0; i < slices.size(); ++i) {
      scheduler.at<&Bench::arrive>(slices[i].arrival, this, i);
    }
    sc_core::sc_start();
  }
};

}  // namespace

TEST_CASE("an interrupt delays the running task by its own duration") {
  Bench bench;
  bench.slices = {{0ns, 1000ns}, {300ns, 200ns, CpuPriority::kInterrupt}, {310ns, 50ns}};
  bench.run();
  CHECK(bench.slices[1].ended == 500ns);
  CHECK(bench.slices[0].ended == 1200ns);
  CHECK(bench.slices[2].ended == 1250ns);
  CHECK(bench.cpu.task_busy() == 1050ns);
  CHECK(bench.cpu.interrupt_busy() == 200ns);
  CHECK(bench.cpu.preemptions() == 1);
}

TEST_CASE("an interrupt at the end of a task does not delay that task") {
  Bench bench;
  bench.slices = {{100ns, 200ns, CpuPriority::kInterrupt}, {0ns, 100ns}, {0ns, 10ns}};
  bench.run();
  CHECK(bench.slices[1].ended == 100ns);
  CHECK(bench.slices[2].ended == 310ns);
}

TEST_CASE("charged time delays later slices of its processor and nothing before") {
  Bench bench;
  bench.slices = {{0ns, 100ns},
                  {0ns, 100ns},
                  {600ns, 10ns, CpuPriority::kInterrupt},
                  {601ns, 10ns, CpuPriority::kInterrupt},
                  {602ns, 100ns}};
  bench.slices[0].charge = 30ns;
  bench.slices[2].charge = 7ns;
  bench.run();
  CHECK(bench.slices[0].ended == 100ns);
  CHECK(bench.slices[1].ended == 230ns);
  CHECK(bench.slices[2].ended == 610ns);
  CHECK(bench.slices[3].ended == 627ns);
  CHECK(bench.slices[4].ended == 727ns);
  CHECK(bench.cpu.busy() == 357ns);
}

TEST_CASE("a task that arrives within charged time waits for its end, interrupts included") {
  Bench bench;
  bench.slices = {{0ns, 100ns}, {150ns, 40ns, CpuPriority::kInterrupt}, {160ns, 10ns}};
  bench.slices[0].charge = 100ns;  // 100 to 200, and 40 more for the interrupt
  bench.run();
  CHECK(bench.slices[1].ended == 190ns);
  CHECK(bench.slices[2].ended == 250ns);
}

// The same server by its definition: interrupts first come first served; tasks use what they leave.
static void expect(std::vector<Slice>& slices) {
  std::vector<std::pair<base::Time, base::Time>> busy;
  base::Time free_at{0};
  for (Slice& slice : slices) {
    if (slice.priority != CpuPriority::kInterrupt) continue;
    const base::Time start = std::max(free_at, slice.arrival);
    free_at = slice.expected = start + slice.cost;
    busy.emplace_back(start, free_at);
  }
  base::Time task_free{0};
  for (Slice& slice : slices) {
    if (slice.priority != CpuPriority::kTask) continue;
    base::Time at = std::max(task_free, slice.arrival);
    base::Time left = slice.cost;
    for (const auto& [start, end] : busy) {
      if (end <= at) continue;
      if (start >= at + left) break;
      if (start > at) left -= start - at;
      at = end;
    }
    task_free = slice.expected = at + left;
  }
}

TEST_CASE("random interrupts and tasks end when a brute-force server says") {
  Bench bench;
  base::Random random(20260101, "cpu_test");
  base::Time at{0};
  for (int i = 0; i < 5000; ++i) {
    at += base::Time(std::chrono::nanoseconds(random.below(400)));
    const bool interrupt = random.below(3) == 0;
    bench.slices.push_back(
        {at, base::Time(std::chrono::nanoseconds(1 + random.below(interrupt ? 250 : 450))),
         interrupt ? CpuPriority::kInterrupt : CpuPriority::kTask});
  }
  expect(bench.slices);
  bench.run();
  base::Time total{0};
  for (std::size_t i = 0; i < bench.slices.size(); ++i) {
    INFO("slice " << i);
    REQUIRE(bench.slices[i].ended == bench.slices[i].expected);
    total += bench.slices[i].cost;
  }
  CHECK(bench.cpu.busy() == total);
  CHECK(bench.cpu.preemptions() > 500);
  CHECK(bench.cpu.waiting() == 0);
}
