#include "sim/bridge/virtqueue.hpp"

#include <atomic>
#include <bit>
#include <cstring>

namespace nvmesim::bridge {
namespace {

// virtio 1.2, 2.7.5 and 2.7.6.
constexpr std::uint16_t kFlagNext = 1;
constexpr std::uint16_t kFlagWrite = 2;
constexpr std::uint16_t kFlagIndirect = 4;
constexpr std::size_t kRingHeader = 4;  // flags, idx

std::uint16_t load16(std::span<std::byte> ring, std::size_t offset) {
  std::uint16_t value = 0;
  std::memcpy(&value, ring.data() + offset, sizeof value);
  return value;
}

}  // namespace

void Virtqueue::set_size(std::uint32_t entries) {
  if (!std::has_single_bit(entries) || entries > kMostEntries) {
    throw PeerError("the kernel sets up a virtqueue of a wrong size");
  }
  entries_ = entries;
  descriptors_ = available_ = used_ = {};  // they were as long as the size before
}

void Virtqueue::set_addresses(const GuestMemory& memory, std::uint64_t descriptors,
                              std::uint64_t available, std::uint64_t used) {
  if (entries_ == 0) throw PeerError("the kernel places a virtqueue before it gives its size");
  descriptors_ = memory.at_user(descriptors, std::uint64_t{entries_} * sizeof(Descriptor));
  available_ = memory.at_user(available, kRingHeader + std::uint64_t{entries_} * 2);
  used_ = memory.at_user(used, kRingHeader + std::uint64_t{entries_} * 8);
  if (descriptors_.empty() || available_.empty() || used_.empty()) {
    throw PeerError("the kernel places a virtqueue outside of its memory");
  }
  next_used_ = load16(used_, 2);
}

bool Virtqueue::has_available() const {
  return enabled() && load16(available_, 2) != next_available_;
}

std::optional<VirtqueueChain> Virtqueue::pop(const GuestMemory& memory) {
  if (!has_available()) return std::nullopt;
  const std::uint16_t available = load16(available_, 2);
  if (static_cast<std::uint16_t>(available - next_available_) > entries_) {
    throw PeerError("the kernel made more of a virtqueue available than it has");
  }
  // The entries were written before the index.
  std::atomic_thread_fence(std::memory_order_acquire);
  VirtqueueChain chain;
  chain.head = load16(available_, kRingHeader + 2 * std::size_t{next_available_ % entries_});
  ++next_available_;
  std::uint16_t index = chain.head;
  for (std::uint32_t links = 0;; ++links) {
    if (index >= entries_ || links >= entries_) {
      throw PeerError("the kernel made a virtqueue chain that leads nowhere");
    }
    Descriptor descriptor;
    std::memcpy(&descriptor, descriptors_.data() + index * sizeof descriptor, sizeof descriptor);
    const auto piece = memory.at_guest(descriptor.address, descriptor.bytes);
    if ((descriptor.flags & kFlagIndirect) != 0 || piece.empty()) {
      throw PeerError("the kernel made a virtqueue descriptor outside of its memory");
    }
    ((descriptor.flags & kFlagWrite) != 0 ? chain.writable : chain.readable).push_back(piece);
    if ((descriptor.flags & kFlagNext) == 0) return chain;
    index = descriptor.next;
  }
}

void Virtqueue::push(std::uint16_t head, std::uint32_t written) {
  if (used_.empty()) throw PeerError("the kernel took a virtqueue away while it was in use");
  const std::uint32_t element[2] = {head, written};
  std::memcpy(used_.data() + kRingHeader + sizeof element * std::size_t{next_used_ % entries_},
              element, sizeof element);
  ++next_used_;
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(used_.data() + 2, &next_used_, sizeof next_used_);
}

}  // namespace nvmesim::bridge
