// The order of register accesses and admin commands while a controller comes up, as a list of
// lines, for each generation and for what the device has.
#pragma once

#include <string>
#include <vector>

#include "host/nvme/driver_config.hpp"

namespace nvmesim::test {

struct Features {
  unsigned queues = 8;  // asked for
  unsigned created = 8;
  unsigned polled = 0;  // the last ones of them
  std::uint32_t version = 0x10400;
  bool cmbs = false;
  bool nssrs = false;
  bool nssro = false;
  bool effects = false;
  bool apst = false;
  bool timestamp = false;
  bool crdt = false;
  bool hwmon = false;
  bool events = false;
  bool ana = false;
  bool streams = false;  // and enough of them
  bool opal = false;
  std::uint32_t hmb = 0;  // pages of the host memory buffer
  bool dbbuf = false;
  bool cmb = false;  // 2 MiB at 2 MiB of BAR 0
  std::uint64_t bar = 0xC000'0000;
  std::uint32_t depth = 1024;
};

// Values of addresses are left out.
inline std::vector<std::string> without_addresses(std::vector<std::string> lines) {
  for (std::string& line : lines)
    if (line.rfind("W ASQ", 0) == 0 || line.rfind("W ACQ", 0) == 0) line.resize(line.find(' ', 2));
  return lines;
}

inline std::vector<std::string> expected_bring_up(host::Generation generation, const Features& f) {
  const bool late = generation == host::Generation::v6_1;
  std::vector<std::string> lines;
  const auto add = [&lines](bool condition, std::initializer_list<const char*> more) {
    if (condition) lines.insert(lines.end(), more.begin(), more.end());
  };
  add(true, {"R CSTS", "R CAP", "R CAP+4"});
  add(f.cmbs, {"W CMBMSC 1"});
  add(true, {"R CMBSZ"});
  add(f.cmb, {"R CMBLOC"});
  if (f.cmb && f.cmbs) {
    lines.push_back("W CMBMSC+4 0");
    lines.push_back(fmt::format("W CMBMSC {:x}", f.bar + 0x20'0000 + 3));
  }
  add(true, {"R VS"});
  add(f.nssrs, {"R CSTS"});
  add(f.nssro, {"W CSTS 10"});
  add(true, {"W CC 0", "R CSTS", "W AQA 1f001f", "W ASQ", "W ASQ+4", "W ACQ", "W ACQ+4", "R CAP",
             "R CAP+4"});
  add(late, {"W CC 460000", "R CC", "R CAP", "R CAP+4"});
  add(true, {"W CC 460001", "R CSTS", "R VS", "06 nsid 0 1 0"});
  add(f.effects, {"02 nsid 0 3ff0005 0"});
  add(f.ana, {"02 nsid ffffffff d000c 0"});  // 16 + 32 + 2 * 4 bytes
  add(!late && f.version >= 0x10100, {"06 nsid 0 6 0"});
  add(f.apst, {"09 nsid 0 c 1"});
  add(f.timestamp, {"09 nsid 0 e 0"});
  add(f.streams && !late, {"19 nsid ffffffff 0 1", "1a nsid ffffffff 7 101"});
  add(f.crdt, {"09 nsid 0 16 0"});
  add(f.hwmon, {"02 nsid ffffffff 7f0002 0"});
  add(f.opal, {"82 nsid 0 1000100 800"});
  add(f.hmb != 0, {"09 nsid 0 d 1"});
  const unsigned asked = f.queues - 1;
  lines.push_back(fmt::format("09 nsid 0 7 {:x}", asked << 16 | asked));
  for (unsigned q = 1; q <= f.created; ++q) {
    const bool polled = q > f.created - f.polled;
    lines.push_back(
        fmt::format("05 nsid 0 {:x} {:x}", (f.depth - 1) << 16 | q, polled ? 1u : q << 16 | 3u));
    lines.push_back(fmt::format("01 nsid 0 {:x} {:x}", (f.depth - 1) << 16 | q, q << 16 | 1u));
  }
  add(f.dbbuf, {"7c nsid 0 0 0"});
  return lines;
}

// The scan of namespace 1 with nothing else there, without events.
inline std::vector<std::string> expected_scan(host::Generation generation, const Features& f) {
  const bool late = generation == host::Generation::v6_1;
  std::vector<std::string> lines;
  if (late && f.version >= 0x10100) lines.push_back("06 nsid 0 6 0");
  lines.push_back(f.version >= 0x10100 ? "06 nsid 0 2 0" : "06 nsid 0 1 0");
  if (f.version >= 0x10300) lines.push_back("06 nsid 1 3 0");
  lines.push_back("06 nsid 1 0 0");
  if (late) lines.push_back("06 nsid 1 0 0");
  if (f.streams && !late) lines.push_back("1a nsid 1 7 101");
  return lines;
}

inline std::vector<std::string> expected_probe(host::Generation generation, const Features& f) {
  std::vector<std::string> lines = expected_bring_up(generation, f);
  for (std::string& line : expected_scan(generation, f)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace nvmesim::test
