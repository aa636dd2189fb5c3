// Get Log Page (section 5.14): a table with a row per log page. A page is written whole into one
// buffer of 4 KiB when its command sends; what the host asks for behind its end reads as zeroes.
#include <algorithm>
#include <cstring>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::LogPageId;
using spec::Status;

namespace {

constexpr std::size_t kBufferBytes = models::kUnitBytes;

template <class Structure>
void put(std::byte* into, const Structure& page) {
  std::memcpy(into, &page, sizeof page);
}

std::uint64_t error_bytes(const Core& core) {
  return core.errors.entries() * sizeof(spec::ErrorLogEntry);
}
void error_page(Core& core, std::byte* into) {
  for (std::uint32_t i = 0; i < core.errors.entries(); ++i) {
    put(into + i * sizeof(spec::ErrorLogEntry), core.errors.entry(i));
  }
}

std::uint64_t smart_bytes(const Core&) {
  return sizeof(spec::SmartLog);
}
void smart_page(Core& core, std::byte* into) {
  put(into, core.health.log(core.scheduler.now(), core.errors.count()));
}

std::uint64_t firmware_bytes(const Core&) {
  return sizeof(spec::FirmwareSlotLog);
}
void firmware_page(Core& core, std::byte* into) {
  spec::FirmwareSlotLog log{};
  log.afi = 1;
  const std::string& revision = core.config.identity.firmware_revision;
  log.frs[0].fill(' ');
  std::copy(revision.begin(), revision.end(), log.frs[0].begin());
  put(into, log);
}

struct Row {
  LogPageId page;
  std::uint64_t (*bytes)(const Core&);
  void (*fill)(Core&, std::byte* into);  // the buffer is all zeroes
};

constexpr Row kRows[] = {
    {LogPageId::kErrorInformation, error_bytes, error_page},
    {LogPageId::kSmart, smart_bytes, smart_page},
    {LogPageId::kFirmwareSlot, firmware_bytes, firmware_page},
};

spec::GetLogFields fields_of(const Command& command) {
  return {command.sqe.cdw10, command.sqe.cdw11, command.sqe.cdw12, command.sqe.cdw13};
}

const Row* find_row(const Command& command) {
  for (const Row& row : kRows) {
    if (static_cast<std::uint8_t>(row.page) == fields_of(command).lid()) return &row;
  }
  return nullptr;
}

std::uint64_t bytes_wanted(const Command& command) {
  return (std::uint64_t{fields_of(command).numd()} + 1) * 4;
}

void send_page(Core& core, Command& command) {
  const Row& row = *find_row(command);
  const spec::GetLogFields fields = fields_of(command);
  const base::BufferRef page = core.buffers.take();
  std::memset(page->data(), 0, kBufferBytes);
  row.fill(core, page->data());
  if (!fields.rae()) core.events.log_read(row.page);
  command.staged = page;
  if (fields.lpo() != 0) {
    const std::size_t left = row.bytes(core) - fields.lpo();
    command.staged = core.buffers.take();
    std::memset(command.staged->data(), 0, kBufferBytes);
    std::memcpy(command.staged->data(), page->data() + fields.lpo(), left);
  }
  core.mover.send_staged(command, bytes_wanted(command));
}

// Why the request cannot be served; nullptr if it can.
const char* fault_of(const Core& core, const Command& command, const Row* row) {
  const spec::GetLogFields fields = fields_of(command);
  if (row == nullptr) return "this log page is not supported";
  const bool extended = (core.config.lpa & 4) != 0;
  if (!extended && (fields.lpo() != 0 || (command.sqe.cdw11 & 0xFFFF) != 0)) {
    return "offset or long length, and LPA bit 2 is 0";
  }
  if ((fields.lpo() & 3) != 0) return "LPO is not a multiple of 4";
  if (fields.lpo() >= row->bytes(core)) return "LPO is beyond the log page";
  if (bytes_wanted(command) > core.config.max_transfer_bytes()) return "more than MDTS allows";
  if (command.sqe.nsid != 0 && command.sqe.nsid != spec::kNsidAll) {
    return "log pages are of the controller, not of a namespace";
  }
  return nullptr;
}

}  // namespace

void get_log_page(Core& core, Command& command) {
  const char* fault = fault_of(core, command, find_row(command));
  if (fault != nullptr) {
    core.reject(command, Status::kInvalidField, fault, "5.14");
  } else {
    core.prps.map(command, bytes_wanted(command), send_page);
  }
}

}  // namespace nvmesim::device
