// --verify over a fake drive that overtakes, and that misbehaves once: sound runs pass with every
// sector checked, each fault is found.
#include "fake_device.hpp"
#include "sim/base/random.hpp"
#include "sim/workload/job_runner.hpp"
#include "sim/workload/replayer.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using host::BioOp;
using workload::Replayer;
using workload::Trace;

// Requests over a small range, so that most of them overlap others in time.
Trace crowded(std::uint64_t seed, int count, std::uint64_t range) {
  base::Random random(seed, "crowded");
  Trace trace;
  base::Time at{0};
  for (int i = 0; i < count; ++i) {
    at += base::Time{static_cast<std::int64_t>(random.below(4'000'000))};
    const auto what = random.below(20);
    const BioOp op = what < 10   ? BioOp::kWrite
                     : what < 17 ? BioOp::kRead
                     : what < 18 ? BioOp::kDiscard
                     : what < 19 ? BioOp::kWriteZeroes
                                 : BioOp::kFlush;
    const auto sectors = op == BioOp::kFlush ? 0 : static_cast<std::uint32_t>(1 + random.below(40));
    trace.requests.push_back(request(at, op, sectors == 0 ? 0 : random.below(range), sectors));
  }
  return trace;
}

// Every sector written once, then read once.
Trace write_then_read(int count) {
  Trace trace;
  for (int i = 0; i < 2 * count; ++i) {
    trace.requests.push_back(request(i * 100us, i < count ? BioOp::kWrite : BioOp::kRead,
                                     static_cast<std::uint64_t>(i % count) * 8, 8));
  }
  return trace;
}

workload::VerifyResult run_verified(const FakeConfig& fake, const Trace& trace) {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, fake);
  workload::ReplayConfig config;
  config.run.verify = true;
  Replayer replayer(scheduler, device, trace, config);
  CHECK(run_to_end(replayer) == 1);
  const auto result = replayer.result();
  CHECK(result.complete);
  CHECK(result.requests_lost() == 0);
  CHECK(result.requests_completed == result.requests_submitted);
  return result.verified.value();
}

}  // namespace

TEST_CASE("crowded requests that overtake each other verify, and are all checked") {
  const auto verified = run_verified({.latency = 5us, .jitter = 60us}, crowded(1, 20'000, 3'000));
  CHECK(verified.passed());
  CHECK(verified.mismatches == 0);
  CHECK(verified.sectors_written > 2'900);
  CHECK(verified.sectors_checked == verified.sectors_written);
  CHECK(verified.sectors_checked_run > 100'000);
}

TEST_CASE("the devwork recording verifies, wrapped onto a small drive") {
  const auto verified = run_verified({.capacity_sectors = 100'000, .latency = 5us, .jitter = 300us},
                                     workload::read_trace(recording("devwork.blktrace.txt.gz")));
  CHECK(verified.passed());
  CHECK(verified.sectors_checked == verified.sectors_written);
  CHECK(verified.sectors_written == 100'000);
}

TEST_CASE("the devwork recording verifies on a large drive, discards included") {
  const auto verified = run_verified({.capacity_sectors = 1 << 23, .latency = 5us, .jitter = 300us},
                                     workload::read_trace(recording("devwork.blktrace.txt.gz")));
  CHECK(verified.passed());
  CHECK(verified.sectors_checked == verified.sectors_written);
  CHECK(verified.writes == 676 + 43);
}

TEST_CASE("verification holds on a drive of 4 KiB blocks") {
  const auto verified =
      run_verified({.capacity_sectors = 8000, .jitter = 60us, .logical_block_bytes = 4096},
                   crowded(2, 3'000, 9'000));
  CHECK(verified.passed());
  CHECK(verified.sectors_checked == 8000);
}

TEST_CASE("a dropped write is found by the read and by the read-back") {
  const auto verified = run_verified({.drop_write = 40}, write_then_read(100));
  CHECK_FALSE(verified.passed());
  CHECK(verified.mismatches == 16);
  REQUIRE_FALSE(verified.first_mismatches.empty());
  CHECK(verified.first_mismatches[0].sector == 39 * 8);
  CHECK(verified.first_mismatches[0].expected == "write 40");
  CHECK(verified.first_mismatches[0].found == "no pattern of a write");
  CHECK_FALSE(verified.first_mismatches[0].in_read_back);
}

TEST_CASE("a flipped bit is found in its one sector") {
  const auto verified = run_verified({.flip_in_write = 7}, write_then_read(100));
  CHECK_FALSE(verified.passed());
  CHECK(verified.mismatches == 2);
  CHECK(verified.first_mismatches.at(0).sector == 6 * 8 + 4);
  CHECK(verified.first_mismatches.at(0).found == "damaged data of write 7");
  CHECK(verified.first_mismatches.at(1).in_read_back);
}

TEST_CASE("a misdirected write is found at the sector it missed and at the one it hit") {
  Trace trace = write_then_read(100);
  std::rotate(trace.requests.begin(), trace.requests.begin() + 1, trace.requests.begin() + 100);
  for (std::size_t i = 0; i < 100; ++i) trace.requests[i].at = static_cast<int>(i) * 100us;
  // Write 50 goes to sectors 8 * 50 and lands on 8 * 51, before the write that belongs there; the
  // last write goes to 0 and would land on 8.
  const auto before = run_verified({.misdirect_write = 100}, trace);
  CHECK_FALSE(before.passed());
  CHECK(before.mismatches == 32);
  CHECK(before.first_mismatches.at(0).sector == 0);
  CHECK(before.first_mismatches.back().found.find("write 100 of sector") == 0);
}

TEST_CASE("a stale read is found though the drive holds the right data") {
  Trace trace;
  for (int i = 0; i < 3; ++i) trace.requests.push_back(request(i * 100us, BioOp::kWrite, 64, 8));
  trace.requests.push_back(request(300us, BioOp::kRead, 64, 8));
  trace.requests.push_back(request(400us, BioOp::kRead, 64, 8));
  const auto verified = run_verified({.stale_read = 1}, trace);
  CHECK_FALSE(verified.passed());
  CHECK(verified.mismatches == 8);
  CHECK(verified.first_mismatches.at(0).found == "write 2");
  CHECK(verified.first_mismatches.at(0).expected == "write 3");
  CHECK(verified.sectors_checked == 8);
}

TEST_CASE("a failed write may be there or not") {
  Trace trace = write_then_read(20);
  const auto verified = run_verified({.fail_write = 5}, trace);
  CHECK(verified.passed());
  CHECK(verified.sectors_written == 160);
  CHECK(verified.sectors_checked == 152);  // what the failed one covers was never known
}

TEST_CASE("a failed read of the read-back fails the verification") {
  Trace trace;
  trace.requests.push_back(request(0us, BioOp::kWrite, 0, 8));
  const auto verified = run_verified({.fail_read = 1}, trace);
  CHECK_FALSE(verified.passed());
  CHECK(verified.read_back_errors == 1);
  CHECK(verified.mismatches == 0);
}

TEST_CASE("a replay that writes nothing verifies without a read-back") {
  Trace trace;
  trace.requests.push_back(request(0us, BioOp::kRead, 0, 8));
  const auto verified = run_verified({}, trace);
  CHECK(verified.passed());
  CHECK(verified.sectors_checked == 0);
}

TEST_CASE("a fio job with verify= verifies") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {.capacity_sectors = 4096, .latency = 5us, .jitter = 40us});
  const auto file = workload::parse_job(
      "[global]\nioengine=libaio\nrw=randrw\nbs=4k\niodepth=16\nverify=crc32c\nsize=2m\n"
      "[a]\n[b]\nnorandommap\n",
      "job.fio");
  workload::JobRunner runner(scheduler, device, file, {});
  CHECK(run_to_end(runner) == 1);
  const auto verified = runner.result().verified.value();
  CHECK(verified.passed());
  CHECK(verified.sectors_checked == verified.sectors_written);
  CHECK(verified.sectors_checked > 2'000);
}

TEST_CASE("the results do not count the read-back") {
  base::Scheduler scheduler("scheduler");
  FakeDevice device(scheduler, {});
  const Trace trace = write_then_read(100);
  workload::ReplayConfig config;
  config.run.verify = true;
  Replayer replayer(scheduler, device, trace, config);
  run_to_end(replayer);
  const auto result = replayer.result();
  CHECK(device.seen().size() > 200);
  CHECK(result.requests_submitted == 200);
  CHECK(result.operations[0].count == 100);
  CHECK(result.last_completion == 199 * 100us + 10us);
}

}  // namespace nvmesim::test
