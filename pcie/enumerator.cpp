#include "pcie/enumerator.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "pcie/enumerator_parts.hpp"
#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {
namespace {

using namespace enumeration;

constexpr unsigned kDevicesPerBus = 32;
constexpr unsigned kMaxCapabilities = 48;

void read_identity(ConfigAccess& access, FunctionInfo& function) {
  const std::uint32_t ids = access.read32(function.id, 0x00);
  const std::uint32_t class_revision = access.read32(function.id, 0x08);
  const std::uint32_t subsystem = access.read32(function.id, 0x2C);
  function.vendor = static_cast<std::uint16_t>(ids);
  function.device = static_cast<std::uint16_t>(ids >> 16);
  function.class_code = class_revision >> 8;
  function.revision = static_cast<std::uint8_t>(class_revision);
  function.subsystem_vendor = static_cast<std::uint16_t>(subsystem);
  function.subsystem = static_cast<std::uint16_t>(subsystem >> 16);
  function.pm_capability = find_capability(access, function.id, kCapabilityPowerManagement);
  function.express_capability = find_capability(access, function.id, kCapabilityPciExpress);
  function.msi.capability = find_capability(access, function.id, kCapabilityMsi);
  if (function.msi.capability != 0) {
    function.msi.vectors = 1U << (access.read32(function.id, function.msi.capability) >> 17 & 7);
  }
  MsixInfo& msix = function.msix;
  msix.capability = find_capability(access, function.id, kCapabilityMsix);
  if (msix.capability == 0) return;
  const std::uint32_t table = access.read32(function.id, msix.capability + 4);
  const std::uint32_t pending = access.read32(function.id, msix.capability + 8);
  msix.vectors =
      static_cast<std::uint16_t>((access.read32(function.id, msix.capability) >> 16 & 0x7FF) + 1);
  msix.table_bar = static_cast<std::uint8_t>(table & 7);
  msix.table_offset = table & ~7U;
  msix.pba_bar = static_cast<std::uint8_t>(pending & 7);
  msix.pba_offset = pending & ~7U;
}

bool is_bridge(ConfigAccess& access, RequesterId id) {
  return (access.read32(id, 0x0C) >> 16 & 0x7F) == 1;
}

// The buses below the root complex, depth first.
class Walk {
 public:
  Walk(ConfigAccess& access, const MmioWindow& window, const EnumerationOptions& options)
      : access_(access),
        low_{"mmio_bytes", window.base, window.base + window.bytes},
        high_{"mmio_high_bytes", window.high_base, window.high_base + window.high_bytes},
        has_high_(window.high_bytes != 0),
        options_(options) {}

  std::vector<FunctionInfo> run() {
    find(0, {});
    // A bridge has one window for each kind: all of a kind before the other, so that what lies
    // behind it is in one piece.
    place(0, Kind::kMemory);
    place(0, Kind::kPrefetchable);
    for (const Bridge& bridge : bridges_) {
      if (bridge.used) open_bridge(access_, bridge.id, bridge.memory, bridge.prefetchable);
    }
    set_paths();
    return std::move(functions_);
  }

 private:
  // All behind one root port take the largest payload that all of them can.
  void set_paths() {
    std::map<RequesterId, std::uint32_t> payload_code;
    std::vector<PathAbility> abilities;
    for (const FunctionInfo& function : functions_) {
      abilities.push_back(function.express_capability != 0 ? ability_of(access_, function)
                                                           : PathAbility{});
      if (function.express_capability == 0) continue;
      const std::uint32_t able = abilities.back().payload_code;
      const auto [at, first] = payload_code.emplace(function.bridges.front(), able);
      at->second = std::min(at->second, able);
    }
    for (std::size_t i = 0; i < functions_.size(); ++i) {
      FunctionInfo& function = functions_[i];
      if (function.express_capability == 0) continue;
      set_path(access_, function, abilities[i], payload_code[function.bridges.front()],
               options_.max_read_request_bytes);
      set_link_power(access_, function, options_);
    }
  }

  struct Bridge {
    RequesterId id;
    unsigned above = 0;  // the bus on which it is
    unsigned below = 0;  // ... and the one that it opens
    bool used = false;   // there is a function somewhere behind it
    Block memory;
    Block prefetchable;
  };

  // Devices on a bus: root ports and the ports of a switch are many, a link has one end.
  void find(unsigned bus, const std::vector<RequesterId>& path) {
    const bool link = !path.empty() && !internal_;
    for (unsigned device = 0; device < (link ? 1 : kDevicesPerBus); ++device) {
      const RequesterId id = make_id(bus, device, 0);
      if (access_.read32(id, 0x00) == kNobody) continue;
      if (is_bridge(access_, id)) {
        open(id, bus, path);
      } else if (!path.empty()) {
        found(id, path);
      }
    }
  }

  void open(RequesterId id, unsigned bus, std::vector<RequesterId> path) {
    if (last_bus_ == 255) throw base::UserError("more than 255 buses: too many switches");
    const std::size_t index = bridges_.size();
    const unsigned below = ++last_bus_;
    bridges_.push_back({id, bus, below, false, {}, {}});
    const std::size_t before = functions_.size();
    access_.write32(id, 0x18, 0xFFU << 16 | below << 8 | bus);  // everything, while it is searched
    path.push_back(id);
    // Behind the upstream port of a switch lies its internal bus.
    const bool outside = internal_;
    const unsigned express = find_capability(access_, id, kCapabilityPciExpress);
    internal_ = express != 0 && (access_.read32(id, express) >> 20 & 0xF) ==
                                    static_cast<std::uint32_t>(PciExpressPort::kSwitchUpstream);
    find(below, path);
    internal_ = outside;
    access_.write32(id, 0x18, last_bus_ << 16 | below << 8 | bus);
    bridges_[index].used = functions_.size() != before;
  }

  void found(RequesterId id, const std::vector<RequesterId>& path) {
    FunctionInfo function;
    function.id = id;
    function.bridges = path;
    read_identity(access_, function);
    access_.write32(id, kCommand, 0);  // BARs must not be decoded while they are sized
    size_bars(access_, function);
    route_pin(function);
    functions_.push_back(function);
  }

  // The line that the function's pin ends at, in its interrupt line register: bridges turn pins by
  // the device number of the port that they come from (2.2.8.1).
  void route_pin(const FunctionInfo& function) {
    const std::uint32_t registers = access_.read32(function.id, 0x3C);
    unsigned pin = registers >> 8 & 0xFF;
    if (pin == 0) return;
    --pin;
    for (std::size_t i = 1; i < function.bridges.size(); ++i) {
      pin += function.bridges[i].value() >> 3 & 31;
    }
    const unsigned root = function.bridges.front().value() >> 3 & 31;
    access_.write32(function.id, 0x3C, (registers & ~0xFFU) | (4 * root + pin % 4));
  }

  // Gives addresses to everything on and behind a bus.
  void place(unsigned bus, Kind kind) {
    Allocator& addresses = kind == Kind::kPrefetchable && has_high_ ? high_ : low_;
    for (FunctionInfo& function : functions_) {
      if (function.id.value() >> 8 == bus) assign_bars(access_, function, kind, addresses);
    }
    for (Bridge& bridge : bridges_) {
      if (bridge.above != bus) continue;
      const std::uint64_t begin = align_up(addresses.next, base::kMiB);
      place(bridge.below, kind);
      Block& block = kind == Kind::kMemory ? bridge.memory : bridge.prefetchable;
      const std::uint64_t end = align_up(addresses.next, base::kMiB);
      if (end > begin) block = {begin, end - begin};
    }
  }

  ConfigAccess& access_;
  Allocator low_;
  Allocator high_;
  const bool has_high_;
  const EnumerationOptions options_;
  unsigned last_bus_ = 0;
  bool internal_ = false;  // the bus that is searched is inside a switch
  std::vector<Bridge> bridges_;
  std::vector<FunctionInfo> functions_;
};

}  // namespace

unsigned find_capability(ConfigAccess& access, RequesterId function, std::uint8_t id) {
  constexpr std::uint32_t kHasCapabilities = 1U << 20;
  if ((access.read32(function, kCommand) & kHasCapabilities) == 0) return 0;
  unsigned offset = access.read32(function, 0x34) & 0xFC;
  // Bounded: a broken chain may be a ring.
  for (unsigned i = 0; i < kMaxCapabilities && offset != 0; ++i) {
    const std::uint32_t head = access.read32(function, offset);
    if ((head & 0xFF) == id) return offset;
    offset = head >> 8 & 0xFC;
  }
  return 0;
}

unsigned find_extended_capability(ConfigAccess& access, RequesterId function, std::uint16_t id) {
  constexpr unsigned kMost = (4096 - 256) / 8;
  unsigned offset = 0x100;
  for (unsigned i = 0; i < kMost && offset >= 0x100; ++i) {
    const std::uint32_t head = access.read32(function, offset);
    if (head == 0 || head == kNobody) return 0;
    if ((head & 0xFFFF) == id) return offset;
    offset = head >> 20 & 0xFFC;
  }
  return 0;
}

std::vector<FunctionInfo> enumerate(ConfigAccess& access, MmioWindow window,
                                    const EnumerationOptions& options) {
  NVMESIM_ASSERT(window.base % base::kMiB == 0 && window.bytes % base::kMiB == 0 &&
                     window.base + window.bytes <= 4 * base::kGiB &&
                     window.high_base % base::kMiB == 0 && window.high_bytes % base::kMiB == 0,
                 "the addresses for BARs are not whole MiB, or not below 4 GiB");
  return Walk(access, window, options).run();
}

}  // namespace nvmesim::pcie
