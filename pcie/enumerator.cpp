#include "pcie/enumerator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {
namespace {

constexpr unsigned kCommand = 0x04;
constexpr unsigned kFirstBar = 0x10;
constexpr unsigned kDevicesPerBus = 32;
constexpr unsigned kMaxCapabilities = 48;
constexpr std::uint32_t kNobody = ~std::uint32_t{0};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// Hands out addresses of a window, ascending.
struct Allocator {
  const char* parameter;
  std::uint64_t next;
  std::uint64_t end;

  std::uint64_t take(std::uint64_t bytes, std::uint64_t alignment) {
    const std::uint64_t address = align_up(next, alignment);
    if (address > end || bytes > end - address) {
      throw base::UserError(fmt::format(
          "the addresses for BARs (root_complex.{}) end at {:#x}: no room for {:#x} bytes",
          parameter, end, bytes));
    }
    next = address + bytes;
    return address;
  }
};

void size_bars(ConfigAccess& access, FunctionInfo& function) {
  for (unsigned i = 0; i < kBars; ++i) {
    const unsigned offset = kFirstBar + 4 * i;
    const std::uint32_t before = access.read32(function.id, offset);
    access.write32(function.id, offset, ~std::uint32_t{0});
    const std::uint32_t low = access.read32(function.id, offset);
    access.write32(function.id, offset, before);
    if (low == 0 || (low & 1) != 0) continue;  // not there, or I/O space, which is not used
    BarInfo& bar = function.bars[i];
    bar.is_64bit = (low & 6) == 4;
    bar.prefetchable = (low & 8) != 0;
    std::uint32_t high = ~std::uint32_t{0};
    if (bar.is_64bit) {
      const std::uint32_t high_before = access.read32(function.id, offset + 4);
      access.write32(function.id, offset + 4, ~std::uint32_t{0});
      high = access.read32(function.id, offset + 4);
      access.write32(function.id, offset + 4, high_before);
      ++i;
    }
    bar.bytes = ~(std::uint64_t{high} << 32 | (low & ~std::uint32_t{0xF})) + 1;
  }
}

// The kinds of BARs, each in a window of its own of a bridge. A prefetchable BAR of 32 bits goes
// with those that are not: the other window may lie above 4 GiB.
enum class Kind : std::uint8_t { kMemory, kPrefetchable };

Kind kind_of(const BarInfo& bar) {
  return bar.prefetchable && bar.is_64bit ? Kind::kPrefetchable : Kind::kMemory;
}

struct Block {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
};

// All BARs of one kind of a function, largest first.
void assign_bars(ConfigAccess& access, FunctionInfo& function, Kind kind, Allocator& addresses) {
  std::array<unsigned, kBars> order{};
  std::size_t count = 0;
  for (unsigned i = 0; i < kBars; ++i) {
    if (function.bars[i].bytes != 0 && kind_of(function.bars[i]) == kind) order[count++] = i;
  }
  if (count == 0) return;
  std::stable_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count),
                   [&function](unsigned a, unsigned b) {
                     return function.bars[a].bytes > function.bars[b].bytes;
                   });
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += function.bars[order[i]].bytes;
  // Powers of two in falling order: each start is a multiple of its size.
  std::uint64_t address = addresses.take(align_up(bytes, base::kMiB),
                                         std::max(base::kMiB, function.bars[order[0]].bytes));
  for (std::size_t i = 0; i < count; ++i) {
    BarInfo& bar = function.bars[order[i]];
    bar.address = address;
    address += bar.bytes;
    const unsigned offset = kFirstBar + 4 * order[i];
    access.write32(function.id, offset, static_cast<std::uint32_t>(bar.address));
    if (bar.is_64bit) {
      access.write32(function.id, offset + 4, static_cast<std::uint32_t>(bar.address >> 32));
    }
  }
}

// Base and limit in the upper twelve bits of each half: what both windows of a bridge look like.
std::uint32_t window_register(const Block& block) {
  if (block.bytes == 0) return 0x0000'FFF0;  // base above limit: closed
  const std::uint64_t limit = block.base + block.bytes - 1;
  return static_cast<std::uint32_t>((limit & 0xFFF0'0000) | (block.base >> 16 & 0xFFF0));
}

void open_bridge(ConfigAccess& access, RequesterId bridge, const Block& memory,
                 const Block& prefetchable) {
  const std::uint64_t limit =
      prefetchable.bytes == 0 ? 0 : prefetchable.base + prefetchable.bytes - 1;
  access.write32(bridge, 0x20, window_register(memory));
  access.write32(bridge, 0x24, window_register(prefetchable));
  access.write32(bridge, 0x28, static_cast<std::uint32_t>(prefetchable.base >> 32));
  access.write32(bridge, 0x2C, static_cast<std::uint32_t>(limit >> 32));
  access.write32(bridge, kCommand, kCommandMemorySpace | kCommandBusMaster);
  // Errors of what lies below are passed on.
  constexpr std::uint32_t kForwardErrors = 1U << 17;
  access.write32(bridge, 0x3C, access.read32(bridge, 0x3C) | kForwardErrors);
}

std::uint32_t supported_payload_code(ConfigAccess& access, RequesterId id, unsigned capability) {
  return access.read32(id, capability + 4) & 7;
}

// Device Control; its status half is write-one-to-clear, so zeroes leave it alone.
void set_device_control(ConfigAccess& access, RequesterId id, unsigned capability,
                        std::uint32_t payload_code, std::uint32_t request_code) {
  std::uint32_t control = access.read32(id, capability + 8) & 0xFFFF;
  control = (control & ~(7U << 5) & ~(7U << 12)) | payload_code << 5 | request_code << 12;
  access.write32(id, capability + 8, control);
}

// What the function and every bridge above it can.
struct PathAbility {
  std::uint32_t payload_code = 0;
  bool tolerance = false;  // LTR
  bool extended_tags = false;
  bool ten_bit_tags = false;
};

constexpr unsigned kCapabilities2 = 0x24;
constexpr unsigned kControl2 = 0x28;

PathAbility ability_of(ConfigAccess& access, const FunctionInfo& function) {
  constexpr std::uint32_t kKnowsTolerance = 1U << 11, kCompletesTenBit = 1U << 16,
                          kAsksTenBit = 1U << 17, kAsksExtended = 1U << 5;
  const unsigned own = function.express_capability;
  const std::uint32_t capabilities2 = access.read32(function.id, own + kCapabilities2);
  PathAbility able{supported_payload_code(access, function.id, own),
                   (capabilities2 & kKnowsTolerance) != 0,
                   (access.read32(function.id, own + 4) & kAsksExtended) != 0,
                   (capabilities2 & kAsksTenBit) != 0};
  for (const RequesterId bridge : function.bridges) {
    const unsigned at = find_capability(access, bridge, kCapabilityPciExpress);
    if (at == 0) return {};
    able.payload_code = std::min(able.payload_code, supported_payload_code(access, bridge, at));
    const std::uint32_t of_bridge = access.read32(bridge, at + kCapabilities2);
    able.tolerance = able.tolerance && (of_bridge & kKnowsTolerance) != 0;
    // Requests end at the root port.
    if (bridge == function.bridges.front() && (of_bridge & kCompletesTenBit) == 0) {
      able.ten_bit_tags = false;
    }
  }
  return able;
}

void set_bits(ConfigAccess& access, RequesterId id, unsigned offset, std::uint32_t bits) {
  access.write32(id, offset, access.read32(id, offset) | bits);
}

// Payload and read request sizes, the longest tags that both ends know, latency tolerance.
void set_path(ConfigAccess& access, FunctionInfo& function, const PathAbility& able,
              std::uint32_t payload_code, std::uint32_t max_read_request_bytes) {
  const unsigned own = function.express_capability;
  const auto request_code =
      static_cast<std::uint32_t>(std::countr_zero(max_read_request_bytes)) - 7;
  for (const RequesterId bridge : function.bridges) {
    const unsigned at = find_capability(access, bridge, kCapabilityPciExpress);
    set_device_control(access, bridge, at, payload_code, request_code);
    if (able.tolerance) {
      set_bits(access, bridge, at + kControl2, device_control::kLatencyTolerance);
    }
  }
  if (able.extended_tags) {
    // The status half is write-one-to-clear.
    const std::uint32_t control = access.read32(function.id, own + 8) & 0xFFFF;
    access.write32(function.id, own + 8, control | device_control::kExtendedTags);
  }
  set_device_control(access, function.id, own, payload_code, request_code);
  const std::uint32_t control2 = (able.ten_bit_tags ? device_control::kTenBitTags : 0) |
                                 (able.tolerance ? device_control::kLatencyTolerance : 0);
  if (control2 != 0) set_bits(access, function.id, own + kControl2, control2);
  function.tags = able.ten_bit_tags ? 768 : able.extended_tags ? 256 : 32;
  function.max_payload_bytes = 128U << payload_code;
  function.max_read_request_bytes = max_read_request_bytes;
}

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
  Walk(ConfigAccess& access, const MmioWindow& window, std::uint32_t max_read_request_bytes)
      : access_(access),
        low_{"mmio_bytes", window.base, window.base + window.bytes},
        high_{"mmio_high_bytes", window.high_base, window.high_base + window.high_bytes},
        has_high_(window.high_bytes != 0),
        max_read_request_bytes_(max_read_request_bytes) {}

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
               max_read_request_bytes_);
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
  const std::uint32_t max_read_request_bytes_;
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
                                    std::uint32_t max_read_request_bytes) {
  NVMESIM_ASSERT(window.base % base::kMiB == 0 && window.bytes % base::kMiB == 0 &&
                     window.base + window.bytes <= 4 * base::kGiB &&
                     window.high_base % base::kMiB == 0 && window.high_bytes % base::kMiB == 0,
                 "the addresses for BARs are not whole MiB, or not below 4 GiB");
  return Walk(access, window, max_read_request_bytes).run();
}

}  // namespace nvmesim::pcie
