// What firmware and operating system do before a driver is bound: find the functions behind the
// root ports and behind switches, give them buses and addresses, and set payload and read request
// sizes, tags, latency tolerance and the power states of links. Blocking: runs in a thread of the
// host. Memory enable and bus master of the functions are left to the driver.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pcie/capabilities.hpp"
#include "pcie/tlp.hpp"

namespace nvmesim::pcie {

// Configuration accesses as the host does them. A read of a function that does not exist returns
// all ones. offset is a multiple of 4.
class ConfigAccess {
 public:
  virtual ~ConfigAccess() = default;
  virtual std::uint32_t read32(RequesterId function, unsigned offset) = 0;
  virtual void write32(RequesterId function, unsigned offset, std::uint32_t value) = 0;
};

// Addresses that BARs may get, multiples of 1 MiB: below 4 GiB, and above for prefetchable BARs of
// 64 bits (none if high_bytes is 0; then they get lower ones).
struct MmioWindow {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
  std::uint64_t high_base = 0;
  std::uint64_t high_bytes = 0;
};

struct BarInfo {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;  // 0: not a BAR (also the upper half of a 64-bit one)
  bool is_64bit = false;
  bool prefetchable = false;
};

struct MsixInfo {
  unsigned capability = 0;  // offset; 0: none
  std::uint16_t vectors = 0;
  std::uint8_t table_bar = 0;
  std::uint32_t table_offset = 0;
  std::uint8_t pba_bar = 0;
  std::uint32_t pba_offset = 0;
};

struct MsiInfo {
  unsigned capability = 0;  // offset; 0: none
  std::uint32_t vectors = 0;
};

struct FunctionInfo {
  RequesterId id;
  std::vector<RequesterId> bridges;  // from the root port down
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
  std::uint32_t class_code = 0;
  std::uint8_t revision = 0;
  std::array<BarInfo, kBars> bars;
  MsixInfo msix;
  MsiInfo msi;
  unsigned pm_capability = 0;  // offsets; 0: none
  unsigned express_capability = 0;
  std::uint32_t max_payload_bytes = 0;       // as set
  std::uint32_t max_read_request_bytes = 0;  // as set
  std::uint32_t tags = 0;                    // as set: 32, 256 or 768
};

// What firmware is told to set.
struct EnumerationOptions {
  std::uint32_t max_read_request_bytes = 512;
  // Deepest states of links that end at a function, and at a switch, as far as their ports can.
  AspmLimit aspm = AspmLimit::none;
  AspmLimit switch_aspm = AspmLimit::none;
};

// In order of bus. Throws UserError if the window is too small for the BARs.
std::vector<FunctionInfo> enumerate(ConfigAccess& access, MmioWindow window,
                                    const EnumerationOptions& options = {});

// Offset of a capability of the chain, or 0.
unsigned find_capability(ConfigAccess& access, RequesterId function, std::uint8_t id);
// The same for the chain of extended capabilities.
unsigned find_extended_capability(ConfigAccess& access, RequesterId function, std::uint16_t id);

}  // namespace nvmesim::pcie
