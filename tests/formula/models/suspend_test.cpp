// What a host read costs behind a program, an erase or a move of the collector, with and without
// suspend; multi-pass and one-shot programs. The NAND is driven directly, times to the picosecond.
#include "tests/formula/models/nand_bench.hpp"
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

constexpr Time kSuspendProgram = 20us;
constexpr Time kSuspendErase = 50us;
constexpr Time kResume = 5us;
constexpr Time kGap = 60us;

TEST_CASE("without suspend a read waits for the program, the erase or the move in front of it") {
  Bench bench(one_die());
  auto& program = bench.at(0us, JobClass::kHostProgram);
  auto& read = bench.at(100us, JobClass::kHostRead);
  auto& erase = bench.at(1000us, JobClass::kErase);
  auto& second = bench.at(1500us, JobClass::kHostRead);
  auto& move = bench.at(6000us, JobClass::kGcRead);
  auto& third = bench.at(6010us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(program.done == 2 * kPageIn + kProgram + kStatus);
  CHECK(read.done == program.done + kCommand + kRead);
  CHECK(erase.done == 1000us + kCommand + kErase + kStatus);
  CHECK(second.done == erase.done + kCommand + kRead);
  CHECK(move.done == 6000us + kCommand + kRead);
  CHECK(third.done == move.done + kCommand + kRead);
  CHECK(read.waited[static_cast<std::size_t>(DieCause::kProgram)] == program.done - 100us);
  CHECK(second.waited[static_cast<std::size_t>(DieCause::kErase)] == erase.done - 1500us);
  CHECK(third.waited[static_cast<std::size_t>(DieCause::kGc)] == move.done - 6010us);
}

TEST_CASE("a suspended program lets a read in after the suspend and takes as much longer") {
  NandConfig config = one_die();
  config.program_suspend = true;
  Bench bench(config);
  auto& program = bench.at(0us, JobClass::kHostProgram);
  auto& read = bench.at(100us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(read.done == 100us + kSuspendProgram + kCommand + kRead);
  CHECK(read.waited[static_cast<std::size_t>(DieCause::kProgram)] == kSuspendProgram);
  CHECK(program.done ==
        2 * kPageIn + kProgram + kStatus + kSuspendProgram + kCommand + kRead + kResume);
  CHECK(bench.statistic("program_suspends") == 1);
}

TEST_CASE("a suspended erase serves all reads that wait and then goes on") {
  NandConfig config = one_die();
  config.erase_suspend = true;
  Bench bench(config);
  auto& erase = bench.at(0us, JobClass::kErase);
  auto& first = bench.at(1000us, JobClass::kHostRead);
  auto& second = bench.at(1010us, JobClass::kHostRead);
  auto& move = bench.at(1020us, JobClass::kGcRead);
  bench.scheduler.simulate();
  CHECK(first.done == 1000us + kSuspendErase + kCommand + kRead);
  CHECK(second.done == first.done + kCommand + kRead);
  CHECK(erase.done ==
        kCommand + kErase + kStatus + kSuspendErase + 2 * (kCommand + kRead) + kResume);
  CHECK(move.done == erase.done + kCommand + kRead);
  CHECK(bench.statistic("erase_suspends") == 1);
}

TEST_CASE("a suspend waits for the gap after a resume, and the limit ends them") {
  NandConfig config = one_die();
  config.erase_suspend = true;
  config.suspend_limit = 2;
  Bench bench(config);
  auto& erase = bench.at(0us, JobClass::kErase);
  auto& first = bench.at(1000us, JobClass::kHostRead);
  const Time resumed = 1000us + kSuspendErase + kCommand + kRead + kResume;
  auto& second = bench.at(resumed, JobClass::kHostRead);
  auto& third = bench.at(2000us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(first.done == 1000us + kSuspendErase + kCommand + kRead);
  CHECK(second.done == resumed + kGap + kSuspendErase + kCommand + kRead);
  CHECK(erase.done ==
        kCommand + kErase + kStatus + 2 * (kSuspendErase + kCommand + kRead + kResume));
  CHECK(third.done == erase.done + kCommand + kRead);
}

TEST_CASE("nothing is suspended shortly before its end or beyond its age") {
  NandConfig config = one_die();
  config.program_suspend = true;
  config.erase_suspend = true;
  config.age_limit_us = 2'000;
  Bench bench(config);
  auto& program = bench.at(0us, JobClass::kHostProgram);
  auto& late = bench.at(400us, JobClass::kHostRead);
  auto& erase = bench.at(1000us, JobClass::kErase);
  auto& old = bench.at(3100us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(late.done == program.done + kCommand + kRead);
  CHECK(erase.done == 1000us + kCommand + kErase + kStatus);
  CHECK(old.done == erase.done + kCommand + kRead);
}

TEST_CASE("a program of two passes sends its data twice, a one-shot program all its pages once") {
  NandConfig config = one_die();
  config.program_passes = 2;
  config.one_shot = true;
  config.cell_bits = 3;
  config.program_ns = {400'000, 600'000};  // by wordline
  Bench bench(config);
  CHECK(bench.shape.program_units == 3 * bench.shape.stripe_units);
  auto& program = bench.at(0us, JobClass::kHostProgram);
  bench.jobs[0].row = 0;
  bench.scheduler.simulate();
  CHECK(program.done == 2 * (6 * kPageIn + kProgram + kStatus));
}

TEST_CASE("a power cut drops what runs, what is suspended and what waits") {
  NandConfig config = one_die();
  config.erase_suspend = true;
  Bench bench(config);
  auto& erase = bench.at(0us, JobClass::kErase);
  auto& read = bench.at(1000us, JobClass::kHostRead);
  auto& program = bench.at(1001us, JobClass::kHostProgram);
  bench.scheduler.simulate(1060us);
  CHECK(bench.nand.jobs_open() == 3);
  bench.nand.power_cut();
  CHECK(erase.dropped);
  CHECK(read.dropped);
  CHECK(program.dropped);
  CHECK(bench.nand.jobs_open() == 0);
  auto& after = bench.at(2000us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(after.done == 2000us + kCommand + kRead);
  CHECK(read.done == 0us);
}

}  // namespace
}  // namespace nvmesim::models
