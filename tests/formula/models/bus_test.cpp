// Cache program, cycles of commands and polls on the bus, and who gets the channel first, against
// arithmetic.
#include "tests/formula/models/nand_bench.hpp"

namespace nvmesim::models {
namespace {

// So many dies behind one channel.
NandConfig one_channel(std::uint32_t dies) {
  NandConfig config = one_die();
  config.dies_per_channel = dies;
  return config;
}

TEST_CASE("cache program hides the way in of the next data behind the program") {
  NandConfig config = one_die();
  config.cache_program = true;
  Bench bench(config);
  auto& first = bench.at(0us, JobClass::kHostProgram);
  auto& second = bench.at(10us, JobClass::kHostProgram);
  auto& third = bench.at(100us, JobClass::kGcProgram);
  bench.scheduler.simulate();
  CHECK(first.done == 2 * kPageIn + kProgram + kStatus);
  CHECK(second.done == first.done + kProgram + kStatus);
  CHECK(third.done == second.done + kProgram + kStatus);
  CHECK(bench.statistic("cache_programs") == 2);
}

TEST_CASE("without cache program the data of the next goes in behind the program") {
  Bench bench(one_die());
  auto& first = bench.at(0us, JobClass::kHostProgram);
  auto& second = bench.at(10us, JobClass::kHostProgram);
  bench.scheduler.simulate();
  CHECK(second.done == first.done + 2 * kPageIn + kProgram + kStatus);
}

TEST_CASE("a program that is shorter than the way in of the next data waits for that") {
  NandConfig config = one_die();
  config.cache_program = true;
  config.program_ns = {5'000};
  Bench bench(config);
  auto& first = bench.at(0us, JobClass::kHostProgram);
  auto& second = bench.at(1us, JobClass::kHostProgram);
  bench.scheduler.simulate();
  CHECK(first.done == 2 * kPageIn + 5us + kStatus);
  CHECK(second.done == 4 * kPageIn + 5us + kStatus);
}

TEST_CASE("a read lets no program load in front of it, and waits behind one that has") {
  NandConfig config = one_die();
  config.cache_program = true;
  Bench bench(config);
  auto& first = bench.at(0us, JobClass::kHostProgram);
  auto& early = bench.at(1us, JobClass::kHostRead);
  auto& second = bench.at(2us, JobClass::kHostProgram);
  bench.at(900us, JobClass::kHostProgram);
  auto& loaded = bench.at(901us, JobClass::kHostProgram);
  auto& late = bench.at(950us, JobClass::kHostRead);
  bench.scheduler.simulate();
  CHECK(early.done == first.done + kCommand + kRead);
  CHECK(second.done == early.done + 2 * kPageIn + kProgram + kStatus);
  CHECK(loaded.done == 900us + 2 * kPageIn + 2 * (kProgram + kStatus));
  CHECK(late.done == loaded.done + kCommand + kRead);
}

TEST_CASE("commands on the bus go one after the other, polls too") {
  NandConfig config = one_channel(2);
  config.command_on_bus = true;
  Bench bench(config);
  auto& read = bench.at(0us, JobClass::kHostRead);
  auto& other = bench.at(0us, JobClass::kHostRead);
  other.die = 1;
  auto& erase = bench.at(100us, JobClass::kErase);
  auto& second = bench.at(100us, JobClass::kErase);
  second.die = 1;
  auto& program = bench.at(5000us, JobClass::kHostProgram);
  bench.scheduler.simulate();
  CHECK(read.done == kCommand + kRead);
  CHECK(other.done == 2 * kCommand + kRead);
  CHECK(erase.done == 100us + kCommand + kErase + kStatus);
  CHECK(second.done == 100us + 2 * kCommand + kErase + kStatus);
  CHECK(program.done == 5000us + 2 * kPageIn + kProgram + kStatus);
}

TEST_CASE("a command on the bus waits for the data of another die, and a poll does") {
  NandConfig config = one_channel(2);
  config.command_on_bus = true;
  Bench bench(config);
  auto& read = bench.at(0us, JobClass::kHostRead);
  read.out_bytes = 32 * 1024;  // 32 us of the channel, from 40.5 us on
  auto& waits = bench.at(50us, JobClass::kHostRead);
  waits.die = 1;
  auto& erase = bench.at(200us, JobClass::kErase);
  auto& blocks = bench.at(3640us, JobClass::kHostRead);  // its data from 3680.5 us on
  blocks.die = 1;
  blocks.out_bytes = 32 * 1024;
  bench.scheduler.simulate();
  CHECK(read.out == kCommand + kRead);
  CHECK(waits.done == read.out + 32us + kCommand + kRead);
  CHECK(waits.commanded == read.out + 32us + kCommand);
  CHECK(blocks.out == 3640us + kCommand + kRead);
  CHECK(erase.done == blocks.out + 32us + kStatus);  // the array is done at 3700.5 us
}

struct Contended {
  Time read_out;
  Time program_done;
};

// Data of a read has the channel from 40.5 to 72.5 us. At 50 us a page wants to go in, at 60 us
// the data of another read is ready to come out.
Contended contend(const char* policy, std::uint32_t age_limit_us) {
  NandConfig config = one_channel(3);
  config.channel_policy = policy;
  config.age_limit_us = age_limit_us;
  Bench bench(config);
  bench.at(0us, JobClass::kHostRead).out_bytes = 32 * 1024;
  auto& program = bench.at(50us, JobClass::kHostProgram);
  program.die = 1;
  auto& read = bench.at(19500ns, JobClass::kHostRead);
  read.die = 2;
  read.out_bytes = 32 * 1024;
  bench.scheduler.simulate();
  return {read.out, program.done};
}

TEST_CASE("a channel served in order lets a page in that came before the read's data") {
  const Contended times = contend("fifo", 5'000);
  CHECK(times.read_out == 72500ns + kPageIn);
  CHECK(times.program_done == 72500ns + 2 * kPageIn + 32us + kProgram + kStatus);
}

TEST_CASE("a channel that serves reads first lets their data out before the page") {
  const Contended times = contend("read_first", 5'000);
  CHECK(times.read_out == 72500ns);
  CHECK(times.program_done == 72500ns + 32us + 2 * kPageIn + kProgram + kStatus);
}

TEST_CASE("a page that has waited too long for the channel takes its place among the reads") {
  NandConfig config = one_channel(3);
  config.channel_policy = "read_first";
  config.age_limit_us = 1;
  Bench bench(config);
  for (int i = 0; i < 8; ++i) {
    auto& read = bench.at(i * 20us, JobClass::kHostRead);
    read.die = i % 2 == 0 ? 0 : 2;
    read.out_bytes = 32 * 1024;
  }
  auto& program = bench.at(50us, JobClass::kHostProgram);
  program.die = 1;
  bench.scheduler.simulate();
  // Data of reads wants the channel without a pause; a page that never ages goes in behind it all.
  const Time last = kCommand + kRead + 8 * 32us + 2 * kPageIn + kProgram + kStatus;
  CHECK(program.done < last);
}

}  // namespace
}  // namespace nvmesim::models
