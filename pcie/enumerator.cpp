#include "pcie/enumerator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {
namespace {

constexpr unsigned kCommand = 0x04;
constexpr unsigned kBar0 = 0x10;
constexpr unsigned kDevicesPerBus = 32;
constexpr unsigned kMaxCapabilities = 48;
constexpr std::uint32_t kNobody = ~std::uint32_t{0};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// Hands out addresses of the window, ascending.
struct Allocator {
  std::uint64_t next;
  std::uint64_t end;

  std::uint64_t take(std::uint64_t bytes, std::uint64_t alignment) {
    const std::uint64_t address = align_up(next, alignment);
    if (address > end || bytes > end - address) {
      throw base::UserError(fmt::format(
          "the addresses for BARs (root_complex.mmio_bytes) end at {:#x}: no room for {:#x} bytes",
          end, bytes));
    }
    next = address + bytes;
    return address;
  }
};

void size_bars(ConfigAccess& access, FunctionInfo& function) {
  for (unsigned i = 0; i < kBars; ++i) {
    const unsigned offset = kBar0 + 4 * i;
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

// All BARs of one kind of a function, largest first, in a block that a bridge window can cover.
struct Block {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
};

Block assign_bars(ConfigAccess& access, FunctionInfo& function, bool prefetchable,
                  Allocator& addresses) {
  std::array<unsigned, kBars> order{};
  std::size_t count = 0;
  for (unsigned i = 0; i < kBars; ++i) {
    if (function.bars[i].bytes != 0 && function.bars[i].prefetchable == prefetchable) {
      order[count++] = i;
    }
  }
  if (count == 0) return {};
  std::stable_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count),
                   [&function](unsigned a, unsigned b) {
                     return function.bars[a].bytes > function.bars[b].bytes;
                   });
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += function.bars[order[i]].bytes;
  bytes = align_up(bytes, base::kMiB);
  const Block block{addresses.take(bytes, std::max(base::kMiB, function.bars[order[0]].bytes)),
                    bytes};
  // Powers of two in falling order: each start is a multiple of its size.
  std::uint64_t address = block.base;
  for (std::size_t i = 0; i < count; ++i) {
    BarInfo& bar = function.bars[order[i]];
    bar.address = address;
    address += bar.bytes;
    const unsigned offset = kBar0 + 4 * order[i];
    access.write32(function.id, offset, static_cast<std::uint32_t>(bar.address));
    if (bar.is_64bit) {
      access.write32(function.id, offset + 4, static_cast<std::uint32_t>(bar.address >> 32));
    }
  }
  return block;
}

// Base and limit in the upper twelve bits of each half: what both windows of a bridge look like.
std::uint32_t window_register(const Block& block) {
  if (block.bytes == 0) return 0x0000'FFF0;  // base above limit: closed
  const std::uint64_t limit = block.base + block.bytes - 1;
  return static_cast<std::uint32_t>((limit & 0xFFF0'0000) | (block.base >> 16 & 0xFFF0));
}

void open_bridge(ConfigAccess& access, RequesterId bridge, const Block& memory,
                 const Block& prefetchable) {
  access.write32(bridge, 0x20, window_register(memory));
  access.write32(bridge, 0x24, window_register(prefetchable));
  access.write32(bridge, 0x28, static_cast<std::uint32_t>(prefetchable.base >> 32));
  access.write32(bridge, 0x2C,
                 static_cast<std::uint32_t>((prefetchable.base + prefetchable.bytes) >> 32));
  access.write32(bridge, kCommand, kCommandMemorySpace | kCommandBusMaster);
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

// Both ends of the link take the largest payload that both can.
void set_sizes(ConfigAccess& access, RequesterId bridge, FunctionInfo& function,
               std::uint32_t max_read_request_bytes) {
  const unsigned upper = find_capability(access, bridge, kCapabilityPciExpress);
  const unsigned lower = function.express_capability;
  if (upper == 0 || lower == 0) return;
  const std::uint32_t payload_code = std::min(supported_payload_code(access, bridge, upper),
                                              supported_payload_code(access, function.id, lower));
  const auto request_code =
      static_cast<std::uint32_t>(std::countr_zero(max_read_request_bytes)) - 7;
  set_device_control(access, bridge, upper, payload_code, request_code);
  set_device_control(access, function.id, lower, payload_code, request_code);
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

std::vector<FunctionInfo> enumerate(ConfigAccess& access, MmioWindow window,
                                    std::uint32_t max_read_request_bytes) {
  NVMESIM_ASSERT(window.base % base::kMiB == 0 && window.bytes % base::kMiB == 0 &&
                     window.base + window.bytes <= 4 * base::kGiB,
                 "the addresses for BARs are not whole MiB below 4 GiB");
  Allocator addresses{window.base, window.base + window.bytes};
  std::vector<FunctionInfo> functions;
  unsigned bus = 0;
  for (unsigned device = 0; device < kDevicesPerBus; ++device) {
    const RequesterId bridge = make_id(0, device, 0);
    if (access.read32(bridge, 0x00) == kNobody || !is_bridge(access, bridge)) continue;
    ++bus;
    access.write32(bridge, 0x18, bus << 16 | bus << 8);
    FunctionInfo function;
    function.id = make_id(bus, 0, 0);
    if (access.read32(function.id, 0x00) == kNobody) continue;
    read_identity(access, function);
    access.write32(function.id, kCommand, 0);  // BARs must not be decoded while they are sized
    size_bars(access, function);
    const Block memory = assign_bars(access, function, false, addresses);
    const Block prefetchable = assign_bars(access, function, true, addresses);
    open_bridge(access, bridge, memory, prefetchable);
    set_sizes(access, bridge, function, max_read_request_bytes);
    functions.push_back(function);
  }
  return functions;
}

}  // namespace nvmesim::pcie
