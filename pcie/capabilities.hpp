// The blocks that a configuration space is made of: headers of type 0 and 1, power management, PCI
// Express, latency tolerance, serial number. MSI, MSI-X and advanced error reporting have files of
// their own. Offsets and bits are those of the PCI Express base specification, chapter 7.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pcie/config_space.hpp"
#include "pcie/link_config.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

inline constexpr std::uint8_t kCapabilityPowerManagement = 0x01;
inline constexpr std::uint8_t kCapabilityMsi = 0x05;
inline constexpr std::uint8_t kCapabilityPciExpress = 0x10;
inline constexpr std::uint8_t kCapabilityMsix = 0x11;

inline constexpr std::uint16_t kExtendedAdvancedError = 0x0001;
inline constexpr std::uint16_t kExtendedSerialNumber = 0x0003;
inline constexpr std::uint16_t kExtendedLatencyTolerance = 0x0018;
inline constexpr std::uint16_t kExtendedL1Substates = 0x001E;

inline constexpr std::uint16_t kCommandMemorySpace = 1U << 1;
inline constexpr std::uint16_t kCommandBusMaster = 1U << 2;
inline constexpr std::uint16_t kCommandSerr = 1U << 8;
inline constexpr std::uint16_t kCommandInterruptDisable = 1U << 10;

struct Identity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
  std::uint32_t class_code = 0;  // 24 bits
  std::uint8_t revision = 0;
};

// A memory BAR; bytes is 0 or a power of two of at least 16. A 64-bit one takes the next slot too.
struct BarSpec {
  std::uint64_t bytes = 0;
  bool is_64bit = false;
  bool prefetchable = false;
};
inline constexpr unsigned kBars = 6;

class Type0Header final : public ConfigBlock {
 public:
  // `changed` is called after a write to the command register.
  Type0Header(ConfigSpace& space, const Identity& identity, const std::array<BarSpec, kBars>& bars,
              base::Callback changed = {});

  bool memory_space() const { return (value(0x04) & kCommandMemorySpace) != 0; }
  bool bus_master() const { return (value(0x04) & kCommandBusMaster) != 0; }
  bool system_errors() const { return (value(0x04) & kCommandSerr) != 0; }
  bool interrupt_disabled() const { return (value(0x04) & kCommandInterruptDisable) != 0; }
  // Status: a pin interrupt wants to be asserted, whether it is disabled or not.
  void set_interrupt_status(bool pending);
  // Status: a completion of ours came back with Unsupported Request (master) or Completer Abort.
  void received_abort(bool master);
  const BarSpec& bar(unsigned index) const { return bars_[index]; }
  std::uint64_t bar_address(unsigned index) const;

  struct Hit {
    unsigned bar = kBars;  // kBars: no BAR claims the access
    std::uint64_t offset = 0;
  };
  // The BAR that holds [address, address + bytes) as a whole; none while memory space is off.
  Hit decode(std::uint64_t address, std::uint64_t bytes) const;

 private:
  void wrote(const Access& access) override;
  std::array<BarSpec, kBars> bars_;
  base::Callback changed_;
};

// A bridge without BARs: the root port of a root complex.
class Type1Header final : public ConfigBlock {
 public:
  // `control` is called after a write to bridge control.
  Type1Header(ConfigSpace& space, const Identity& identity, base::Callback control = {});

  std::uint8_t secondary_bus() const { return static_cast<std::uint8_t>(value(0x18) >> 8); }
  std::uint8_t subordinate_bus() const { return static_cast<std::uint8_t>(value(0x18) >> 16); }
  // True if a memory access downwards is forwarded: in the memory or prefetchable window.
  bool forwards(std::uint64_t address) const;
  bool owns_bus(unsigned bus) const {
    return bus != 0 && bus >= secondary_bus() && bus <= subordinate_bus();
  }
  bool system_errors() const { return (value(0x04) & kCommandSerr) != 0; }
  // Errors of the other side are passed on (bridge control: SERR# enable).
  bool forwards_errors() const { return (value(0x3C) & 1U << 17) != 0; }
  // Software has set Secondary Bus Reset.
  bool secondary_reset() const { return (value(0x3C) & 1U << 22) != 0; }
  // A configuration request for `bus` as it goes on below: type 0 on the secondary bus, type 1 to
  // bridges behind it.
  TlpKind below(unsigned bus) const {
    return bus == secondary_bus() ? TlpKind::kConfig0 : TlpKind::kConfig1;
  }

 private:
  void wrote(const Access& access) override;
  base::Callback control_;
};

class PowerManagementCapability final : public Capability {
 public:
  // `changed` is called after the state has changed.
  explicit PowerManagementCapability(ConfigSpace& space, base::Callback changed = {});
  unsigned power_state() const { return value(4) & 3; }  // 0: D0, 3: D3hot

 private:
  void wrote(const Access& access) override;
  base::Callback changed_;
};

enum class PciExpressPort : std::uint8_t {
  kEndpoint = 0,
  kRootPort = 4,
  kSwitchUpstream = 5,
  kSwitchDownstream = 6,
};

// Device Control (7.5.3.4) and Device Control 2 (7.5.3.16).
namespace device_control {
inline constexpr std::uint32_t kReportCorrectable = 1U << 0;
inline constexpr std::uint32_t kReportNonFatal = 1U << 1;
inline constexpr std::uint32_t kReportFatal = 1U << 2;
inline constexpr std::uint32_t kReportUnsupported = 1U << 3;
inline constexpr std::uint32_t kRelaxedOrdering = 1U << 4;
inline constexpr std::uint32_t kExtendedTags = 1U << 8;
inline constexpr std::uint32_t kTimeoutDisable = 1U << 4;     // Device Control 2
inline constexpr std::uint32_t kIdBasedOrdering = 1U << 8;    // Device Control 2: of requests
inline constexpr std::uint32_t kLatencyTolerance = 1U << 10;  // Device Control 2
inline constexpr std::uint32_t kTenBitTags = 1U << 12;        // Device Control 2
}  // namespace device_control

class PciExpressCapability final : public Capability {
 public:
  struct Link {
    std::uint32_t generation = 1;
    std::uint32_t lanes = 1;
    std::uint32_t max_payload_bytes = 128;
    LinkPower power{AspmLimit::none, AspmLimit::none};  // what it can, and how long that takes
  };
  struct Hooks {
    // Software wrote one to Initiate Function Level Reset; empty for a port that has none.
    base::Callback initiate_flr;
    // Device Control or Device Control 2 was written.
    base::Callback control;
    // Slot Control was written; a port with it has a slot whose power software controls.
    base::Callback slot_control;
    // Link Control was written.
    base::Callback link_control;
  };
  // tag_bits: 5, 8 or 10, what its requester can use at most. latency_tolerance: knows LTR.
  PciExpressCapability(ConfigSpace& space, PciExpressPort port, const Link& link,
                       const Hooks& hooks, unsigned tag_bits = 8, bool latency_tolerance = true);

  // Replaces what the link registers and the supported payload say.
  void describe(const Link& link);
  // What is kept over a function level reset: the payload size, and Link Control (6.6.2).
  struct Kept {
    std::uint32_t device = 0;
    std::uint32_t link = 0;
  };
  Kept keep() const;
  void restore(const Kept& kept);
  std::uint32_t max_payload_bytes() const { return 128U << ((value(8) >> 5) & 7); }
  std::uint32_t max_read_request_bytes() const { return 128U << ((value(8) >> 12) & 7); }
  bool reports(std::uint32_t which) const { return (value(8) & which) != 0; }
  // Requests that may wait for a completion at a time: 32, 256, or 768 with 10-bit tags (their
  // values 0 to 255 are not used, 2.2.6.2).
  std::uint32_t tags() const;
  // The upper end of the range that Device Control 2 selects; 0 if the timeout is disabled.
  base::Time completion_timeout() const;
  bool id_based_ordering() const { return (value(0x28) & device_control::kIdBasedOrdering) != 0; }
  bool latency_tolerance_enabled() const {
    return (value(0x28) & device_control::kLatencyTolerance) != 0;
  }
  // ASPM Control of Link Control.
  bool l0s_enabled() const { return (value(0x10) & 1) != 0; }
  bool l1_enabled() const { return (value(0x10) & 2) != 0; }
  bool link_disabled() const { return (value(0x10) & 1U << 4) != 0; }
  // Software wrote Retrain Link with the write that is being told.
  bool retrain_requested() const { return retrain_requested_; }
  unsigned target_speed() const { return value(0x30) & 0xF; }
  // Link Status: as negotiated; active: the data link layer is up.
  void set_link_status(unsigned generation, unsigned lanes, bool active);
  bool slot_power_off() const { return (value(0x18) & 1U << 10) != 0; }

  // Device Status (write-one-to-clear): bits 0 to 3 as those of Device Control.
  void detected(std::uint32_t which) { set(8, value(8) | which << 16); }
  void set_transactions_pending(bool pending);

 private:
  void wrote(const Access& access) override;

  const Hooks hooks_;
  const unsigned tag_bits_;
  bool retrain_requested_ = false;
};

// What the requester tolerates, set by software (7.8.2); the message that tells what it needs is
// the endpoint's.
class LatencyToleranceCapability final : public ExtendedCapability {
 public:
  explicit LatencyToleranceCapability(ConfigSpace& space);
};

class SerialNumberCapability final : public ExtendedCapability {
 public:
  SerialNumberCapability(ConfigSpace& space, std::uint64_t serial_number);
};

// A latency in the format of LTR messages (6.18): value and scale of 32^n ns, rounded down.
std::uint16_t latency_tolerance(std::uint64_t ns);
std::uint64_t latency_tolerance_ns(std::uint16_t encoded);
// Of the two words of a message: the smaller of those that are required; none: no requirement.
std::optional<std::uint64_t> told_tolerance_ns(std::uint32_t words);

}  // namespace nvmesim::pcie
