// Who includes whom. The table of the project's README says which room may include which; this
// walks every source of every room and fails on any other edge.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = NVMESIM_SOURCE_DIR;
const std::set<std::string> kTopFolders = {"sim", "pcie", "models", "device", "host"};
const std::set<std::string> kLibraries = {"SystemC", "Boost"};  // not rooms

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t`");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t`") - first + 1));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

class Table {
 public:
  // Reads the Markdown table whose head is "| room | may include |". What is wrong with it is in
  // faults().
  explicit Table(std::istream& readme) {
    bool inside = false;
    for (std::string line; std::getline(readme, line);) {
      const auto cells = split(line, '|');
      if (cells.size() < 4) {
        if (inside) break;
        continue;
      }
      if (cells[1] == "room" && cells[2] == "may include") {
        inside = true;
      } else if (inside && cells[1].find_first_not_of('-') != std::string::npos) {
        add_row(cells[1], cells[2]);
      }
    }
    if (!inside) faults_.push_back("there is no table \"| room | may include |\"");
    for (const auto& [room, allowed] : allowed_) {
      for (const std::string& other : allowed) {
        if (!allowed_.contains(other)) {
          faults_.push_back(fmt::format("{} may include {}, which has no row", room, other));
        }
      }
    }
  }

  const std::vector<std::string>& faults() const { return faults_; }
  std::size_t rooms() const { return allowed_.size(); }

  // The room of a path from the root, the most specific that fits; "" if it belongs to none.
  std::string room_of(std::string_view path) const {
    std::string best;
    for (const auto& [room, allowed] : allowed_) {
      if (path.starts_with(room + "/") && room.size() > best.size()) best = room;
    }
    return best;
  }

  bool may_include(const std::string& room, const std::string& other) const {
    if (room == other || everything_.contains(room)) return true;
    const auto found = allowed_.find(room);
    return found != allowed_.end() && (other == "sim/base" || found->second.contains(other));
  }

 private:
  void add_row(const std::string& names, const std::string& allowed) {
    std::set<std::string> targets;
    for (const std::string& part : split(allowed, ',')) {
      if (part == "all of the above") {
        for (const auto& [room, others] : allowed_) targets.insert(room);
      } else if (part == "everything") {
        for (const std::string& room : split(names, ',')) everything_.insert(room);
      } else if (!kLibraries.contains(part)) {
        targets.insert(part);
      }
    }
    for (const std::string& room : split(names, ',')) {
      if (!allowed_.emplace(room, targets).second) {
        faults_.push_back(fmt::format("{} has two rows", room));
      }
    }
  }

  std::map<std::string, std::set<std::string>> allowed_;
  std::set<std::string> everything_;
  std::vector<std::string> faults_;
};

struct Include {
  std::string name;
  bool quoted = false;
  int line = 0;
};

std::vector<Include> includes_of(std::istream& source) {
  std::vector<Include> includes;
  int number = 0;
  for (std::string line; std::getline(source, line);) {
    ++number;
    auto rest = line.find_first_not_of(" \t");
    if (rest == std::string::npos || line[rest] != '#') continue;
    rest = line.find_first_not_of(" \t", rest + 1);
    if (rest == std::string::npos || line.compare(rest, 7, "include") != 0) continue;
    const auto open = line.find_first_of("\"<", rest);
    if (open == std::string::npos) continue;
    const auto close = line.find_first_of("\">", open + 1);
    includes.push_back({line.substr(open + 1, close - open - 1), line[open] == '"', number});
  }
  return includes;
}

// What is wrong with the includes of one file; `exists` says whether a path from the root is there.
template <class Exists>
std::vector<std::string> faults_of(const Table& table, const std::string& path,
                                   std::istream& source, Exists exists) {
  std::vector<std::string> faults;
  const std::string room = table.room_of(path);
  if (room.empty()) return {fmt::format("{}: belongs to no room", path)};
  for (const Include& include : includes_of(source)) {
    const auto fail = [&](std::string_view what) {
      faults.push_back(fmt::format("{}:{}: {} {}", path, include.line, include.name, what));
    };
    if (!include.quoted) {
      const bool prelude = include.name == "systemc" || include.name == "tlm" ||
                           include.name == "systemc.h" || include.name == "tlm.h";
      if (prelude && path != "sim/base/systemc.hpp") fail("is for sim/base/systemc.hpp alone");
      continue;
    }
    const std::string other = table.room_of(include.name);
    if (other.empty() || !exists(include.name)) {
      fail("is no header of a room, written from the root");
    } else if (!table.may_include(room, other)) {
      fail(fmt::format("is not for the room {}", room));
    }
  }
  return faults;
}

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

Table project_table() {
  std::ifstream readme(kRoot / "README.md");
  return Table(readme);
}

Table table_of(const std::string& text) {
  std::istringstream stream(text);
  return Table(stream);
}

const char* const kExample =
    "text\n\n| room | may include |\n|---|---|\n| `sim/base` | SystemC, Boost |\n"
    "| pcie, device/spec | sim/base |\n| device | device/spec, pcie |\n"
    "| sim/system | all of the above |\n| sim/app | everything |\n\n| other | table |\n";

std::string check_one(const std::string& path, const std::string& source) {
  std::istringstream stream(source);
  return joined(faults_of(table_of(kExample), path, stream,
                          [](const std::string& name) { return name != "pcie/gone.hpp"; }));
}

}  // namespace

TEST_CASE("the README has a table of rooms without contradictions") {
  const Table table = project_table();
  INFO("README.md: " << joined(table.faults()));
  CHECK(table.faults().empty());
  CHECK(table.rooms() >= 15);
}

TEST_CASE("every source includes only what the table of rooms allows") {
  const Table table = project_table();
  REQUIRE(table.rooms() > 0);
  std::vector<std::string> faults;
  std::map<std::string, int> files;
  std::vector<std::string> paths;
  for (const std::string& top : kTopFolders) {
    if (!fs::exists(kRoot / top)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / top)) {
      const auto extension = entry.path().extension();
      if (extension != ".hpp" && extension != ".cpp") continue;
      paths.push_back(fs::relative(entry.path(), kRoot).generic_string());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    ++files[table.room_of(path)];
    std::ifstream source(kRoot / path);
    const auto found = faults_of(table, path, source,
                                 [](const std::string& name) { return fs::exists(kRoot / name); });
    faults.insert(faults.end(), found.begin(), found.end());
  }
  INFO(joined(faults));
  CHECK(faults.empty());
  CHECK(files["sim/base"] > 10);  // the walk has found something
}

TEST_CASE("the most specific room of a path counts") {
  const Table table = table_of(kExample);
  CHECK(table.faults().empty());
  CHECK(table.rooms() == 6);
  CHECK(table.room_of("device/spec/a.hpp") == "device/spec");
  CHECK(table.room_of("device/queues/a.hpp") == "device");
  CHECK(table.room_of("devices/a.hpp").empty());
  CHECK(table.room_of("sim/run.cpp").empty());
}

TEST_CASE("an edge that is not in the table is found") {
  CHECK(check_one("device/a.cpp", "#include \"pcie/link.hpp\"\n#include <vector>\n").empty());
  CHECK(check_one("device/a.cpp", "#include \"device/b.hpp\"\n#include \"device/spec/c.hpp\"\n")
            .empty());
  CHECK(check_one("pcie/a.cpp", "#include \"sim/base/units.hpp\"\n").empty());
  CHECK(check_one("pcie/a.cpp", "// x\n#include \"device/b.hpp\"\n") ==
        "pcie/a.cpp:2: device/b.hpp is not for the room pcie");
  CHECK(check_one("pcie/a.cpp", "  #  include \"device/spec/b.hpp\"\n") ==
        "pcie/a.cpp:1: device/spec/b.hpp is not for the room pcie");
  CHECK(check_one("device/spec/a.hpp", "#include \"device/b.hpp\"\n") ==
        "device/spec/a.hpp:1: device/b.hpp is not for the room device/spec");
  CHECK(check_one("sim/base/a.hpp", "#include \"pcie/b.hpp\"\n") ==
        "sim/base/a.hpp:1: pcie/b.hpp is not for the room sim/base");
  CHECK(check_one("sim/system/a.cpp", "#include \"device/b.hpp\"\n").empty());
  CHECK(check_one("sim/system/a.cpp", "#include \"sim/app/b.hpp\"\n") ==
        "sim/system/a.cpp:1: sim/app/b.hpp is not for the room sim/system");
  CHECK(check_one("sim/app/a.cpp", "#include \"sim/system/b.hpp\"\n").empty());
}

TEST_CASE("an include that names no file of a room is found") {
  CHECK(check_one("pcie/a.cpp", "#include \"gone.hpp\"\n") ==
        "pcie/a.cpp:1: gone.hpp is no header of a room, written from the root");
  CHECK(check_one("pcie/a.cpp", "#include \"pcie/gone.hpp\"\n") ==
        "pcie/a.cpp:1: pcie/gone.hpp is no header of a room, written from the root");
  CHECK(check_one("pcie/a.cpp", "#include \"tests/support/catch.hpp\"\n").find("is no header") !=
        std::string::npos);
  CHECK(check_one("host/a.cpp", "") == "host/a.cpp: belongs to no room");
  CHECK(check_one("pcie/a.cpp", "#include <systemc>\n") ==
        "pcie/a.cpp:1: systemc is for sim/base/systemc.hpp alone");
}

TEST_CASE("a table that is missing or contradicts itself is found") {
  CHECK(joined(table_of("no table").faults()) == "there is no table \"| room | may include |\"");
  CHECK(joined(table_of("| room | may include |\n|---|---|\n| a | b |\n").faults()) ==
        "a may include b, which has no row");
  CHECK(joined(table_of("| room | may include |\n| a | |\n| a | a |\n").faults())
            .find("a has two rows") != std::string::npos);
}

}  // namespace nvmesim
