#include "sim/report/text_report.hpp"

#include <algorithm>
#include <sstream>

#include "sim/report/text_format.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/report/sample_report.hpp"

namespace nvmesim::tests {
namespace {

std::size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    widest = std::max(widest, static_cast<std::size_t>(columns));
  }
  return widest;
}

std::string without_colour(std::string text) {
  for (std::size_t at = 0; (at = text.find("\x1b[", at)) != text.npos;) {
    text.erase(at, text.find('m', at) - at + 1);
  }
  return text;
}

TEST_CASE("a summary is the approved text") {
  check_golden("report.txt", report::to_text(sample_report()));
}

TEST_CASE("a summary of a hung run is the approved text") {
  check_golden("report-hang.txt", report::to_text(hung_report()));
}

TEST_CASE("a summary of nothing is short") {
  check_golden("report-empty.txt", report::to_text(empty_report()));
}

TEST_CASE("a summary fits 100 columns, also with large numbers, long names and control codes") {
  report::RunReport run = sample_report();
  for (report::OperationReport& row : run.operations) {
    row = run.operations[0];
    row.count = row.bytes = row.errors = 9'999'999'999;
  }
  std::fill(run.of(report::Operation::kWrite).stages.begin(),
            run.of(report::Operation::kWrite).stages.end(), base::picoseconds(123'456'789'012'345));
  run.trace->source = std::string(300, 'x') + "\x1b[31m\n\xFF";
  run.partial = true;
  run.partial_reason = std::string(300, 'y');
  run.notes.push_back(std::string(90, 'z'));
  run.notes.push_back("a note of many words " + std::string(70, 'w') +
                      " that has to be wrapped here");
  run.utilisation.push_back({std::string(200, 'n'), std::string(200, 'g'), run.simulated});
  run.jobs = {{std::string(100, 'j'), run.operations}, {"b", run.operations}};
  report::SlowRequest slow;
  slow.sector = 99'999'999'999;
  slow.bytes = 10'239 * 1024;
  slow.submitted = slow.latency = base::picoseconds(123'456'789'012'345);
  slow.stages.fill(base::picoseconds(12'345'678'901'234));
  run.slowest.push_back(slow);
  run.verification->mismatches = 3;
  run.verification->first_mismatches = {std::string(200, 'm')};
  const std::string text = report::to_text(run);
  INFO(text);
  CHECK(widest_line(text) <= 100);
  CHECK(text.find(" 99999999999  10,239 KiB ") != text.npos);  // columns keep apart
  CHECK(text.find('\x1b') == text.npos);
  CHECK(text.find(" \n") == text.npos);
}

TEST_CASE("colour adds codes and nothing else, and only when asked") {
  for (const report::RunReport& run : {sample_report(), hung_report()}) {
    const std::string plain = report::to_text(run);
    const std::string colour = report::to_text(run, {.colour = true});
    CHECK(plain.find('\x1b') == plain.npos);
    CHECK(colour != plain);
    CHECK(without_colour(colour) == plain);
  }
}

TEST_CASE("a failed verification and lost requests are said so") {
  report::RunReport run = sample_report();
  CHECK(report::to_text(run).find("passed: 0 mismatches") != std::string::npos);
  run.verification->mismatches = 1;
  CHECK(report::to_text(run).find("FAILED: 1 mismatch\n") != std::string::npos);
  run.requests.completed -= 7;
  CHECK(report::to_text(run).find("27,138 completed, 7 lost") != std::string::npos);
}

TEST_CASE("a run of nothing but flushes that the block layer ended did not do nothing") {
  report::RunReport run = empty_report();
  CHECK(report::to_text(run).find("No request ended.") != std::string::npos);
  run.requests = {2, 2, 0, 0};
  add_request(run.block_layer_flushes, {}, 0);
  const std::string text = report::to_text(run);
  CHECK(text.find("No request ended.") == std::string::npos);
  CHECK(text.find("1 ended in the block layer") != std::string::npos);
}

TEST_CASE("one of a thing is not many") {
  report::RunReport run = empty_report();
  run.trace = report::TraceReport{};
  run.trace->format = "blkparse";
  run.trace->requests = run.trace->unknown_lines = run.trace->out_of_order = 1;
  run.reads = {1, 1};
  run.flash = report::FlashReport{};
  run.flash->erases = run.flash->garbage_collections = 1;
  run.verification = report::VerificationReport{};
  run.verification->sectors_checked = run.verification->media_reads_checked = 1;
  run.verification->mismatches = 1;
  const std::string text = report::to_text(run);
  for (const char* wrong : {"1 requests", "1 unknown lines", "1 reads", "1 erases", "1 sectors",
                            "1 garbage collections", "1 media reads", "1 mismatches"}) {
    INFO(text);
    CHECK(text.find(wrong) == std::string::npos);
  }
  CHECK(text.find("blkparse: 1 request, 1 unknown line, 1 out of order (sorted)") !=
        std::string::npos);
}

TEST_CASE("numbers keep four digits, also where rounding adds one") {
  using report::significant;
  CHECK(significant(0, 1000) == "0");
  CHECK(significant(1, 1000) == "0.001");
  CHECK(significant(3'142, 1000) == "3.142");
  CHECK(significant(31'415, 1000) == "31.42");
  CHECK(significant(999'949, 1000) == "999.9");
  CHECK(significant(999'950, 1000) == "1,000");
  CHECK(significant(9'999'600, 1'000'000) == "10.00");
  CHECK(significant(1'234'567'890, 1000) == "1,234,568");
  CHECK(report::microseconds(999'999'000'000) == "999,999");
  CHECK(report::microseconds(1'234'567'890'123) == "1.235 s");
  CHECK(report::grouped(1'000) == "1,000");
  CHECK(report::grouped(999) == "999");
  CHECK(report::human_time(base::picoseconds(999)) == "0.999 ns");
  CHECK(report::human_time(base::picoseconds(84'123'456)) == "84.12 us");
  CHECK(report::human_time(base::picoseconds(12'345'678'901'234)) == "12.35 s");
  CHECK(report::human_bytes(999) == "999 B");
  CHECK(report::human_bytes(82'423'808) == "82.42 MB");
  CHECK(report::human_size(4096) == "4 KiB");
  CHECK(report::human_size(1'000) == "1,000 B");
  CHECK(report::human_size(1280 * 1024) == "1,280 KiB");
  CHECK(report::human_size(1'048'575) == "1.049 MB");
  CHECK(report::human_size((std::uint64_t{1} << 33) - 512) == "8.590 GB");
  CHECK(report::human_size(std::uint64_t{1} << 33) == "8 GiB");
  CHECK(report::human_rate(812'345, base::picoseconds(1'000'000'000'000)) == "812.3 k");
  CHECK(report::human_rate(1, base::picoseconds(4'000'000'000'000)) == "0.250  ");
  CHECK(report::percent(1, 100'000) == "<0.1 %");
  CHECK(report::percent(123, 1000) == "12.3 %");
}

}  // namespace
}  // namespace nvmesim::tests
