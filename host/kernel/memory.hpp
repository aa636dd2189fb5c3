// Host RAM as a TLM target: one lazily committed mapping. Writes take effect at their arrival;
// a read samples memory at its arrival and its completion leaves after a latency; reads overlap.
// Physical addresses are a PC's: up to 2 GiB from 0, the rest from 4 GiB, nothing in between.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host/kernel/host_config.hpp"
#include "sim/base/sockets.hpp"

namespace nvmesim::host {

// Where RAM of a given size lies in the physical address space.
class MemoryMap {
 public:
  static constexpr std::uint64_t kLowLimit = 2 * base::kGiB;
  static constexpr std::uint64_t kHighBase = 4 * base::kGiB;

  explicit MemoryMap(std::uint64_t bytes)
      : bytes_(bytes), low_bytes_(bytes < kLowLimit ? bytes : kLowLimit) {}

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t low_bytes() const { return low_bytes_; }
  std::uint64_t high_bytes() const { return bytes_ - low_bytes_; }
  // All of [address, address + bytes) is RAM.
  bool contains(std::uint64_t address, std::uint64_t bytes) const {
    if (address < low_bytes_) return bytes <= low_bytes_ - address;
    const std::uint64_t high = address - kHighBase;
    return address >= kHighBase && high < high_bytes() && bytes <= high_bytes() - high;
  }
  // Of an address that it contains: the offset in the mapping.
  std::uint64_t offset(std::uint64_t address) const {
    return address < kHighBase ? address : address - kHighBase + low_bytes_;
  }

 private:
  std::uint64_t bytes_;
  std::uint64_t low_bytes_;
};

class Memory : public sc_core::sc_module {
 private:
  void request(base::GenericPayload& payload);
  unsigned debug(base::GenericPayload& payload);

 public:
  base::TargetSocket<Memory, &Memory::request, &Memory::debug>
      port;  // bound to RootComplex::memory

  Memory(sc_core::sc_module_name name, const HostConfig& config, base::Scheduler& scheduler);
  ~Memory() override;

  const MemoryMap& map() const { return map_; }
  // The bytes behind it, in the order of MemoryMap::offset().
  std::byte* data() { return data_; }

 private:
  void answer(std::uint64_t payload);
  bool access(base::GenericPayload& payload);

  base::Scheduler& scheduler_;
  const MemoryMap map_;
  const base::Time read_latency_;
  const base::Pace read_pace_;
  std::byte* data_ = nullptr;
};

}  // namespace nvmesim::host
