// The parts of enumerate(): addresses (enumerator_addresses.cpp), and what the ports of a path
// agree on (enumerator_links.cpp). Not for others.
#pragma once

#include <vector>

#include "pcie/enumerator.hpp"

namespace nvmesim::pcie::enumeration {

inline constexpr unsigned kCommand = 0x04;
inline constexpr std::uint32_t kNobody = ~std::uint32_t{0};

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// Hands out addresses of a window, ascending.
struct Allocator {
  const char* parameter;
  std::uint64_t next;
  std::uint64_t end;

  std::uint64_t take(std::uint64_t bytes, std::uint64_t alignment);
};

// The kinds of BARs, each in a window of its own of a bridge. A prefetchable BAR of 32 bits goes
// with those that are not: the other window may lie above 4 GiB.
enum class Kind : std::uint8_t { kMemory, kPrefetchable };

struct Block {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
};

void size_bars(ConfigAccess& access, FunctionInfo& function);
// All BARs of one kind of a function, largest first.
void assign_bars(ConfigAccess& access, FunctionInfo& function, Kind kind, Allocator& addresses);
void open_bridge(ConfigAccess& access, RequesterId bridge, const Block& memory,
                 const Block& prefetchable);

// What the function and every bridge above it can.
struct PathAbility {
  std::uint32_t payload_code = 0;
  bool tolerance = false;  // LTR
  bool extended_tags = false;
  bool ten_bit_tags = false;
};
PathAbility ability_of(ConfigAccess& access, const FunctionInfo& function);
// Payload and read request sizes, the longest tags that both ends know, latency tolerance.
void set_path(ConfigAccess& access, FunctionInfo& function, const PathAbility& able,
              std::uint32_t payload_code, std::uint32_t max_read_request_bytes);
// Power states of the links between the root port and the function.
void set_link_power(ConfigAccess& access, const FunctionInfo& function,
                    const EnumerationOptions& options);

}  // namespace nvmesim::pcie::enumeration
