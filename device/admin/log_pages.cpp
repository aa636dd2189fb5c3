// Get Log Page (section 5.14): a table with a row per log page. A page is made whole when its
// command sends; what the host asks for behind its end reads as zeroes.
#include <algorithm>
#include <cstring>

#include "device/admin/admin_commands.hpp"
#include "device/admin/log_contents.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::LogPageId;
using spec::Status;

namespace {

constexpr unsigned kLpaPerNamespace = 1u << 0;
constexpr unsigned kLpaEffects = 1u << 1;
constexpr unsigned kLpaExtended = 1u << 2;
constexpr unsigned kLpaTelemetry = 1u << 3;
constexpr unsigned kLpaPersistentEvents = 1u << 4;
constexpr unsigned kLpaSupportedPages = 1u << 5;
constexpr unsigned kCreateTelemetry = 1;  // LSP bit 0
constexpr unsigned kReadContext = 0;      // LSP of the persistent event log
constexpr unsigned kEstablishContext = 1;
constexpr unsigned kReleaseContext = 2;

bool with_lpa(const Core& core, unsigned bit) {
  return (core.config.lpa & bit) != 0;
}
bool always(const Core&) {
  return true;
}
bool has_namespace_changes(const Core& core) {
  return (core.config.management.oaes & (1u << 8)) != 0;
}
bool has_effects(const Core& core) {
  return with_lpa(core, kLpaEffects);
}
bool has_self_test(const Core& core) {
  return core.config.self_test.offered;
}
bool has_telemetry(const Core& core) {
  return with_lpa(core, kLpaTelemetry);
}
bool has_endurance(const Core& core) {
  return core.config.management.endurance_group;
}
bool has_ana(const Core& core) {
  return core.config.management.ana;
}
bool has_events(const Core& core) {
  return with_lpa(core, kLpaPersistentEvents);
}
bool has_supported_pages(const Core& core) {
  return with_lpa(core, kLpaSupportedPages);
}
bool has_sanitize(const Core& core) {
  return core.config.sanitize.sanicap != 0;
}
bool has_ocp(const Core& core) {
  return core.config.ocp_log;
}

bool has_reservations(const Core& core) {
  return (core.config.oncs & spec::kOncsReservations) != 0;
}

LogBytes supported_pages(Core& core, const Command& command);
LogBytes reservation_page(Core& core, const Command&) {
  const spec::ReservationNotification page = core.reservation_log.page();
  LogBytes bytes(sizeof page);
  std::memcpy(bytes.data(), &page, sizeof page);
  return bytes;
}

struct Row {
  LogPageId page;
  bool (*exists)(const Core&);
  LogBytes (*content)(Core&, const Command&);
};

constexpr Row kRows[] = {
    {LogPageId::kSupportedLogPages, has_supported_pages, supported_pages},
    {LogPageId::kErrorInformation, always, error_page},
    {LogPageId::kSmart, always, smart_page},
    {LogPageId::kFirmwareSlot, always, firmware_page},
    {LogPageId::kChangedNamespaceList, has_namespace_changes, changed_namespaces_page},
    {LogPageId::kCommandsSupportedAndEffects, has_effects, effects_page},
    {LogPageId::kDeviceSelfTest, has_self_test, self_test_page},
    {LogPageId::kTelemetryHostInitiated, has_telemetry, host_telemetry_page},
    {LogPageId::kTelemetryControllerInitiated, has_telemetry, controller_telemetry_page},
    {LogPageId::kEnduranceGroup, has_endurance, endurance_page},
    {LogPageId::kAsymmetricNamespaceAccess, has_ana, ana_page},
    {LogPageId::kPersistentEventLog, has_events, persistent_event_page},
    {LogPageId::kEnduranceGroupAggregate, has_endurance, endurance_aggregate_page},
    {LogPageId::kFeatureEffects, has_supported_pages, feature_effects_page},
    {LogPageId::kNvmeMiEffects, has_supported_pages, mi_effects_page},
    {LogPageId::kSanitizeStatus, has_sanitize, sanitize_page},
    {LogPageId::kReservationNotification, has_reservations, reservation_page},
    {LogPageId::kOcpSmart, has_ocp, ocp_smart_page},
};

LogBytes supported_pages(Core& core, const Command&) {
  constexpr std::byte kSupported{1};
  LogBytes bytes(256 * 4);
  for (const Row& row : kRows) {
    if (row.exists(core)) bytes[static_cast<std::size_t>(row.page) * 4] = kSupported;
  }
  return bytes;
}

spec::GetLogFields fields_of(const Command& command) {
  return {command.sqe.cdw10, command.sqe.cdw11, command.sqe.cdw12, command.sqe.cdw13};
}

const Row* find_row(const Core& core, const Command& command) {
  for (const Row& row : kRows) {
    if (static_cast<std::uint8_t>(row.page) == fields_of(command).lid()) {
      return row.exists(core) ? &row : nullptr;
    }
  }
  return nullptr;
}

std::uint64_t bytes_wanted(const Command& command) {
  return (std::uint64_t{fields_of(command).numd()} + 1) * 4;
}

// A log page may have changed, or shrunk, since the command was checked.
void send_page(Core& core, Command& command) {
  const Row& row = *find_row(core, command);
  const spec::GetLogFields fields = fields_of(command);
  const LogBytes page = row.content(core, command);
  const std::size_t offset = std::min<std::size_t>(page.size(), fields.lpo());
  if (!fields.rae()) {
    core.events.log_read(row.page);
    if (row.page == LogPageId::kChangedNamespaceList) core.changed.clear();
    if (row.page == LogPageId::kReservationNotification) core.reservation_log.read();
  }
  core.admin_data.send(command, std::span(page).subspan(offset), bytes_wanted(command));
}

// Why the request cannot be served; nullptr if it can.
const char* fault_of(Core& core, const Command& command, const Row* row) {
  const spec::GetLogFields fields = fields_of(command);
  if (row == nullptr) return "this log page is not supported";
  const bool extended = with_lpa(core, kLpaExtended);
  if (!extended && (fields.lpo() != 0 || (command.sqe.cdw11 & 0xFFFF) != 0)) {
    return "offset or long length, and LPA bit 2 is 0";
  }
  if ((fields.lpo() & 3) != 0) return "LPO is not a multiple of 4";
  if (bytes_wanted(command) > core.config.max_transfer_bytes()) return "more than MDTS allows";
  const std::uint32_t nsid = command.sqe.nsid;
  const bool one = nsid != 0 && nsid != spec::kNsidAll;
  if (one && !(row->page == LogPageId::kSmart && with_lpa(core, kLpaPerNamespace))) {
    return "log pages are of the controller, not of a namespace";
  }
  if (row->page == LogPageId::kEnduranceGroup && fields.lsi() != 1) {
    return "LSI names no endurance group";
  }
  if (row->page == LogPageId::kPersistentEventLog && fields.lsp() > kReleaseContext) {
    return "this action on the persistent event log is reserved";
  }
  return nullptr;
}

// What a request does before its data is read; false if the command has ended here.
bool prepare(Core& core, Command& command, const Row& row) {
  const unsigned lsp = fields_of(command).lsp();
  if (row.page == LogPageId::kTelemetryHostInitiated && (lsp & kCreateTelemetry) != 0) {
    create_host_telemetry(core);
  }
  if (row.page != LogPageId::kPersistentEventLog) return true;
  if (lsp == kReleaseContext) {
    core.event_log_context.clear();
    core.complete(command, Status::kSuccess);
    return false;
  }
  const bool established = !core.event_log_context.empty();
  if ((lsp == kEstablishContext) == established) {
    core.reject(command, Status::kCommandSequenceError,
                established ? "a context is established already" : "no context is established",
                "5.14.1.13");
    return false;
  }
  if (lsp == kEstablishContext) core.event_log_context = core.subsystem.events.page(core);
  static_assert(kReadContext == 0);
  return true;
}

}  // namespace

void get_log_page(Core& core, Command& command) {
  const Row* row = find_row(core, command);
  const char* fault = fault_of(core, command, row);
  if (fault != nullptr) {
    core.reject(command, Status::kInvalidField, fault, "5.14");
    return;
  }
  const std::uint32_t nsid = command.sqe.nsid;
  if (nsid != 0 && nsid != spec::kNsidAll && core.namespaces.find(nsid) == nullptr) {
    core.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.14");
    return;
  }
  if (!prepare(core, command, *row)) return;
  if (fields_of(command).lpo() >= row->content(core, command).size()) {
    core.reject(command, Status::kInvalidField, "LPO is beyond the log page", "5.14");
    return;
  }
  core.prps.map(command, bytes_wanted(command), send_page);
}

}  // namespace nvmesim::device
