// Rows of probes: a device or kernel that has something, and what goes over the wire instead of
// what a plain device's probe does. Each row runs in a process of its own, because a simulation
// elaborates once per process.
#pragma once

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>

#include "device/spec/registers.hpp"
#include "sim/fault/rules.hpp"
#include "sim/system/system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/wire_lines.hpp"
#include "tests/system/identify_edit.hpp"

namespace nvmesim::test {

namespace spec = device::spec;
using Slots = std::map<std::string, Lines>;

inline constexpr unsigned kGenerations = 2;  // 0: 5.15, 1: 6.1
inline constexpr const char* kNames[kGenerations] = {"v5_15", "v6_1"};

struct Row {
  const char* name = nullptr;
  std::vector<std::string> settings;
  // What stands in these places of the skeleton, per generation.
  Slots slots[kGenerations];
  std::uint32_t cap_high = 0x20;
  std::uint32_t version = 0x10400;
  std::vector<IdentifyEdit> identify;
  std::function<void(fault::Rules&)> faults;
};

// The probe and shutdown of the plain device; "@place" is what rows may fill.
inline Lines skeleton(unsigned generation) {
  const bool late = generation == 1;
  Lines lines = {"@alive",         "@cap",           "@cmb",           "@version",
                 "@nssr",          "@disable",       "W 0024 1f001f",  "W 0028 address",
                 "W 002c address", "W 0030 address", "W 0034 address", "@cap"};
  const Lines two_writes = {"@cc_first", "R 0014 460000", "@cap", "@crto"};
  if (late) lines.insert(lines.end(), two_writes.begin(), two_writes.end());
  const Lines init = {"@cc",        "@ready",   "@version",  "op 06 nsid 0 prp1 c10 1 c11 0",
                      "@effects",   "@ana",     "@limits",   "@apst",
                      "@timestamp", "@streams", "@behavior", "@hwmon",
                      "@opal",      "@hmb",     "@count",    "@queues",
                      "@dbbuf",     "@events"};
  lines.insert(lines.end(), init.begin(), init.end());
  if (late) {
    lines.erase(std::find(lines.begin(), lines.end(), "@limits"));
    lines.emplace_back("@limits");
  }
  const Lines rest = {"@scan", "@end", "@delete", "@cc_shutdown", "@shut"};
  lines.insert(lines.end(), rest.begin(), rest.end());
  return lines;
}

inline std::string hex(std::uint64_t value) {
  return fmt::format("{:x}", value);
}

inline Slots plain(unsigned generation, const Row& row) {
  Slots slots;
  slots["@alive"] = slots["@ready"] = {"R 001c 0"};
  slots["@ready"].emplace_back("R 001c 1");
  slots["@cap"] = {"R 0000 140103ff", "R 0004 " + hex(row.cap_high)};
  slots["@cmb"] = {"R 003c 0"};
  slots["@version"] = {"R 0008 " + hex(row.version)};
  slots["@disable"] = {"W 0014 0", "R 001c 0"};
  slots["@cc_first"] = {"W 0014 460000"};
  slots["@cc"] = {"W 0014 460001"};
  if (row.version >= 0x10100) slots["@limits"] = {"op 06 nsid 0 prp1 c10 6 c11 0"};
  slots["@count"] = {"op 09 nsid 0 no prp1 c10 7 c11 0"};
  slots["@queues"] = {"op 05 nsid 0 prp1 c10 3ff0001 c11 10003",
                      "op 01 nsid 0 prp1 c10 3ff0001 c11 10001"};
  slots["@scan"] = {row.version >= 0x10100 ? "op 06 nsid 0 prp1 c10 2 c11 0"
                                           : "op 06 nsid 0 prp1 c10 1 c11 0"};
  if (row.version >= 0x10300) slots["@scan"].emplace_back("op 06 nsid 1 prp1 c10 3 c11 0");
  slots["@scan"].emplace_back("op 06 nsid 1 prp1 c10 0 c11 0");
  if (generation == 1) slots["@scan"].emplace_back("op 06 nsid 1 prp1 c10 0 c11 0");
  slots["@end"] = {"R 001c 1"};
  slots["@delete"] = {"op 00 nsid 0 no prp1 c10 1 c11 0", "op 04 nsid 0 no prp1 c10 1 c11 0"};
  slots["@cc_shutdown"] = {"W 0014 464001"};
  slots["@shut"] = {"R 001c 9"};
  return slots;
}

inline Lines expected(unsigned generation, const Row& row) {
  Slots slots = plain(generation, row);
  for (const auto& [place, lines] : row.slots[generation]) slots[place] = lines;
  Lines result;
  for (const std::string& line : skeleton(generation)) {
    if (line[0] != '@') {
      result.push_back(line);
      continue;
    }
    const Lines& filled = slots[line];
    result.insert(result.end(), filled.begin(), filled.end());
  }
  return result;
}

inline Lines probe_and_shut_down(unsigned generation, const Row& row) {
  system_::ConfigRequest request;
  request.drive = NVMESIM_SOURCE_DIR "/tests/golden/linux-6.1-device.json";
  request.settings = {"host.cpus=1", "host.smp=false",
                      fmt::format("simulation.check_protocol={}", row.identify.empty()),
                      fmt::format("driver.generation={}", kNames[generation])};
  request.settings.insert(request.settings.end(), row.settings.begin(), row.settings.end());
  Lines lines;
  std::unique_ptr<fault::Rules> rules;
  system_::SystemHooks hooks;
  hooks.wire_trace = [&lines](std::string_view line) { lines.emplace_back(line); };
  for (const IdentifyEdit& edit : row.identify) hooks.link_faults.push_back(edit.link_rule());
  hooks.built = [&](system_::System& system) {
    rules = std::make_unique<fault::Rules>(system.scheduler());
    if (row.faults) row.faults(*rules);
    for (const IdentifyEdit& edit : row.identify) edit.arm(*rules);
    rules->arm(system.controller().points());
  };
  system_::System system(system_::load_config(request), std::move(hooks));
  bool live = false;
  const bool ended = system.run([&] {
    live = system.boot();
    system.shutdown();
  });
  lines = essences(lines);
  if (!ended || !live) lines.emplace_back("the drive did not come up");
  for (const std::string& violation : system.protocol_violations()) lines.push_back(violation);
  return lines;
}

// Runs a row in a child and gives its lines.
inline Lines in_a_process(unsigned generation, const Row& row) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    std::string text;
    try {
      for (const std::string& line : probe_and_shut_down(generation, row)) text += line + "\n";
    } catch (const std::exception& error) {
      text += std::string(error.what()) + "\n";
    }
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t written = write(ends[1], text.data() + at, text.size() - at);
      if (written <= 0) _exit(1);
      at += static_cast<std::size_t>(written);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (status != 0) lines.push_back(fmt::format("the process ended with {}", status));
  return lines;
}

// The same in both generations.
inline Row both(const char* name, std::vector<std::string> settings, const Slots& slots = {}) {
  Row row;
  row.name = name;
  row.settings = std::move(settings);
  for (Slots& each : row.slots) each = slots;
  return row;
}
inline Row each(const char* name, std::vector<std::string> settings, const Slots& in_5_15,
                const Slots& in_6_1) {
  Row row = both(name, std::move(settings), in_5_15);
  row.slots[1] = in_6_1;
  return row;
}
inline Row with_cap(Row row, std::uint32_t cap_high) {
  row.cap_high = cap_high;
  return row;
}
inline Row with_identify(Row row, std::vector<IdentifyEdit> edits) {
  row.identify = std::move(edits);
  return row;
}
// A read of a register gives more bits, or other ones.
inline auto reads_as(std::uint32_t offset, std::uint64_t or_bits, std::uint64_t instead = 0,
                     fault::Turn turn = fault::kEveryTime) {
  return [=](fault::Rules& rules) {
    rules.on_register({.offset = offset}, turn, [=](device::RegisterAccess& access) {
      access.value = instead != 0 ? instead : access.value | or_bits;
    });
  };
}
// A device of an older version of the specification: VS says so.
inline Row older(const char* name, std::uint32_t version, std::vector<std::string> settings = {},
                 const Slots& slots = {}) {
  Row row = both(name, std::move(settings), slots);
  row.version = version;
  row.faults = reads_as(spec::kRegVs, 0, version);
  return row;
}

inline const std::string kController = "device.controller.";

inline void check(const std::vector<Row>& rows, unsigned generation) {
  for (const Row& row : rows) {
    INFO(kNames[generation] << ": " << row.name);
    const Lines seen = in_a_process(generation, row);
    CHECK(first_difference(seen, expected(generation, row)) == "");
  }
}

}  // namespace nvmesim::test
