// Two JSON reports side by side: what differs in their configuration, then what changed in the
// results, then conditions of the user. The files may come from anywhere: what is not a report of
// ours is a UserError.
//
// A condition is `path op limit`, op one of > >= < <= == !=. A limit with a sign or a % is the
// change of B against A (+5%, -3, 5%); a plain number is compared with B's value. A path names a
// number of the report ("total.iops"); for operations the short form will do: read.p99_ns is
// operations.read.latency.p99_ns, read.iops is operations.read.iops.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::report {

struct Comparison {
  std::string text;
  std::vector<std::string> held;  // the conditions that hold, as the user wrote them
  int exit_status() const { return held.empty() ? 0 : 1; }
};

// A report's text and the name by which errors and headings call it.
struct ReportSource {
  std::string name;
  std::string text;
};

// Reads a file whole. Throws UserError.
ReportSource read_report(const std::string& path);

// Throws UserError: not a report, a condition that cannot be read, an unknown path.
Comparison compare(const ReportSource& a, const ReportSource& b,
                   std::span<const std::string> conditions = {});

}  // namespace nvmesim::report
