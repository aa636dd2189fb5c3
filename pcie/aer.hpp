// Errors of a port: what it has met, what software has masked, which message tells the root port.
// AdvancedErrorCapability holds the registers (base specification 7.8.4), ErrorReporter follows the
// rules of 6.2 for them and for Device Status and Device Control.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pcie/capabilities.hpp"
#include "pcie/link_events.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

// By their bits in the status registers.
enum class UncorrectableError : std::uint8_t {
  kDataLinkProtocol = 4,
  kSurpriseDown = 5,
  kPoisonedTlp = 12,
  kCompletionTimeout = 14,
  kCompleterAbort = 15,
  kUnexpectedCompletion = 16,
  kReceiverOverflow = 17,
  kMalformedTlp = 18,
  kUnsupportedRequest = 20,
};
enum class CorrectableError : std::uint8_t {
  kReceiver = 0,
  kBadTlp = 6,
  kBadDllp = 7,
  kReplayRollover = 8,
  kReplayTimeout = 12,
  kAdvisoryNonFatal = 13,
};

// The first four words of a TLP, as the header log shows them.
using TlpHeader = std::array<std::uint32_t, 4>;
TlpHeader header_of(const tlm::tlm_generic_payload& payload);
// Byte enables of the first and last word of a memory request: last << 4 | first (2.2.5).
std::uint32_t byte_enables_of(std::uint64_t address, std::uint64_t bytes);

class AdvancedErrorCapability final : public ExtendedCapability {
 public:
  // A root port has the three root error registers too.
  AdvancedErrorCapability(ConfigSpace& space, bool root_port);

  bool fatal(UncorrectableError error) const { return bit(0x0C, error); }
  bool masked(UncorrectableError error) const { return bit(0x08, error); }
  bool masked(CorrectableError error) const {
    return (value(0x14) >> static_cast<unsigned>(error) & 1) != 0;
  }
  // Sets the status; the first unmasked error that finds none before it keeps its header.
  void record(UncorrectableError error, const TlpHeader& header);
  void record(CorrectableError error);

  // Root port: an error message came from `source`. True if software wants an interrupt for it.
  bool root_received(MessageCode message, RequesterId source);

 private:
  bool bit(unsigned reg, UncorrectableError error) const {
    return (value(reg) >> static_cast<unsigned>(error) & 1) != 0;
  }
};

class ErrorReporter {
 public:
  ErrorReporter(PciExpressCapability& express, AdvancedErrorCapability& advanced)
      : express_(express), advanced_(advanced) {}

  // Records the error; the message to be sent, if one is. advisory: somebody else reports it, or
  // can go on without: a non-fatal one is then told as correctable (6.2.3.2.4).
  // system_errors: SERR# Enable of the command register.
  std::optional<MessageCode> report(UncorrectableError error, const TlpHeader& header,
                                    bool advisory, bool system_errors);
  std::optional<MessageCode> report(CorrectableError error);
  // What the link below or above met. received: the port receives the direction that it was met in;
  // each error is that of one end.
  std::optional<MessageCode> link_error(LinkError error, bool received, bool system_errors);

  struct Counters {
    std::uint64_t correctable = 0;
    std::uint64_t non_fatal = 0;
    std::uint64_t fatal = 0;
  };
  // Of all that was met, masked or not.
  const Counters& counters() const { return counters_; }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  Counters counters_;
  PciExpressCapability& express_;
  AdvancedErrorCapability& advanced_;
};

}  // namespace nvmesim::pcie
