// device/README.md says for each command, status, feature, log page and register what is there and
// which test proves it: no row without a test, no test that does not exist, nothing left out.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "device/spec/commands.hpp"
#include "device/spec/features.hpp"
#include "device/spec/logs.hpp"
#include "device/spec/status.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string source(const char* path) {
  return std::string(NVMESIM_SOURCE_DIR "/") + path;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.front() == ' ') text.erase(text.begin());
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// Rows of the tables whose last column is headed "test".
std::vector<std::vector<std::string>> rows() {
  std::vector<std::vector<std::string>> found;
  bool inside = false;
  for (const std::string& line : split(read_file(source("device/README.md")), '\n')) {
    if (line.rfind('|', 0) != 0) {
      inside = false;
      continue;
    }
    std::vector<std::string> cells;
    for (const std::string& cell : split(line.substr(1), '|')) cells.push_back(trimmed(cell));
    if (cells.back() == "test") {
      inside = true;
    } else if (inside && cells.back().rfind("--", 0) != 0) {
      found.push_back(cells);
    }
  }
  return found;
}

std::vector<std::string> test_names() {
  static const std::regex kCase("TEST_CASE\\(\\s*\"([^\"]*)\"(\\s*\"([^\"]*)\")?");
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source("tests"))) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), kCase), end; match != end; ++match) {
      names.push_back((*match)[1].str() + (*match)[3].str());
    }
  }
  return names;
}

// What is quoted in the last column: a name of a test, or parts of one around "...".
std::vector<std::string> quoted(const std::string& cell) {
  static const std::regex kQuoted("\"([^\"]+)\"");
  std::vector<std::string> names;
  for (std::sregex_iterator match(cell.begin(), cell.end(), kQuoted), end; match != end; ++match) {
    names.push_back((*match)[1].str());
  }
  return names;
}

bool matches(const std::string& name, const std::string& pattern) {
  std::size_t at = 0;
  std::size_t begin = 0;
  while (begin <= pattern.size()) {
    const std::size_t dots = pattern.find("...", begin);
    const std::string part = trimmed(pattern.substr(begin, dots - begin));
    at = name.find(part, at);
    if (at == std::string::npos) return false;
    at += part.size();
    if (dots == std::string::npos) break;
    begin = dots + 3;
  }
  return true;
}

// Every name that `name_of` knows for 0 to 255 is in the first or second column of some row.
template <class NameOf>
void check_listed(NameOf name_of) {
  const auto table = rows();
  for (unsigned value = 0; value < 256; ++value) {
    const std::string name(name_of(static_cast<std::uint8_t>(value)));
    if (name == "Unknown") continue;
    INFO(name);
    CHECK(std::any_of(table.begin(), table.end(), [&](const auto& cells) {
      return cells[0].find(name) != std::string::npos || cells[1].find(name) != std::string::npos;
    }));
  }
}

}  // namespace

TEST_CASE("every row of the controller's README names tests, and they exist") {
  const auto names = test_names();
  REQUIRE(names.size() > 300);
  const auto table = rows();
  REQUIRE(table.size() > 100);
  for (const auto& cells : table) {
    INFO(cells[0] << " | " << (cells.size() > 1 ? cells[1] : ""));
    const auto wanted = quoted(cells.back());
    CHECK_FALSE(wanted.empty());
    for (const std::string& pattern : wanted) {
      INFO(pattern);
      CHECK(std::any_of(names.begin(), names.end(),
                        [&](const std::string& name) { return matches(name, pattern); }));
    }
  }
}
TEST_CASE("every admin command of the specification has a row in the controller's README") {
  check_listed([](std::uint8_t value) {
    return device::spec::opcode_name(static_cast<device::spec::AdminOpcode>(value));
  });
}
TEST_CASE("every NVM command of the specification has a row in the controller's README") {
  check_listed([](std::uint8_t value) {
    return device::spec::opcode_name(static_cast<device::spec::NvmOpcode>(value));
  });
}
TEST_CASE("every feature of the specification has a row in the controller's README") {
  check_listed([](std::uint8_t value) {
    return device::spec::feature_name(static_cast<device::spec::FeatureId>(value));
  });
}
TEST_CASE("every log page of the specification has a row in the controller's README") {
  check_listed([](std::uint8_t value) {
    return device::spec::log_page_name(static_cast<device::spec::LogPageId>(value));
  });
}
TEST_CASE("every status of the specification has a row in the controller's README") {
  const auto table = rows();
  for (unsigned value = 0; value < 0x800; ++value) {
    const std::string name(device::spec::status_name(static_cast<device::spec::Status>(value)));
    if (name == "Unknown Status") continue;
    INFO(name);
    CHECK(std::any_of(table.begin(), table.end(), [&](const auto& cells) {
      return cells[0].find(name) != std::string::npos || cells[1].find(name) != std::string::npos;
    }));
  }
}
TEST_CASE("what the README says that nothing gives, no code of the controller names") {
  std::string code;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source("device"))) {
    const bool wire = entry.path().parent_path().filename() == "spec";
    if (entry.path().extension() == ".cpp" && !wire) code += read_file(entry.path());
  }
  const std::string header = read_file(source("device/spec/status.hpp"));
  static const std::regex kEnumerator("(k\\w+) = (0x[0-9A-F]{3}),");
  const auto table = rows();
  for (std::sregex_iterator match(header.begin(), header.end(), kEnumerator), end; match != end;
       ++match) {
    const auto value = static_cast<unsigned>(std::stoul((*match)[2].str(), nullptr, 16));
    const std::string name(device::spec::status_name(static_cast<device::spec::Status>(value)));
    const bool given = std::regex_search(code, std::regex("Status::" + (*match)[1].str() + "\\b"));
    INFO(name);
    for (const auto& cells : table) {
      const bool none = cells.size() > 2 && cells[1] == "nothing here gives it";
      if (none && cells[0].find(name) != std::string::npos) CHECK_FALSE(given);
    }
  }
}
TEST_CASE("every register of the specification has a row in the controller's README") {
  const std::string header = read_file(source("device/spec/registers.hpp"));
  static const std::regex kRegister("kReg(\\w+) = 0x");
  const auto table = rows();
  for (std::sregex_iterator match(header.begin(), header.end(), kRegister), end; match != end;
       ++match) {
    std::string name = (*match)[1].str();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    INFO(name);
    CHECK(std::any_of(table.begin(), table.end(),
                      [&](const auto& cells) { return cells[0].find(name) != std::string::npos; }));
  }
}
