#include "sim/report/compare.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "sim/base/assert.hpp"
#include "sim/report/json_report.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/report/sample_report.hpp"

namespace nvmesim::tests {
namespace {

using report::ReportSource;

ReportSource source(const char* name, const report::RunReport& run) {
  return {name, report::print_json(report::to_json(run))};
}

// A report with chosen numbers, as small as one can be.
ReportSource tiny(const char* name, const std::string& members) {
  std::string text = R"({"format": "nvmesim-report", "format_version": 1)";
  for (const char* member : {"tool", "command", "configuration", "requests", "total", "operations",
                             "utilisation", "statistics"}) {
    const std::string quoted = fmt::format("\"{}\":", member);
    if (members.find(quoted) == members.npos) text += fmt::format(", {} {{}}", quoted);
  }
  return {name, text + (members.empty() ? "" : ", " + members) + "}"};
}

ReportSource with_p99(const char* name, const std::string& p99) {
  return tiny(name, fmt::format(R"("operations": {{"read": {{"iops": 7.5, "latency": {{"p99_ns": {},
                                   "p99_99_ns": 9}}}}}})",
                                p99));
}

bool holds(const std::string& a, const std::string& b, const std::string& condition) {
  const std::string conditions[] = {condition};
  const auto result = report::compare(with_p99("a.json", a), with_p99("b.json", b), conditions);
  CHECK(result.exit_status() == static_cast<int>(result.held.size()));
  return result.exit_status() == 1;
}

// The text if it does not say `part`, else nothing: a failed check shows it.
std::string without(const std::string& text, std::string_view part) {
  return text.find(part) == text.npos ? text : "";
}

std::string refusal(const ReportSource& a, const ReportSource& b, const std::string& condition) {
  try {
    const std::string conditions[] = {condition};
    report::compare(a, b, conditions);
  } catch (const base::UserError& error) {
    return error.what();
  }
  return "nothing refused";
}

TEST_CASE("a comparison is the approved text") {
  const std::string conditions[] = {"read.p99_ns > +5%", "write.p99_ns > +5%", "total.iops < 1000"};
  const auto result = report::compare(source("a.json", sample_report()),
                                      source("b.json", changed_report()), conditions);
  check_golden("compare.txt", result.text);
  CHECK(result.exit_status() == 1);
  CHECK(result.held == std::vector<std::string>{"read.p99_ns > +5%"});
}

TEST_CASE("another workload is a difference of the configuration") {
  report::RunReport other = sample_report();
  other.workload["speed"] = "50";
  other.workload["closed_loop"] = 4;
  const auto result = report::compare(source("a.json", sample_report()), source("b.json", other));
  CHECK(without(result.text, "  workload.speed: \"1\" -> \"50\"\n") == "");
  CHECK(without(result.text, "  workload.closed_loop: 0 -> 4\n") == "");
  CHECK(without(result.text, "results: no difference") == "");
}

TEST_CASE("what is not a whole report is refused: a comparison of nothing would pass") {
  const ReportSource bare{"bare.json", R"({"format": "nvmesim-report", "format_version": 1})"};
  CHECK(refusal(bare, source("b.json", sample_report()), "total.iops > 1") ==
        "bare.json: not a whole report: it has no \"tool\"");
}

TEST_CASE("equal reports have no difference and pass every limit on change") {
  const std::string conditions[] = {"read.p99_ns > +0%", "total.iops < -0", "read.count != +0"};
  const auto result = report::compare(source("a.json", sample_report()),
                                      source("b.json", sample_report()), conditions);
  CHECK(without(result.text, "configuration: no difference") == "");
  CHECK(without(result.text, "results: no difference") == "");
  CHECK(result.exit_status() == 0);
}

TEST_CASE("a signed limit or a percentage is the change of B against A") {
  CHECK(holds("100", "106", "read.p99_ns > +5%"));
  CHECK_FALSE(holds("100", "105", "read.p99_ns > +5%"));
  CHECK(holds("100", "105", "read.p99_ns >= 5%"));
  CHECK(holds("100", "94", "read.p99_ns < -5%"));
  CHECK_FALSE(holds("100", "95", "read.p99_ns < -5%"));
  CHECK(holds("100", "103", "read.p99_ns>+2.5"));
  CHECK_FALSE(holds("100", "102.5", "read.p99_ns > +2.5"));
  CHECK(holds("100", "97", "read.p99_ns == -3"));
  CHECK(holds("100", "100.5", "read.p99_ns <= .5 %"));
}

TEST_CASE("a plain limit is compared with B's value") {
  CHECK(holds("1", "106", "read.p99_ns > 5"));
  CHECK_FALSE(holds("1000", "4", "read.p99_ns > 5"));
  CHECK(holds("1", "5", "read.p99_ns == 5"));
  CHECK(holds("1", "5", "  read.p99_ns != 6  "));
  CHECK(holds("1", "5", "read.p99_ns <= 5.0"));
  CHECK_FALSE(holds("1", "5", "read.p99_ns < 5"));
}

TEST_CASE("growth from nothing exceeds every percentage, and nothing stays nothing") {
  CHECK(holds("0", "1", "read.p99_ns > +1000%"));
  CHECK_FALSE(holds("0", "0", "read.p99_ns > +0%"));
  CHECK_FALSE(holds("0", "0", "read.p99_ns < -0%"));
}

TEST_CASE(
    "paths may be written in full, without operations, without latency, as percentiles are said") {
  for (const char* path :
       {"operations.read.latency.p99_ns", "read.latency.p99_ns", "read.p99_ns"}) {
    CHECK(holds("1", "42", fmt::format("{} == 42", path)));
  }
  CHECK(holds("1", "42", "read.p99.99_ns == 9"));
  CHECK(holds("1", "42", "read.iops == 7.5"));
  const std::string conditions[] = {"statistics.link.upstream.tlps == 812345",
                                    "utilisation.channel.members.device.channel3.busy_ratio > 0",
                                    "read.stages.array.mean_ns > 1",
                                    "verification.passed == 1",
                                    "requests.lost == 0",
                                    "write.completion_latency.p50_ns > 0"};
  CHECK(report::compare(source("a", sample_report()), source("b", sample_report()), conditions)
            .held.size() == std::size(conditions));
}

TEST_CASE("a path that is not there is refused with the nearest one that is") {
  const ReportSource a = source("a.json", sample_report());
  const ReportSource b = source("b.json", changed_report());
  CHECK(without(refusal(a, b, "read.p99_n > 1"), "\"read.p99_ns\"") == "");
  CHECK(without(refusal(a, b, "raed.p99_ns > 1"), "\"read.p99_ns\"") == "");
  CHECK(without(refusal(a, b, "total.iobs > 1"), "\"total.iops\"") == "");
  CHECK(without(refusal(a, b, "zzzzzzzzzzzz > 1"), "no number called \"zzzzzzzzzzzz\"") == "");
  // A word is no number.
  CHECK(without(refusal(a, b, "trace.format == 1"), "no number called") == "");
}

TEST_CASE("a number that one report lacks is refused by the name of that report") {
  const ReportSource a = source("a.json", sample_report());
  const ReportSource b = source("b.json", changed_report());
  CHECK(without(refusal(a, b, "flash.host_bytes > 1"), "b.json has no flash.host_bytes") == "");
  CHECK(without(refusal(b, a, "flash.host_bytes > +1%"), "b.json has no") == "");
  const std::string plain[] = {"flash.host_bytes > 1"};  // A's value is not asked for
  CHECK(report::compare(b, a, plain).exit_status() == 1);
}

TEST_CASE("a condition that cannot be read is refused") {
  const ReportSource a = with_p99("a", "1");
  for (const char* text : {"",
                           "read.p99_ns",
                           "> 5",
                           "read.p99_ns >",
                           "read.p99_ns > x",
                           "read.p99_ns > 5 us",
                           "read.p99_ns = 5",
                           "read.p99_ns ! 5",
                           "read.p99_ns >> 5",
                           "read.p99_ns => 5",
                           "read.p99_ns > +-5",
                           "read.p99_ns > 1e3",
                           "read.p99_ns > .",
                           "read.p99_ns > 1.2.3",
                           "read.p99_ns > %",
                           "read.p99_ns > 5%%",
                           "read.p99_ns > inf",
                           "read.p99_ns > nan",
                           "read.p99_ns > 0x10",
                           "read.p99_ns > +"}) {
    INFO(text);
    CHECK(without(refusal(a, a, text), "condition '") == "");
  }
}

TEST_CASE("what is not a report is refused by its name") {
  const ReportSource good = tiny("good.json", "");
  for (const char* text :
       {"", " ", "{", "[]", "null", "5", "\"nvmesim-report\"", "{}", "\xFF\xFE", "PK\x03\x04",
        R"({"format": 5, "format_version": 1})", R"({"format": "other", "format_version": 1})",
        R"({"format": "nvmesim-report"})", R"({"format": "nvmesim-report", "format_version": 2})",
        R"({"format": "nvmesim-report", "format_version": "1"})",
        R"({"format": "nvmesim-report", "format_version": 1, "seed": 1, "seed": 2})",
        R"({"format": "nvmesim-report", "format_version": 1} trailing)",
        R"({"format": "nvmesim-report", "format_version": 1, "x": NaN})"}) {
    INFO(text);
    const ReportSource bad{"bad.json", text};
    CHECK(without(refusal(bad, good, "seed > 1"), "bad.json") == "");
    CHECK(without(refusal(good, bad, "seed > 1"), "bad.json") == "");
  }
  const ReportSource deep{"bad.json", std::string(100'000, '[')};
  CHECK(without(refusal(good, deep, "seed > 1"), "bad.json") == "");
}

TEST_CASE("strange members of a report are compared as what they are") {
  const ReportSource a =
      tiny("a", R"("operations": 5, "total": {"x": 1e300, "": {"": 1}}, "n": null,
      "jobs": [[1], {}], "big": 18446744073709551615, "same": 1)");
  const ReportSource b =
      tiny("b", R"("operations": "x", "total": {"x": -1e300, "": {"": 2}}, "n": [],
      "jobs": [], "big": 18446744073709551614, "same": 1.0)");
  const auto result = report::compare(a, b);
  CHECK(without(result.text, "18446744073709551614") == "");
  CHECK(result.text.find("same") == std::string::npos);
}

TEST_CASE("a hostile report cannot write to the terminal") {
  const ReportSource a =
      tiny("a\x1b[2J", R"("configuration": {"\u001b[31mkey": 1}, "v\u0007": "\u001b]0;x")");
  const ReportSource b = tiny("b", R"("configuration": {"\u001b[31mkey": 2}, "v\u0007": "\u009b")");
  const std::string text = report::compare(a, b).text;
  for (const char c : text) {
    CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
  }
}

TEST_CASE("a large number of sections is compared in a moment") {
  std::string members = R"("s0": 1)";
  for (int i = 1; i < 100'000; ++i) members += fmt::format(R"(, "s{}.x": 1)", i);
  CHECK(without(report::compare(tiny("a", members), tiny("b", "")).text, "gone") == "");
}

TEST_CASE("a report file that is missing or a directory is refused") {
  CHECK_THROWS_AS(report::read_report("/nowhere/report.json"), base::UserError);
  CHECK_THROWS_AS(report::read_report("/"), base::UserError);
  const auto path = std::filesystem::temp_directory_path() / "nvmesim-compare-test.json";
  const ReportSource written = source("x", sample_report());
  std::ofstream(path, std::ios::binary) << written.text;
  CHECK(report::read_report(path.string()).text == written.text);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace nvmesim::tests
