// Reads of single planes beside each other: what they cost and what they wait for, to the
// picosecond.
#include "tests/formula/models/nand_bench.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

constexpr Time kIdleRead = kCommand + kRead;

NandConfig by_planes() {
  NandConfig config = one_die();
  config.planes_per_die = 4;
  config.independent_plane_reads = true;
  return config;
}

Bench::Job& read_at(Bench& bench, Time when, std::uint32_t planes,
                    JobClass job_class = JobClass::kHostRead) {
  Bench::Job& job = bench.at(when, job_class);
  job.planes = planes;
  return job;
}

Time waited(const DieJob& job, DieCause cause) {
  return job.waited[static_cast<std::size_t>(cause)];
}

TEST_CASE("reads of different planes run beside each other, of one plane in turn") {
  Bench bench(by_planes());
  auto& first = read_at(bench, 0us, 0b0001);
  auto& second = read_at(bench, 10us, 0b0010);
  auto& same = read_at(bench, 20us, 0b0001);
  auto& last = read_at(bench, 30us, 0b1000);
  bench.scheduler.simulate();
  CHECK(first.done == kIdleRead);
  CHECK(second.done == 10us + kIdleRead);
  CHECK(same.done == 2 * kIdleRead);
  CHECK(last.done == 30us + kIdleRead);
  CHECK(waited(same, DieCause::kRead) == kIdleRead - 20us);
  CHECK(waited(last, DieCause::kRead) == 0us);
  CHECK(bench.statistic("reads") == 4);
  CHECK(bench.statistic("plane_reads_beside") == 3);
  CHECK(bench.nand.busy(0) == 2 * kIdleRead);  // without a gap, however many planes
}

TEST_CASE("without independent planes the same reads take the die one after the other") {
  NandConfig config = by_planes();
  config.independent_plane_reads = false;
  Bench bench(config);
  auto& first = read_at(bench, 0us, 0b0001);
  auto& second = read_at(bench, 10us, 0b0010);
  bench.scheduler.simulate();
  CHECK(first.done == kIdleRead);
  CHECK(second.done == 2 * kIdleRead);
  CHECK(bench.statistic("plane_reads_beside") == 0);
}

TEST_CASE("a read of two planes waits for both and is not overtaken on either") {
  Bench bench(by_planes());
  auto& low = read_at(bench, 0us, 0b0001);
  auto& high = read_at(bench, 30us, 0b0010);
  auto& both = read_at(bench, 35us, 0b0011);
  auto& behind = read_at(bench, 36us, 0b0001);  // its plane is free before `both` can begin
  auto& beside = read_at(bench, 37us, 0b0100);
  bench.scheduler.simulate();
  CHECK(low.done == kIdleRead);
  CHECK(both.done == high.done + kIdleRead);
  CHECK(behind.done == both.done + kIdleRead);
  CHECK(beside.done == 37us + kIdleRead);
  CHECK(waited(both, DieCause::kRead) == high.done - 35us);
}

TEST_CASE("a program waits until no plane reads, reads wait for the program") {
  NandConfig config = by_planes();
  config.die_policy = "fifo";
  Bench bench(config);
  read_at(bench, 0us, 0b0001);
  auto& late = read_at(bench, 10us, 0b0010);
  auto& program = bench.at(15us, JobClass::kHostProgram);
  auto& read = read_at(bench, 20us, 0b0100);  // its plane is free, but it is the program's turn
  bench.scheduler.simulate();
  CHECK(program.begun == late.done);
  CHECK(program.done == late.done + 2 * kPageIn + kProgram + kStatus);
  CHECK(read.done == program.done + kIdleRead);
  CHECK(waited(read, DieCause::kProgram) == program.done - late.done);
  CHECK(waited(read, DieCause::kRead) == late.done - 20us);
}

TEST_CASE("a wait for a plane is the collector's if the collector reads it") {
  Bench bench(by_planes());
  auto& move = read_at(bench, 0us, 0b0010, JobClass::kGcRead);
  read_at(bench, 5us, 0b0100);
  auto& read = read_at(bench, 10us, 0b0010);
  bench.scheduler.simulate();
  CHECK(read.done == move.done + kIdleRead);
  CHECK(waited(read, DieCause::kGc) == move.done - 10us);
  CHECK(waited(read, DieCause::kRead) == 0us);
}

TEST_CASE("a suspended program lets reads of all planes in at once") {
  NandConfig config = by_planes();
  config.program_suspend = true;
  Bench bench(config);
  auto& program = bench.at(0us, JobClass::kHostProgram);
  auto& first = read_at(bench, 100us, 0b0001);
  auto& second = read_at(bench, 105us, 0b0010);
  auto& third = read_at(bench, 130us, 0b0001);
  bench.scheduler.simulate();
  CHECK(first.done == 120us + kIdleRead);
  CHECK(second.done == first.done);
  CHECK(third.done == first.done + kIdleRead);
  CHECK(program.done == 2 * kPageIn + kProgram + kStatus + 20us + 2 * kIdleRead + 5us);
  CHECK(bench.statistic("program_suspends") == 1);
}

TEST_CASE("without cache read a plane is taken until its data has left, the others are not") {
  NandConfig config = by_planes();
  config.cache_read = false;
  Bench bench(config);
  auto& first = read_at(bench, 0us, 0b0001);
  first.out_bytes = 8192;  // 8 us
  auto& same = read_at(bench, 1us, 0b0001);
  auto& other = read_at(bench, kIdleRead + 1us, 0b0010);
  bench.scheduler.simulate();
  CHECK(same.done == kIdleRead + 8us + kIdleRead);
  CHECK(other.done == kIdleRead + 1us + kIdleRead);
}

TEST_CASE("a power cut drops reads of planes, each once") {
  Bench bench(by_planes());
  auto& one = read_at(bench, 0us, 0b0001);
  auto& two = read_at(bench, 1us, 0b0110);
  auto& waiting = read_at(bench, 2us, 0b0010);
  bench.scheduler.simulate(10us);
  CHECK(bench.nand.jobs_open() == 3);
  bench.nand.power_cut();
  CHECK(one.dropped);
  CHECK(two.dropped);
  CHECK(waiting.dropped);
  CHECK(bench.nand.jobs_open() == 0);
  auto& after = read_at(bench, 20us, 0b0010);
  bench.scheduler.simulate();
  CHECK(after.done == 20us + kIdleRead);
  CHECK(one.done == 0us);
  CHECK(bench.nand.busy(0) == 10us + kIdleRead);
}

// Of 1,000 single units read at random from one die of four planes.
Time time_of_reads(bool independent) {
  MediaConfig config = small_drive(1024);
  config.nand.channels = config.nand.dies_per_channel = 1;
  config.nand.planes_per_die = 4;
  config.nand.independent_plane_reads = independent;
  config.ftl.prefill_percent = 100;
  Rig rig(config);
  base::Random random(3, "reads");
  for (int i = 0; i < 1'000; ++i) rig.read(random.below(1024));
  rig.run();
  for (const Rig::Io& io : rig.ios) CHECK(io.status == MediaStatus::kOk);
  return rig.scheduler.now();
}
TEST_CASE("random reads of a die take a whole array read each") {
  CHECK(time_of_reads(false) >= 1'000 * kIdleRead);
}
TEST_CASE("by planes they take a quarter of that, and what the longest queue has more") {
  const Time time = time_of_reads(true);
  CHECK(time > 250 * kIdleRead);
  CHECK(time < 300 * kIdleRead);
}

TEST_CASE("the units of a read that lie on one plane join, others begin by themselves") {
  MediaConfig config = small_drive(1024);
  config.nand.channels = config.nand.dies_per_channel = 1;
  config.nand.independent_plane_reads = true;
  config.ftl.prefill_percent = 100;
  Rig rig(config);
  rig.read(0, 2);                 // a page of plane 0
  auto& second = rig.read(2, 2);  // of plane 1
  auto& third = rig.read(4, 4);   // a stripe of the next row: both planes
  rig.run();
  CHECK(rig.statistic("nand.reads") == 3);
  CHECK(rig.statistic("nand.plane_reads_beside") == 1);
  CHECK(second.command.parts[0].stages.spent(base::Stage::kDieWaitRead) == 0us);
  CHECK(third.command.parts[0].stages.spent(base::Stage::kDieWaitRead) == kIdleRead);
}

}  // namespace
}  // namespace nvmesim::models
