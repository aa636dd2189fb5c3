// fio jobs over a fake drive: what they submit, when they end, what they cost.
#include "sim/workload/job_runner.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "fake_device.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using host::BioOp;
using Seen = std::vector<FakeDevice::Seen>;

struct Run {
  base::Scheduler scheduler{"scheduler"};
  FakeDevice device;
  workload::JobRunner runner;
  workload::WorkloadResult result;

  explicit Run(const std::string& text, const FakeConfig& fake = {}, std::uint64_t seed = 1)
      : device(scheduler, fake),
        runner(scheduler, device, workload::parse_job(text, "j.fio"), {.seed = seed}) {
    CHECK(run_to_end(runner) == 1);
    result = runner.result();
    CHECK(result.complete);
    CHECK(result.requests_lost() == 0);
  }
  const Seen& seen() const { return device.seen(); }
};

std::string error_of(base::Scheduler& scheduler, const std::string& text,
                     const FakeConfig& fake = {}) {
  FakeDevice device(scheduler, fake);
  return user_error(
      [&] { workload::JobRunner(scheduler, device, workload::parse_job(text, "j.fio"), {}); });
}

std::vector<std::uint64_t> sectors(const Seen& seen) {
  std::vector<std::uint64_t> list;
  for (const auto& one : seen) list.push_back(one.sector);
  return list;
}

}  // namespace

TEST_CASE("a sequential job covers its region once, in order") {
  const Run run("[j]\nrw=write\nbs=8k\noffset=1m\nsize=64k\n");
  REQUIRE(run.seen().size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(run.seen()[i].sector == 2048 + 16 * i);
    CHECK(run.seen()[i].sectors == 16);
    CHECK(run.seen()[i].op == BioOp::kWrite);
  }
  CHECK(run.result.operations[1].bytes == 65536);
}

TEST_CASE("a random job covers each block once, in no order") {
  const Run run("[j]\nrw=randread\nsize=4m\nioengine=libaio\niodepth=16\n");
  auto list = sectors(run.seen());
  REQUIRE(list.size() == 1024);
  CHECK_FALSE(std::is_sorted(list.begin(), list.end()));
  std::sort(list.begin(), list.end());
  for (std::size_t i = 0; i < 1024; ++i) CHECK(list[i] == 8 * i);
  CHECK(run.device.open_max() == 16);
}

TEST_CASE("without the random map blocks repeat") {
  const Run run("[j]\nrw=randread\nsize=4m\nnorandommap\n");
  const auto list = sectors(run.seen());
  const std::set<std::uint64_t> different(list.begin(), list.end());
  CHECK(list.size() == 1024);
  CHECK(different.size() < 720);  // 1024 * (1 - 1/e) is 647
  CHECK(different.size() > 580);
}

TEST_CASE("zipf offsets favour few blocks") {
  const Run run("[j]\nrw=randread\nsize=40m\nrandom_distribution=zipf:1.2\n");
  std::map<std::uint64_t, int> counts;
  for (const auto& one : run.seen()) ++counts[one.sector];
  int most = 0;
  for (const auto& [sector, count] : counts) most = std::max(most, count);
  CHECK(run.seen().size() == 10'240);
  CHECK(most > 1'500);  // the first of 10,240 ranks has 20.5 %
  CHECK(most < 2'500);
}

TEST_CASE("the seed of the run changes the offsets of a job, unless it has a randseed") {
  base::Scheduler scheduler("scheduler");
  const auto offsets = [&](const std::string& job, std::uint64_t seed) {
    FakeDevice device(scheduler, {});
    workload::JobRunner runner(scheduler, device, workload::parse_job(job, "j.fio"),
                               {.seed = seed});
    CHECK(run_to_end(runner) == 1);
    return sectors(device.seen());
  };
  const std::string free = "[j]\nrw=randread\nsize=1m\n";
  const std::string fixed = free + "randseed=5\n";
  CHECK(offsets(free, 1) == offsets(free, 1));
  CHECK(offsets(free, 1) != offsets(free, 2));
  CHECK(offsets(fixed, 1) == offsets(fixed, 2));
  CHECK(offsets(fixed, 1) != offsets("[j]\nrw=randread\nsize=1m\nrandseed=6\n", 1));
}

TEST_CASE("sections of one name have offsets of their own") {
  const Run run("[a]\nrw=randread\nsize=1m\n[a]\nrw=randread\nsize=1m\n", {.cpus = 2});
  std::vector<std::uint64_t> first, second;
  for (const auto& one : run.seen()) (one.cpu == 0 ? first : second).push_back(one.sector);
  REQUIRE(first.size() == 256);
  REQUIRE(second.size() == 256);
  CHECK(first != second);
}

TEST_CASE("a mixed job goes on with the other direction when what was drawn does not fit") {
  // One write takes all; drawn behind a read it does not fit, and the clone must not end there.
  const Run run("[j]\nrw=rw\nbs=4k,64k\nsize=64k\nnumber_ios=40\nnumjobs=8\n");
  const auto& operations = run.result.operations;
  CHECK(operations[0].bytes + operations[1].bytes == 8 * 65536);
  CHECK(operations[0].count > 0);
}

TEST_CASE("rwmixread holds its share") {
  const Run run("[j]\nrw=randrw\nrwmixread=70\nsize=40m\n");
  const auto reads = static_cast<double>(run.result.operations[0].count);
  const auto all = reads + static_cast<double>(run.result.operations[1].count);
  CHECK(all == 10'240);
  CHECK(reads / all > 0.68);
  CHECK(reads / all < 0.72);
}

TEST_CASE("block sizes of their own for reads and writes") {
  const Run run("[j]\nrw=randrw\nbs=4k,16k\nsize=4m\n");
  for (const auto& one : run.seen()) {
    CHECK(one.sectors == (one.op == BioOp::kRead ? 8 : 32));
    CHECK(one.sector + one.sectors <= 8192);
  }
}

TEST_CASE("trims become discards") {
  const Run run("[j]\nrw=randtrim\nbs=64k\nsize=1m\n");
  CHECK(run.seen().size() == 16);
  CHECK(run.result.operations[3].count == 16);
}

TEST_CASE("synchronous engines keep one I/O in flight whatever the depth") {
  const Run run("[j]\nioengine=psync\niodepth=32\nsize=400k\n", {.latency = 10us});
  CHECK(run.device.open_max() == 1);
  CHECK(run.result.last_completion == 100 * (10us + 550ns));
}

TEST_CASE("an asynchronous engine pays for waiting when it sleeps, not when it is busy") {
  const Run alone("[j]\nioengine=libaio\nsize=400k\n", {.latency = 10us});
  // The first submission finds the process awake; each later one found it asleep.
  CHECK(alone.result.last_completion == 100 * (10us + 550ns) + 99 * 1760ns);
}

TEST_CASE("an asynchronous engine that is never idle pays for submissions only") {
  const Run run("[j]\nioengine=io_uring\niodepth=64\nsize=400k\n", {.latency = 10us});
  const auto& reads = run.result.operations[0];
  const auto submit = reads.stage_time[static_cast<std::size_t>(base::Stage::kSubmit)];
  // 64 at once take 35 us of CPU, while completions come from 10.55 us on.
  CHECK(submit == 100 * 550ns);
}

TEST_CASE("time_based goes round until its runtime") {
  const Run run("[j]\nrw=read\nsize=16k\ntime_based\nruntime=1ms\n", {.latency = 9450ns});
  CHECK(run.seen().size() == 100);  // a turn takes 10 us
  CHECK(run.seen()[4].sector == 0);
  CHECK(run.result.last_completion == 1ms);
}

TEST_CASE("runtime ends a job that is not done") {
  const Run run("[j]\nrw=read\nsize=100m\nruntime=1ms\n", {.latency = 9450ns});
  CHECK(run.seen().size() == 100);
}

TEST_CASE("io_size is what a job transfers, more or less than its region") {
  base::Scheduler scheduler("scheduler");
  const auto offsets = [&](const std::string& io_size) {
    FakeDevice device(scheduler, {});
    workload::JobRunner runner(
        scheduler, device,
        workload::parse_job("[j]\nrw=read\nsize=16k\nio_size=" + io_size, "j.fio"), {});
    CHECK(run_to_end(runner) == 1);
    return sectors(device.seen());
  };
  CHECK(offsets("8k") == std::vector<std::uint64_t>{0, 8});
  CHECK(offsets("24k") == std::vector<std::uint64_t>{0, 8, 16, 24, 0, 8});
}

TEST_CASE("number_ios ends a job") {
  const Run run("[j]\nrw=randread\nioengine=libaio\niodepth=8\nnumber_ios=20\n");
  CHECK(run.seen().size() == 20);
}

TEST_CASE("clones work on the same region, or side by side with offset_increment") {
  const Run run("[j]\nrw=read\nsize=16k\nnumjobs=3\noffset_increment=1m\n", {.cpus = 2});
  REQUIRE(run.seen().size() == 12);
  std::map<std::uint16_t, std::set<std::uint64_t>> by_cpu;
  for (const auto& one : run.seen()) by_cpu[one.cpu].insert(one.sector);
  CHECK(by_cpu[0] == std::set<std::uint64_t>{0, 8, 16, 24, 4096, 4104, 4112, 4120});
  CHECK(by_cpu[1] == std::set<std::uint64_t>{2048, 2056, 2064, 2072});
  REQUIRE(run.result.jobs.size() == 1);
  CHECK(run.result.jobs[0].operations[0].count == 12);
}

TEST_CASE("sections run at once, with results of their own") {
  const Run run("[r]\nrw=read\nsize=40k\n[w]\nrw=write\nsize=80k\n");
  REQUIRE(run.result.jobs.size() == 2);
  CHECK(run.result.jobs[0].name == "r");
  CHECK(run.result.jobs[0].operations[0].count == 10);
  CHECK(run.result.jobs[1].operations[1].count == 20);
  CHECK(run.result.operations[0].count == 10);
  CHECK(run.result.operations[1].count == 20);
  CHECK(run.seen()[0].at == run.seen()[1].at);
}

TEST_CASE("fsync puts a flush after so many writes and waits for it") {
  const Run run("[j]\nrw=write\nsize=40k\nfsync=4\nioengine=libaio\niodepth=4\n");
  REQUIRE(run.seen().size() == 12);
  std::vector<std::size_t> flushes;
  for (std::size_t i = 0; i < 12; ++i) {
    if (run.seen()[i].op == BioOp::kFlush) flushes.push_back(i);
  }
  CHECK(flushes == std::vector<std::size_t>{4, 9});
  CHECK(run.result.operations[2].count == 2);
  CHECK(run.seen()[5].at > run.seen()[4].at + 10us);
}

TEST_CASE("without a size a job has the rest of the drive, percents are of the drive") {
  CHECK(Run("[j]\nrw=read\noffset=75%\n", {.capacity_sectors = 8000}).seen().size() == 250);
}

TEST_CASE("what does not fit the drive is refused with its place") {
  base::Scheduler scheduler("scheduler");
  const FakeConfig small{.capacity_sectors = 2048};
  CHECK(error_of(scheduler, "[j]\nsize=2m\n", small) ==
        "j.fio:1: job 'j': size 2097152 at offset 0 ends beyond the drive of 1048576 bytes; use a "
        "smaller size");
  CHECK(error_of(scheduler, "\n[j]\noffset=1m\n", small)
            .find("j.fio:2: job 'j': offset 1048576 lies beyond") == 0);
  CHECK(error_of(scheduler, "[j]\nsize=2k\n").find("is less than one block of 4096 bytes") !=
        std::string::npos);
  CHECK(error_of(scheduler, "[j]\nbs=1000\n")
            .find("not a multiple of the drive's logical block of 512") != std::string::npos);
  CHECK(error_of(scheduler, "[j]\nbs=2k\n", {.logical_block_bytes = 4096})
            .find("logical block of 4096") != std::string::npos);
}

TEST_CASE("the same job gives the same requests at the same times") {
  const std::string text =
      "[j]\nrw=randrw\nsize=1m\nioengine=libaio\niodepth=8\nnumjobs=2\n"
      "random_distribution=zipf:0.9\n";
  base::Scheduler scheduler("scheduler");
  Seen lists[2];
  for (Seen& list : lists) {
    FakeDevice device(scheduler, {.latency = 10us, .jitter = 30us});
    workload::JobRunner runner(scheduler, device, workload::parse_job(text, "j.fio"), {});
    const base::Time start = scheduler.now();
    CHECK(run_to_end(runner) == 1);
    list = device.seen();
    for (auto& one : list) one.at -= start;
  }
  REQUIRE(lists[0].size() == 512);
  REQUIRE(lists[1].size() == 512);
  for (std::size_t i = 0; i < 512; ++i) {
    CHECK(lists[0][i].at == lists[1][i].at);
    CHECK(lists[0][i].sector == lists[1][i].sector);
    CHECK(lists[0][i].op == lists[1][i].op);
  }
}

TEST_CASE(
    "a batch is one system call: its first request pays for it, all but its last are plugged") {
  const Run run("[j]\nrw=write\nbs=4k\nsize=80k\nioengine=io_uring\niodepth=20\niodepth_batch=8\n");
  REQUIRE(run.seen().size() == 20);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(run.seen()[i].at == 0ns);
    CHECK(run.seen()[i].plugged == (i % 8 != 7 && i != 19));
    CHECK(run.seen()[i].engine_cost == (i % 8 == 0 ? 550ns : 199ns));
  }
}

TEST_CASE("without iodepth_batch nothing is plugged and each request pays its system call") {
  const Run run("[j]\nrw=write\nsize=1m\nioengine=io_uring\niodepth=20\n");
  for (const auto& seen : run.seen()) {
    CHECK_FALSE(seen.plugged);
    CHECK(seen.engine_cost >= 550ns);
  }
}

TEST_CASE("a full depth runs down to iodepth_low before it is filled again") {
  const Run run(
      "[j]\nrw=randread\nsize=4m\nioengine=libaio\niodepth=16\niodepth_low=4\n"
      "iodepth_batch=16\n",
      {.latency = 10us, .jitter = 30us});
  REQUIRE(run.seen().size() == 1024);
  std::size_t fills = 0;
  for (std::size_t i = 1; i < run.seen().size(); ++i) {
    const auto& seen = run.seen()[i];
    if (run.seen()[i - 1].open != 16) continue;
    ++fills;
    CHECK(seen.open == 5);
    CHECK_FALSE(run.seen()[i - 1].plugged);
  }
  CHECK(fills == (1024 - 16 + 11) / 12);
}

}  // namespace nvmesim::test
