// The device's side of one split virtqueue (virtio 1.2, 2.7) in guest memory. Everything that the
// driver writes is checked when it is read; what makes no sense is a PeerError.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/bridge/guest_memory.hpp"

namespace nvmesim::bridge {

// A chain of descriptors that the driver made available: pieces to read, then pieces to write.
struct VirtqueueChain {
  std::uint16_t head = 0;
  std::vector<std::span<std::byte>> readable;
  std::vector<std::span<std::byte>> writable;
};

class Virtqueue {
 public:
  static constexpr std::uint32_t kMostEntries = 32768;

  // A power of two up to kMostEntries, else PeerError.
  void set_size(std::uint32_t entries);
  // Addresses of the other process.
  void set_addresses(const GuestMemory& memory, std::uint64_t descriptors, std::uint64_t available,
                     std::uint64_t used);
  void set_base(std::uint16_t next) { next_available_ = next; }
  void enable(bool on) { enabled_ = on; }
  bool enabled() const { return enabled_ && !descriptors_.empty(); }
  std::uint16_t next_available() const { return next_available_; }

  bool has_available() const;
  // The next chain, or nothing.
  std::optional<VirtqueueChain> pop(const GuestMemory& memory);
  // Gives a chain back, of which `written` bytes were written.
  void push(std::uint16_t head, std::uint32_t written);

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags;
    std::uint16_t next;
  };

  std::uint32_t entries_ = 0;
  bool enabled_ = false;
  std::span<std::byte> descriptors_;
  std::span<std::byte> available_;
  std::span<std::byte> used_;
  std::uint16_t next_available_ = 0;
  std::uint16_t next_used_ = 0;
};

}  // namespace nvmesim::bridge
