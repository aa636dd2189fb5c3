#include "device/error_log.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint16_t kNoCommand = 0xFFFF;
constexpr std::uint16_t kNoLocation = 0xFFFF;
}  // namespace

spec::ErrorLogEntry& ErrorLog::next() {
  spec::ErrorLogEntry& entry = ring_[count_ % ring_.size()];
  entry = {};
  entry.error_count = ++count_;
  entry.parameter_error_location = kNoLocation;
  entry.trtype = 0;  // PCIe: no transport type specific information
  return entry;
}

void ErrorLog::add_command(const Command& command) {
  spec::ErrorLogEntry& entry = next();
  entry.sqid = command.sqid;
  entry.cid = command.sqe.cid;
  // The status field as in the completion entry; its phase bit is not defined here.
  entry.status_field = spec::status_word(command.status, false);
  entry.nsid = command.sqe.nsid;
  if (!command.admin()) {
    entry.lba = command.sqe.cdw10 | (std::uint64_t{command.sqe.cdw11} << 32);
  }
}

void ErrorLog::add_event(std::uint16_t sqid, spec::Status status) {
  spec::ErrorLogEntry& entry = next();
  entry.sqid = sqid;
  entry.cid = kNoCommand;
  entry.status_field = spec::status_word(status, false);
  entry.nsid = 0;
}

spec::ErrorLogEntry ErrorLog::entry(std::uint32_t index) const {
  if (index >= ring_.size() || index >= count_ - first_) return {};
  return ring_[(count_ - 1 - index) % ring_.size()];
}

}  // namespace nvmesim::device
