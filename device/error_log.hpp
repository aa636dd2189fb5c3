// The error information log (section 5.14.1.1): the last ELPE + 1 errors, newest first. It survives
// a controller reset; its count never goes back.
#pragma once

#include <cstdint>
#include <vector>

#include "device/command.hpp"
#include "device/spec/logs.hpp"

namespace nvmesim::device {

class ErrorLog {
 public:
  explicit ErrorLog(std::uint32_t entries) : ring_(entries) {}

  // A command that completes with `command.status`.
  void add_command(const Command& command);
  // An error of no command (a bad doorbell of queue `sqid`).
  void add_event(std::uint16_t sqid, spec::Status status = spec::Status::kSuccess);
  // The count goes on from that of an earlier life; entries are not kept.
  void restore(std::uint64_t count) { first_ = count_ = count; }

  std::uint32_t entries() const { return static_cast<std::uint32_t>(ring_.size()); }
  const std::uint64_t& count() const { return count_; }
  // 0 is the newest; all zero where there is none.
  spec::ErrorLogEntry entry(std::uint32_t index) const;

 private:
  spec::ErrorLogEntry& next();

  std::vector<spec::ErrorLogEntry> ring_;
  std::uint64_t first_ = 0;  // entries up to here belong to an earlier life
  std::uint64_t count_ = 0;
};

}  // namespace nvmesim::device
