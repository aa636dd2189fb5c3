// The processors' own way to host RAM, free of simulated time: a plain pointer into our Memory, or
// debug transport when a foreign TLM memory stands in its place. Multi-byte values are
// little-endian.
#pragma once

#include <cstring>
#include <type_traits>

#include "host/kernel/memory.hpp"

namespace nvmesim::host {

class PhysicalMemory {
 public:
  explicit PhysicalMemory(std::uint64_t bytes) : map_(bytes) {}

  void attach(Memory& memory) { data_ = memory.data(); }
  void attach(tlm::tlm_fw_transport_if<>& memory) { debug_ = &memory; }

  const MemoryMap& map() const { return map_; }

  template <class T>
  T load(std::uint64_t address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    copy_out(address, &value, sizeof(T));
    return value;
  }
  template <class T>
  void store(std::uint64_t address, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    copy_in(address, &value, sizeof(T));
  }
  // Into memory.
  void copy_in(std::uint64_t address, const void* from, std::size_t bytes) {
    if (data_ != nullptr && map_.contains(address, bytes)) [[likely]] {
      std::memcpy(data_ + map_.offset(address), from, bytes);
    } else {
      debug_access(tlm::TLM_WRITE_COMMAND, address, const_cast<void*>(from), bytes);
    }
  }
  // Out of memory.
  void copy_out(std::uint64_t address, void* to, std::size_t bytes) const {
    if (data_ != nullptr && map_.contains(address, bytes)) [[likely]] {
      std::memcpy(to, data_ + map_.offset(address), bytes);
    } else {
      debug_access(tlm::TLM_READ_COMMAND, address, to, bytes);
    }
  }
  void zero(std::uint64_t address, std::size_t bytes);

 private:
  void debug_access(tlm::tlm_command command, std::uint64_t address, void* data,
                    std::size_t bytes) const;

  const MemoryMap map_;
  std::byte* data_ = nullptr;
  tlm::tlm_fw_transport_if<>* debug_ = nullptr;
};

}  // namespace nvmesim::host
