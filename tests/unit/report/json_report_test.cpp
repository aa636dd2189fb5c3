#include "sim/report/json_report.hpp"

#include <algorithm>

#include "sim/base/config.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/report/sample_report.hpp"

namespace nvmesim::tests {
namespace {

namespace json = boost::json;
using report::Operation;

std::uint64_t count_at(const json::value& document, json::string_view pointer) {
  return document.at_pointer(pointer).to_number<std::uint64_t>();
}

TEST_CASE("a JSON report is the approved text, byte for byte") {
  check_golden("report.json", report::print_json(report::to_json(sample_report())));
}

TEST_CASE("a printed report reads back as the same document") {
  for (const report::RunReport& run : {sample_report(), hung_report(), empty_report()}) {
    const std::string text = report::print_json(report::to_json(run));
    CHECK(report::print_json(base::parse_json(text, "report")) == text);
  }
}

TEST_CASE("numbers print as integers or with as many decimals as their unit has") {
  json::object object;
  object["count"] = std::uint64_t{18'446'744'073'709'551'615u};
  object["mean_ns"] = 81'920.5;
  object["busy_ratio"] = 1.0 / 3;
  object["none"] = nullptr;
  object["empty"] = json::object();
  object["list"] = json::array{1, -2};
  CHECK(report::print_json(object) ==
        "{\n  \"count\": 18446744073709551615,\n  \"mean_ns\": 81920.500,\n"
        "  \"busy_ratio\": 0.333333,\n  \"none\": null,\n  \"empty\": {},\n"
        "  \"list\": [\n    1,\n    -2\n  ]\n}\n");
}

TEST_CASE("bytes that are not UTF-8 do not spoil the document") {
  report::RunReport run = empty_report();
  run.notes = {"bad \xC3\x28 \xFF \xED\xA0\x80 good \xC3\xA4 \xF0\x9F\x98\x80 \"\x01"};
  const std::string text = report::print_json(report::to_json(run));
  const json::value back = base::parse_json(text, "report");
  CHECK(back.at("notes").at(0).as_string() ==
        "bad \xEF\xBF\xBD( \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD good \xC3\xA4 "
        "\xF0\x9F\x98\x80 \"\x01");
}

TEST_CASE("latency figures are those of the requests") {
  report::RunReport run = empty_report();
  report::OperationReport& read = run.of(Operation::kRead);
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    report::StageTimes stages{};
    of(stages, base::Stage::kSubmit) = base::picoseconds(1);
    of(stages, base::Stage::kArray) = base::picoseconds(static_cast<std::int64_t>(i * 10'000 - 1));
    add_request(read, stages, 512);
  }
  run.measured = base::picoseconds(4'000'000'000'000);
  const json::value latency = report::to_json(run).at_pointer("/operations/read/latency");
  CHECK(count_at(latency, "/count") == 10'000);
  CHECK(latency.at("mean_ns").as_double() == 50'005.0);
  CHECK(latency.at("min_ns").as_double() == 10.0);
  CHECK(latency.at("max_ns").as_double() == 100'000.0);
  const std::pair<const char*, double> expected[] = {{"/p50_ns", 50'000},   {"/p90_ns", 90'000},
                                                     {"/p95_ns", 95'000},   {"/p99_ns", 99'000},
                                                     {"/p99_9_ns", 99'900}, {"/p99_99_ns", 99'990}};
  for (const auto& [pointer, exact] : expected) {
    INFO(pointer);
    const double found = latency.at_pointer(pointer).as_double();
    CHECK(found >= exact);
    CHECK(found <= exact * (1 + 1.0 / 256));
  }
}

TEST_CASE("no percentile is above the maximum, also where that is no whole nanosecond") {
  report::RunReport run = empty_report();
  report::StageTimes stages{};
  of(stages, base::Stage::kArray) = base::picoseconds(305'666'554);
  add_request(run.of(Operation::kRead), stages, 512);
  const std::string text = report::print_json(report::to_json(run));
  for (const char* line :
       {"\"p50_ns\": 305666.554", "\"p99_99_ns\": 305666.554", "\"max_ns\": 305666.554"}) {
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("the total is of what moved: discards add requests but no bytes") {
  report::RunReport run = empty_report();
  report::StageTimes stages{};
  of(stages, base::Stage::kArray) = base::picoseconds(1'000);
  add_request(run.of(Operation::kRead), stages, 512);
  add_request(run.of(Operation::kWrite), stages, 4096);
  add_request(run.of(Operation::kDiscard), stages, std::uint64_t{1} << 40);
  run.measured = base::picoseconds(1'000'000'000'000);
  const json::value total = report::to_json(run).at("total");
  CHECK(count_at(total, "/count") == 3);
  CHECK(count_at(total, "/bytes") == 4608);
  CHECK(count_at(total, "/bandwidth_bytes_per_s") == 4608);
}

TEST_CASE("stages of an operation add up to its latency, exactly") {
  const json::value document = report::to_json(sample_report());
  for (const auto& operation : document.at("operations").as_object()) {
    std::uint64_t sum = 0;
    for (const auto& stage : operation.value().at("stages").as_object()) {
      sum += count_at(stage.value(), "/total_ps");
    }
    CHECK(sum == count_at(operation.value(), "/latency/total_ps"));
  }
}

TEST_CASE("rates are amounts over the measured time, also for very large and very small ones") {
  report::RunReport run = empty_report();
  run.of(Operation::kRead).count = 10;
  run.of(Operation::kRead).bytes = std::uint64_t{1} << 62;
  run.of(Operation::kWrite).count = 1;
  run.measured = base::picoseconds(4'000'000'000'000);
  json::value document = report::to_json(run);
  CHECK(document.at_pointer("/operations/read/iops").as_double() == 2.5);
  CHECK(count_at(document, "/operations/read/bandwidth_bytes_per_s") == std::uint64_t{1} << 60);
  CHECK(document.at_pointer("/operations/write/iops").as_double() == 0.25);
  CHECK(document.at_pointer("/total/iops").as_double() == 2.75);
  run.measured = base::kTimeZero;
  document = report::to_json(run);
  CHECK(document.at_pointer("/operations/read/iops").as_double() == 0);
  CHECK(count_at(document, "/operations/read/bandwidth_bytes_per_s") == 0);
}

TEST_CASE("the order in which resources were built does not show") {
  report::RunReport run = sample_report();
  const std::string text = report::print_json(report::to_json(run));
  std::reverse(run.utilisation.begin(), run.utilisation.end());
  CHECK(report::print_json(report::to_json(run)) == text);
}

TEST_CASE("utilisation of a group is the mean and the maximum of its members") {
  report::RunReport run = empty_report();
  run.simulated = base::picoseconds(1'000'000);
  run.utilisation = {{"die0", "die", base::picoseconds(250'000)},
                     {"die1", "die", base::picoseconds(500'000)}};
  const json::value die = report::to_json(run).at_pointer("/utilisation/die");
  CHECK(die.at("mean_busy_ratio").as_double() == 0.375);
  CHECK(die.at("max_busy_ratio").as_double() == 0.5);
  CHECK(die.at_pointer("/members/die0/busy_ratio").as_double() == 0.25);
}

TEST_CASE("what a run has not is absent, and lost requests are told") {
  const json::value empty = report::to_json(empty_report());
  for (const char* key : {"trace", "backlog", "verification", "flash", "hang", "jobs",
                          "partial_reason", "block_layer_flushes"}) {
    INFO(key);
    CHECK_FALSE(empty.as_object().contains(key));
  }
  CHECK(empty.at("operations").as_object().empty());
  const json::value hung = report::to_json(hung_report());
  CHECK(count_at(hung, "/requests/lost") == 2);
  CHECK_FALSE(hung.at("flash").as_object().contains("write_amplification_ratio"));
  CHECK_FALSE(hung.at_pointer("/verification/passed").as_bool());
}

}  // namespace
}  // namespace nvmesim::tests
