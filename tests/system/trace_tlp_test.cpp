// --trace-tlp: what passes the link, line by line.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "sim/app/verb.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream stream(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::size_t count(const std::vector<std::string>& lines, const std::string& text) {
  std::size_t found = 0;
  for (const std::string& line : lines) found += line.find(text) != line.npos ? 1 : 0;
  return found;
}

}  // namespace

TEST_CASE("the trace has every request and completion of a measurement, and nothing else") {
  const std::string path = "trace_tlp_test.txt";
  REQUIRE(app::nvmesim({"link", "--op", "dma-read", "--size", "1024", "--count", "40", "--mrrs",
                        "512", "--no-summary", "--trace-tlp", path, "--set",
                        "simulation.check_protocol=true"}) == 0);
  const auto lines = lines_of(path);
  std::remove(path.c_str());
  CHECK(count(lines, "MRd64") == 40 * 2);
  // Completions of 256 bytes; those of configuration reads carry data of a register.
  const std::size_t configuration = count(lines, "CfgRd") + count(lines, "CfgWr");
  CHECK(configuration > 0);
  CHECK(count(lines, " 256 B") == 40 * 4);
  CHECK(lines.size() == 40 * 2 + 40 * 4 + 2 * configuration);
}

}  // namespace nvmesim
