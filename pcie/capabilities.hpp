// The blocks that a configuration space is made of: headers of type 0 and 1, power management, PCI
// Express. MSI-X has a file of its own (pcie/msix.hpp). Offsets and bits are those of the PCI
// Express base specification, chapter 7.
#pragma once

#include <array>
#include <cstdint>

#include "pcie/config_space.hpp"
#include "sim/base/callback.hpp"

namespace nvmesim::pcie {

inline constexpr std::uint8_t kCapabilityPowerManagement = 0x01;
inline constexpr std::uint8_t kCapabilityPciExpress = 0x10;
inline constexpr std::uint8_t kCapabilityMsix = 0x11;

inline constexpr std::uint16_t kCommandMemorySpace = 1U << 1;
inline constexpr std::uint16_t kCommandBusMaster = 1U << 2;

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
  Type0Header(ConfigSpace& space, const Identity& identity, const std::array<BarSpec, kBars>& bars);

  bool memory_space() const { return (value(0x04) & kCommandMemorySpace) != 0; }
  bool bus_master() const { return (value(0x04) & kCommandBusMaster) != 0; }
  const BarSpec& bar(unsigned index) const { return bars_[index]; }
  std::uint64_t bar_address(unsigned index) const;

  struct Hit {
    unsigned bar = kBars;  // kBars: no BAR claims the access
    std::uint64_t offset = 0;
  };
  // The BAR that holds [address, address + bytes) as a whole; none while memory space is off.
  Hit decode(std::uint64_t address, std::uint64_t bytes) const;

 private:
  std::array<BarSpec, kBars> bars_;
};

// A bridge without BARs: the root port of a root complex.
class Type1Header final : public ConfigBlock {
 public:
  Type1Header(ConfigSpace& space, const Identity& identity);

  std::uint8_t secondary_bus() const { return static_cast<std::uint8_t>(value(0x18) >> 8); }
  std::uint8_t subordinate_bus() const { return static_cast<std::uint8_t>(value(0x18) >> 16); }
  // True if a memory access downwards is forwarded: in the memory or prefetchable window.
  bool forwards(std::uint64_t address) const;
};

class PowerManagementCapability final : public Capability {
 public:
  explicit PowerManagementCapability(ConfigSpace& space);
  unsigned power_state() const { return value(4) & 3; }  // 0: D0, 3: D3hot

 private:
  void wrote(const Access& access) override;
};

enum class PciExpressPort : std::uint8_t { kEndpoint = 0, kRootPort = 4 };

class PciExpressCapability final : public Capability {
 public:
  struct Link {
    std::uint32_t generation = 1;
    std::uint32_t lanes = 1;
    std::uint32_t max_payload_bytes = 128;
  };
  // `initiate_flr` is called when software writes one to Initiate Function Level Reset; empty for
  // a port that has none.
  PciExpressCapability(ConfigSpace& space, PciExpressPort port, const Link& link,
                       base::Callback initiate_flr);

  // Replaces what the link registers and the supported payload say.
  void describe(const Link& link);
  // What is kept over a function level reset: the payload size (6.6.2).
  void restore_max_payload(std::uint32_t bytes);
  std::uint32_t max_payload_bytes() const { return 128U << ((value(8) >> 5) & 7); }
  std::uint32_t max_read_request_bytes() const { return 128U << ((value(8) >> 12) & 7); }

 private:
  void wrote(const Access& access) override;

  base::Callback initiate_flr_;
};

}  // namespace nvmesim::pcie
