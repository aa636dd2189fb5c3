// What counts of a wire trace when two hosts are compared: register accesses and admin commands in
// order. Addresses, times, command ids, doorbells and the MSI-X table (the host's interrupt layer)
// do not.
#pragma once

#include <regex>
#include <string>
#include <vector>

namespace nvmesim::test {

using Lines = std::vector<std::string>;

// Of one line; empty if nothing counts.
inline std::string essence(const std::string& line) {
  static const std::regex kMmio(R"(^\d+ MMIO ([RW]) 4 @([0-9a-f]{4}) .*= ([0-9a-f]+)$)");
  static const std::regex kAdmin(
      R"(^\d+ ADMIN op (\w+) cid \d+ nsid (\w+) prp1 (\w+) c10 (\w+) c11 (\w+)$)");
  std::smatch match;
  if (std::regex_match(line, match, kMmio)) {
    const unsigned long offset = std::stoul(match[2], nullptr, 16);
    if (offset >= 0x1000) return {};
    const bool address = offset >= 0x28 && offset < 0x38;  // ASQ and ACQ
    return match[1].str() + " " + match[2].str() + " " + (address ? "address" : match[3].str());
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

}  // namespace nvmesim::test
