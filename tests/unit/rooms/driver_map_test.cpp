// The driver's README maps every function of the kernel's driver to ours and to the tests that
// prove it. Each row must name tests, and each of them must exist.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/catch.hpp"

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = NVMESIM_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

// A name may be written as several literals side by side.
std::set<std::string> names_of_tests() {
  static const std::regex kCase(R"re(TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+))re");
  static const std::regex kLiteral(R"re("((?:[^"\\]|\\.)*)")re");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read(entry.path());
    for (std::sregex_iterator found(text.begin(), text.end(), kCase), end; found != end; ++found) {
      const std::string literals = (*found)[1];
      std::string name;
      for (std::sregex_iterator part(literals.begin(), literals.end(), kLiteral); part != end;
           ++part)
        name += (*part)[1];
      names.insert(name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("every row of the driver's map names tests that exist") {
  const std::set<std::string> tests = names_of_tests();
  REQUIRE(tests.size() > 100);
  std::istringstream readme(read(kRoot / "host/nvme/README.md"));
  static const std::regex kQuoted(R"re("([^"]+)")re");
  unsigned rows = 0;
  bool in_map = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("| function of the kernel")) in_map = true;
    if (!in_map || line.starts_with("| function") || line.starts_with("|---")) continue;
    if (!line.starts_with("|")) break;
    ++rows;
    const std::string last = line.substr(line.rfind(" | ") + 3);
    unsigned named = 0;
    for (std::sregex_iterator found(last.begin(), last.end(), kQuoted), end; found != end;
         ++found) {
      ++named;
      INFO("test \"" << (*found)[1] << "\"");
      CHECK(tests.count((*found)[1]) == 1);
    }
    INFO(line);
    CHECK(named != 0);
  }
  CHECK(rows > 50);
}
