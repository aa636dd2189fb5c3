// What counts of a wire trace when two of them are compared: register accesses and admin commands,
// in order. Addresses, times, command ids, doorbells and the MSI-X table (the host's interrupt
// layer) are left out, and a poll of CSTS that found nothing new.
#pragma once

#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace nvmesim::test {

using Lines = std::vector<std::string>;

// What counts of a line; empty if nothing does.
inline std::string essence(const std::string& line) {
  static const std::regex kMmio(R"(^\d+ MMIO ([RW]) 4 @([0-9a-f]{4}) .*= ([0-9a-f]+)$)");
  static const std::regex kAdmin(
      R"(^\d+ ADMIN op (\w+) cid \d+ nsid (\w+) prp1 (\w+) c10 (\w+) c11 (\w+)$)");
  std::smatch match;
  if (std::regex_match(line, match, kMmio)) {
    const unsigned long offset = std::stoul(match[2], nullptr, 16);
    if (offset >= 0x1000) return {};
    std::string value = match[3];
    const bool write = match[1] == "W";
    if ((offset >= 0x28 && offset < 0x38) || (write && offset == 0x54)) {
      value = "address";  // ASQ and ACQ, upper half of CMBMSC
    } else if (write && offset == 0x50 && value != "0" && value != "1") {
      value = "address+" + value.substr(value.size() - 1);  // CMBMSC with its address, and flags
    }
    return match[1].str() + " " + match[2].str() + " " + value;
  }
  if (std::regex_match(line, match, kAdmin)) {
    return "op " + match[1].str() + " nsid " + match[2].str() +
           (match[3] == "0" ? " no prp1" : " prp1") + " c10 " + match[4].str() + " c11 " +
           match[5].str();
  }
  return {};
}

// Polls of CSTS that found nothing new say only how time passes: one is as good as many. The states
// on the way to a shutdown (SHST 01b) are such a poll too.
inline Lines essences(const Lines& lines) {
  Lines result;
  for (const std::string& line : lines) {
    std::string text = essence(line);
    if (text.empty() || text == "R 001c 5") continue;
    if (!result.empty() && text == result.back() && text.starts_with("R 001c")) continue;
    result.push_back(std::move(text));
  }
  return result;
}

inline Lines read_lines(const std::string& path) {
  std::ifstream stream(path);
  Lines lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Where two lists part, in words; empty if they are equal.
inline std::string first_difference(const Lines& seen, const Lines& expected) {
  std::size_t same = 0;
  while (same < seen.size() && same < expected.size() && seen[same] == expected[same]) ++same;
  if (same == seen.size() && same == expected.size()) return {};
  const auto at = [same](const Lines& lines) {
    return same < lines.size() ? lines[same] : std::string("(none)");
  };
  return "line " + std::to_string(same) + ": " + at(seen) + ", expected " + at(expected);
}

}  // namespace nvmesim::test
