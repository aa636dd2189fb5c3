// Reports for the tests of this room: one of a replay with everything in it, one that was cut
// short by a hang, and one of a run that did nothing. Always the same.
#pragma once

#include "sim/base/random.hpp"
#include "sim/report/run_report.hpp"

namespace nvmesim::tests {

inline void add_request(report::OperationReport& row, report::StageTimes stages,
                        std::uint64_t bytes) {
  base::Time latency{0};
  for (std::size_t i = 0; i < base::kStageCount; ++i) {
    row.stages[i] += stages[i];
    latency += stages[i];
  }
  const base::Time submit = stages[static_cast<std::size_t>(base::Stage::kSubmit)];
  ++row.count;
  row.bytes += bytes;
  row.latency.add(static_cast<std::uint64_t>(latency.count()));
  row.completion_latency.add(static_cast<std::uint64_t>((latency - submit).count()));
}

inline base::Time& of(report::StageTimes& stages, base::Stage stage) {
  return stages[static_cast<std::size_t>(stage)];
}

inline report::StageTimes sample_stages(report::Operation operation, base::Random& random) {
  using base::Stage;
  report::StageTimes stages{};
  const auto about = [&](std::int64_t ns) {
    return base::Time{
        ns * 1000 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(ns) * 100))};
  };
  of(stages, Stage::kSubmit) = about(1100);
  of(stages, Stage::kDoorbell) = about(310);
  of(stages, Stage::kFetch) = about(620);
  of(stages, Stage::kDecode) = about(400);
  of(stages, Stage::kCompletion) = about(45);
  of(stages, Stage::kInterrupt) = about(900);
  of(stages, Stage::kComplete) = about(700);
  if (operation == report::Operation::kRead) {
    of(stages, Stage::kMapping) = about(250);
    of(stages, Stage::kArray) = about(58'000);
    of(stages, Stage::kChannel) = about(3'400);
    of(stages, Stage::kEcc) = about(1'800);
    of(stages, Stage::kData) = about(590);
    if (random.chance(1, 8)) of(stages, Stage::kDieWaitRead) = about(30'000);
    if (random.chance(1, 100)) of(stages, Stage::kDieWaitProgram) = about(480'000);
    if (random.chance(1, 1500)) of(stages, Stage::kDieWaitErase) = about(2'900'000);
  } else if (operation == report::Operation::kWrite) {
    of(stages, Stage::kBuffer) = about(1'500);
    of(stages, Stage::kData) = about(1'150);
  }
  return stages;
}

inline report::RunReport sample_report() {
  using report::Operation;
  report::RunReport report;
  report.version = "0.1.0";
  report.command = "replay";
  report.configuration = boost::json::parse(
      R"({"link": {"generation": 4, "lanes": 4}, "device": {"name": "p5510", "ftl": {"overprovisioning_percent": 7}}})");
  report.workload = boost::json::parse(
                        R"({"kind": "trace", "source": "traces/sqlite.blktrace.txt.gz",
      "file_bytes": 301122, "file_crc32": "00c0ffee", "event": "D", "limit": 0, "closed_loop": 0,
      "speed": "1", "plug_us": 0, "max_open": 65536, "engine_cost_ns": 550, "warmup_ms": 0, "verify": true})")
                        .as_object();
  report.seed = 1;
  report.simulated = base::picoseconds(12'875'214'000'000);
  report.measured = base::picoseconds(12'345'678'901'234);
  report.utilisation_span = report.simulated;
  report.requests = {27'145, 27'145, 0, 0};

  base::Random random(1, "sample");
  for (int i = 0; i < 20'123; ++i) {
    const auto stages = sample_stages(Operation::kRead, random);
    add_request(report.of(Operation::kRead), stages, 4096);
    if (i >= 5) continue;
    report::SlowRequest slow;
    slow.number = static_cast<std::uint64_t>(i);
    slow.sector = random.below(7'500'000'000);
    slow.bytes = 4096u << (i % 3 * 2);
    slow.due = slow.submitted = base::picoseconds(1'000'000 + 7'654'321'987 * (i + 1));
    slow.stages = stages;
    of(slow.stages, base::Stage::kDieWaitErase) += base::picoseconds(2'900'000'000 - i * 1'000'000);
    for (const base::Time time : slow.stages) slow.latency += time;
    report.slowest.push_back(slow);
  }
  for (int i = 0; i < 6'522; ++i) {
    add_request(report.of(Operation::kWrite), sample_stages(Operation::kWrite, random), 16'384);
  }
  for (int i = 0; i < 500; ++i) {
    add_request(report.of(Operation::kDiscard), sample_stages(Operation::kDiscard, random),
                1 << 20);
  }
  report.of(Operation::kDiscard).errors = 2;
  for (int i = 0; i < 3; ++i) {
    report::StageTimes stages{};
    of(stages, base::Stage::kSubmit) = base::picoseconds(200'000);
    add_request(report.block_layer_flushes, stages, 0);
  }

  report.trace = {
      "traces/sqlite.blktrace.txt.gz", "blkparse", true, 27'145, 0, 51'002, 4, 0, 17, 2, 0};
  report.reads = {20'123, 77};
  report.backlog = {27'145,
                    base::picoseconds(3'412'000'000),
                    base::picoseconds(51'823'000'000),
                    base::kTimeZero,
                    12,
                    base::picoseconds(2'100'000),
                    base::picoseconds(4'412'000'000),
                    40,
                    base::picoseconds(812'000'000),
                    base::picoseconds(9'120'000'000),
                    134,
                    40};
  report.verification = {104'352, 104'352, 160'984, 0, 21'432, 0, true, 0, {}};
  report.flash = {106'856'448, 106'001'000, 131'072'000, 12, 24'215'552, 14, {}};
  report.flash->by_cause = {106'001'000, 20'000'000, 4'215'552, 0, 0, 0, 855'448, 0};
  report.notes = {"17 requests lay beyond the end of the drive and were wrapped"};
  for (int i = 15; i >= 0; --i) {
    report.utilisation.push_back({"device.channel" + std::to_string(i), "channel",
                                  base::picoseconds(412'875'214'000 + i * 20'000'000'000)});
  }
  report.utilisation.push_back({"link.upstream", "link", base::picoseconds(90'000'000'000)});
  report.utilisation.push_back({"link.downstream", "link", base::picoseconds(1'234'567'890)});
  report.utilisation.push_back({"host.cpu0", "cpu", base::picoseconds(99'120'000'000)});
  report.statistics = {
      {"device.ftl.free_superblocks", "1", "superblocks that are unused", 17, true},
      {"device.ftl.gc_moves", "1", "units moved by garbage collection", 5'912, false},
      {"link.upstream.tlps", "1", "TLPs sent upstream", 812'345, false}};
  return report;
}

// With these changes: a newer link, everything of the reads a tenth slower.
inline report::RunReport changed_report() {
  report::RunReport report = sample_report();
  report.configuration.as_object()["link"].as_object()["generation"] = 5;
  report.workload["speed"] = "1.5";
  report::OperationReport slower;
  base::Random random(1, "sample");
  for (int i = 0; i < 20'123; ++i) {
    auto stages = sample_stages(report::Operation::kRead, random);
    for (base::Time& time : stages) time += time / 10;
    add_request(slower, stages, 4096);
  }
  report.of(report::Operation::kRead) = slower;
  report.statistics[1].value = 0;
  report.flash.reset();
  return report;
}

inline report::RunReport hung_report() {
  report::RunReport report;
  report.version = "0.1.0";
  report.command = "run";
  report.workload = boost::json::parse(R"({"kind": "jobs", "source": "j.fio", "jobs":
      [{"name": "first", "options": {"rw": "write", "bs": "64k"}},
       {"name": "second job with a long name", "options": {}}],
      "warmup_ms": 10, "verify": false})")
                        .as_object();
  report.seed = ~std::uint64_t{0};
  report.simulated = base::picoseconds(30'001'250'000'000);
  report.measured = report.simulated;
  report.requests = {34, 32, 1, 0};
  report.partial = true;
  report.partial_reason = "hang";
  base::Random random(1, "sample");
  for (int i = 0; i < 32; ++i) {
    add_request(report.of(report::Operation::kWriteZeroes),
                sample_stages(report::Operation::kWriteZeroes, random), 65'536);
  }
  report.of(report::Operation::kWriteZeroes).errors = 1;
  report.jobs.push_back({"first", report.operations});
  report.jobs.push_back({"second job with a long name", report.operations});
  report.verification = {
      8, 0, 8, 16, 0, 1, false, 2, {"sector 4711: expected write 17, found write 12"}};
  report.flash = report::FlashReport{};
  report::HangReport hang{
      "nothing is pending while requests are open", base::picoseconds(1'250'000'000), {}};
  hang.open.push_back({report::Operation::kRead, 123'456, 4096, base::picoseconds(1'200'000'000),
                       "drive: reading its PRP list", 1, 4119});
  hang.open.push_back({report::Operation::kWrite, 7, 512, base::picoseconds(1'249'000'000),
                       "waiting for a tag", 0, 0});
  report.hang = hang;
  return report;
}

// A command under a real kernel.
inline report::RunReport linux_report() {
  report::RunReport report = sample_report();
  report.command = "linux";
  report.workload = boost::json::parse(R"({"kind": "linux", "kernel": "/cache/linux",
      "kernel_bytes": 8000000, "kernel_crc32": "0123abcd", "kernel_arguments": ["nvme.x=1"],
      "memory_mib": 512, "command": ["dd", "if=/dev/nvme0n1"]})")
                        .as_object();
  report.trace.reset();
  report.backlog.reset();
  report.verification.reset();
  report.guest = report::GuestReport{0, 5ms, 1ms, 7, 2, 1};
  return report;
}

inline report::RunReport empty_report() {
  report::RunReport report;
  report.version = "0.1.0";
  report.command = "run";
  return report;
}

}  // namespace nvmesim::tests
