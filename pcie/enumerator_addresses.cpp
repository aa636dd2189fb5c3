#include <fmt/format.h>

#include <algorithm>

#include "pcie/enumerator_parts.hpp"
#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie::enumeration {
namespace {

constexpr unsigned kFirstBar = 0x10;

Kind kind_of(const BarInfo& bar) {
  return bar.prefetchable && bar.is_64bit ? Kind::kPrefetchable : Kind::kMemory;
}

// Base and limit in the upper twelve bits of each half: what both windows of a bridge look like.
std::uint32_t window_register(const Block& block) {
  if (block.bytes == 0) return 0x0000'FFF0;  // base above limit: closed
  const std::uint64_t limit = block.base + block.bytes - 1;
  return static_cast<std::uint32_t>((limit & 0xFFF0'0000) | (block.base >> 16 & 0xFFF0));
}

}  // namespace

std::uint64_t Allocator::take(std::uint64_t bytes, std::uint64_t alignment) {
  const std::uint64_t address = align_up(next, alignment);
  if (address > end || bytes > end - address) {
    throw base::UserError(fmt::format(
        "the addresses for BARs (root_complex.{}) end at {:#x}: no room for {:#x} bytes", parameter,
        end, bytes));
  }
  next = address + bytes;
  return address;
}

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

}  // namespace nvmesim::pcie::enumeration
