#include "pcie/aer.hpp"

#include <string>

namespace nvmesim::pcie {
namespace {

// 7.8.4.2 to 7.8.4.6: which bits there are, and how they start.
constexpr std::uint32_t kUncorrectable = 0x005F'F030;
constexpr std::uint32_t kUncorrectableMask = 1U << 22;  // internal errors
constexpr std::uint32_t kFatal = 0x0046'2030;           // malformed, overflow, protocol, ...
constexpr std::uint32_t kCorrectable = 0x0000'F1C1;
constexpr std::uint32_t kCorrectableMask = 0x0000'E000;  // advisory, internal, log overflow

constexpr unsigned kFirstError = 0x18;
constexpr unsigned kRootCommand = 0x2C;
constexpr unsigned kRootStatus = 0x30;
constexpr unsigned kErrorSource = 0x34;

}  // namespace

std::uint32_t byte_enables_of(std::uint64_t address, std::uint64_t bytes) {
  if (bytes == 0) return 0;
  const auto low = static_cast<std::uint32_t>(address % 4);
  const std::uint64_t end = low + bytes;
  const std::uint32_t first = 0xFU << low & 0xFU;
  if (end <= 4) return first & 0xFU >> (4 - end);
  return first | (0xFU >> (end % 4 == 0 ? 0 : 4 - end % 4)) << 4;
}

TlpHeader header_of(const tlm::tlm_generic_payload& payload) {
  const Tlp& tlp = tlp_of(payload);
  const std::uint64_t address = payload.get_address();
  const std::uint64_t bytes = payload.get_data_length();
  const std::uint32_t words = static_cast<std::uint32_t>((address % 4 + bytes + 3) / 4) & 0x3FF;
  const bool wide = (address >> 32) != 0;
  const bool write = payload.is_write();
  std::uint32_t type = (wide ? 1U << 5 : 0) | (write ? 1U << 6 : 0);
  if (tlp.kind == TlpKind::kConfig0) type = (write ? 0x44 : 0x04);
  if (tlp.kind == TlpKind::kConfig1) type = (write ? 0x45 : 0x05);
  if (tlp.kind == TlpKind::kMessage) type = 0x30;  // routed to the root complex
  const std::uint32_t attributes =
      (tlp.id_based_ordering ? 1U << 18 : 0) | (tlp.poisoned ? 1U << 14 : 0) |
      (tlp.relaxed_ordering ? 1U << 13 : 0) | (tlp.no_snoop ? 1U << 12 : 0);
  const std::uint32_t low_byte = tlp.kind == TlpKind::kMessage
                                     ? static_cast<std::uint32_t>(tlp.message)
                                     : byte_enables_of(address, bytes);
  TlpHeader header{};
  header[0] = type << 24 | attributes | words;
  header[1] = std::uint32_t{tlp.requester.value()} << 16 | (tlp.tag & 0xFFU) << 8 | low_byte;
  if (tlp.kind == TlpKind::kConfig0 || tlp.kind == TlpKind::kConfig1) {
    header[2] =
        std::uint32_t{tlp.completer.value()} << 16 | (static_cast<std::uint32_t>(address) & 0xFFC);
  } else if (wide || tlp.kind == TlpKind::kMessage) {
    header[2] = static_cast<std::uint32_t>(address >> 32);
    header[3] = static_cast<std::uint32_t>(address) & ~3U;
  } else {
    header[2] = static_cast<std::uint32_t>(address) & ~3U;
  }
  return header;
}

AdvancedErrorCapability::AdvancedErrorCapability(ConfigSpace& space, bool root_port)
    : ExtendedCapability(space, kExtendedAdvancedError, 2, root_port ? 0x38 : 0x2C) {
  define(0x04, {0, 0, kUncorrectable, true});
  define(0x08, {kUncorrectableMask, kUncorrectable, 0, true});
  define(0x0C, {kFatal, kUncorrectable, 0, true});
  define(0x10, {0, 0, kCorrectable, true});
  define(0x14, {kCorrectableMask, kCorrectable, 0, true});
  for (unsigned reg = kFirstError; reg < kRootCommand; reg += 4) define(reg, {0, 0, 0, true});
  if (!root_port) return;
  define(kRootCommand, {0, 7, 0});
  define(kRootStatus, {0, 0, 0x7F, true});
  define(kErrorSource, {0, 0, 0, true});
}

void AdvancedErrorCapability::record(UncorrectableError error, const TlpHeader& header) {
  const auto index = static_cast<std::uint32_t>(error);
  // The first error is one whose status still stands.
  const bool kept = (value(0x04) >> (value(kFirstError) & 0x1F) & 1) != 0;
  set(0x04, value(0x04) | 1U << index);
  if (masked(error) || kept) return;
  set(kFirstError, (value(kFirstError) & ~0x1FU) | index);
  for (unsigned i = 0; i < header.size(); ++i) set(0x1C + 4 * i, header[i]);
}

void AdvancedErrorCapability::record(CorrectableError error) {
  set(0x10, value(0x10) | 1U << static_cast<unsigned>(error));
}

// Root Error Status: correctable, several; fatal or non-fatal, several; first uncorrectable fatal;
// non-fatal received; fatal received (7.8.4.10).
bool AdvancedErrorCapability::root_received(MessageCode message, RequesterId source) {
  std::uint32_t status = value(kRootStatus);
  std::uint32_t sources = value(kErrorSource);
  if (message == MessageCode::kErrorCorrectable) {
    if ((status & 1) == 0) sources = (sources & 0xFFFF'0000) | source.value();
    status |= (status & 1) != 0 ? 2 : 1;
  } else {
    const bool fatal = message == MessageCode::kErrorFatal;
    if ((status & 4) == 0) {
      sources = (sources & 0xFFFF) | std::uint32_t{source.value()} << 16;
      status |= fatal ? 1U << 4 : 0;
    }
    status |= (status & 4) != 0 ? 8 : 4;
    status |= fatal ? 1U << 6 : 1U << 5;
  }
  set(kRootStatus, status);
  set(kErrorSource, sources);
  const std::uint32_t wanted = message == MessageCode::kErrorCorrectable ? 1
                               : message == MessageCode::kErrorNonFatal  ? 2
                                                                         : 4;
  return (value(kRootCommand) & wanted) != 0;
}

std::optional<MessageCode> ErrorReporter::report(UncorrectableError error, const TlpHeader& header,
                                                 bool advisory, bool system_errors) {
  const bool unsupported = error == UncorrectableError::kUnsupportedRequest;
  const bool fatal = advanced_.fatal(error);
  if (unsupported) express_.detected(device_control::kReportUnsupported);
  // An error that is quiet by Unsupported Request Reporting is recorded all the same.
  const bool quiet = unsupported && !express_.reports(device_control::kReportUnsupported);
  if (advisory && !fatal) {
    ++counters_.correctable;
    express_.detected(device_control::kReportCorrectable);
    advanced_.record(CorrectableError::kAdvisoryNonFatal);
    if (advanced_.masked(CorrectableError::kAdvisoryNonFatal)) return {};
    advanced_.record(error, header);
    if (advanced_.masked(error) || quiet) return {};
    if (!express_.reports(device_control::kReportCorrectable)) return {};
    return MessageCode::kErrorCorrectable;
  }
  ++(fatal ? counters_.fatal : counters_.non_fatal);
  const std::uint32_t kind = fatal ? device_control::kReportFatal : device_control::kReportNonFatal;
  express_.detected(kind);
  advanced_.record(error, header);
  if (advanced_.masked(error)) return {};
  if (!system_errors && (!express_.reports(kind) || quiet)) return {};
  return fatal ? MessageCode::kErrorFatal : MessageCode::kErrorNonFatal;
}

std::optional<MessageCode> ErrorReporter::report(CorrectableError error) {
  ++counters_.correctable;
  express_.detected(device_control::kReportCorrectable);
  advanced_.record(error);
  if (advanced_.masked(error) || !express_.reports(device_control::kReportCorrectable)) return {};
  return MessageCode::kErrorCorrectable;
}

std::optional<MessageCode> ErrorReporter::link_error(LinkError error, bool received,
                                                     bool system_errors) {
  const bool by_sender = error == LinkError::kReplayTimeout || error == LinkError::kReplayRollover;
  if (by_sender == received) return {};
  // The link took the TLP away: there is no header to show.
  switch (error) {
    case LinkError::kBadTlp:
      return report(CorrectableError::kBadTlp);
    case LinkError::kBadDllp:
      return report(CorrectableError::kBadDllp);
    case LinkError::kReplayTimeout:
      return report(CorrectableError::kReplayTimeout);
    case LinkError::kReplayRollover:
      return report(CorrectableError::kReplayRollover);
    case LinkError::kMalformedTlp:
      return report(UncorrectableError::kMalformedTlp, TlpHeader{}, false, system_errors);
    case LinkError::kUnsupportedRequest:
      return report(UncorrectableError::kUnsupportedRequest, TlpHeader{}, true, system_errors);
    case LinkError::kCompleterAbort:
      return report(UncorrectableError::kCompleterAbort, TlpHeader{}, true, system_errors);
  }
  return {};
}

void ErrorReporter::register_statistics(base::StatisticsRegistry& registry,
                                        std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".errors.correctable", "1", "correctable errors, advisory ones included",
               counters_.correctable);
  registry.add(name + ".errors.non_fatal", "1", "uncorrectable errors that are not fatal",
               counters_.non_fatal);
  registry.add(name + ".errors.fatal", "1", "fatal errors", counters_.fatal);
}

}  // namespace nvmesim::pcie
