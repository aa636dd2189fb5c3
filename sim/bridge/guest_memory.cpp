#include "sim/bridge/guest_memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

namespace nvmesim::bridge {
namespace {

constexpr std::uint64_t kPage = 4096;

// The handler of a signal is given no object, so what it needs is static, and nothing but it: a
// slot for each mapping, claimed and given up by add() and clear(). An empty one has no bytes.
struct Guarded {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> bytes{0};
  std::atomic<bool> lost{false};
};
std::array<Guarded, 2 * GuestMemory::kMostRegions> guarded;

void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Guarded& one : guarded) {
    if (at - one.begin >= one.bytes) continue;
    void* page = reinterpret_cast<void*>(at & ~(kPage - 1));
    if (mmap(page, kPage, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
        page) {
      one.lost = true;
      return;
    }
  }
  ::signal(signal, SIG_DFL);  // the access is repeated, and is fatal
}

// The slot; none if all are taken.
std::optional<std::size_t> guard(void* mapping, std::uint64_t bytes) {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
  for (std::size_t i = 0; i < guarded.size(); ++i) {
    if (guarded[i].bytes != 0) continue;
    guarded[i].begin = reinterpret_cast<std::uintptr_t>(mapping);
    guarded[i].lost = false;
    guarded[i].bytes = bytes;
    return i;
  }
  return std::nullopt;
}

bool wraps(std::uint64_t begin, std::uint64_t bytes) {
  return begin + bytes < begin;
}

bool overlap(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

}  // namespace

bool GuestMemory::lost() const {
  return std::any_of(regions_.begin(), regions_.end(),
                     [](const Mapped& region) { return guarded[region.slot].lost.load(); });
}

void GuestMemory::add(const MemoryRegion& region, const Fd& file) {
  if (region.bytes == 0 || wraps(region.guest_address, region.bytes) ||
      wraps(region.user_address, region.bytes) || wraps(region.file_offset, region.bytes)) {
    throw PeerError("the kernel offers a region of memory without sensible bounds");
  }
  for (const Mapped& other : regions_) {
    if (overlap(other.guest_address, other.bytes, region.guest_address, region.bytes) ||
        overlap(other.user_address, other.bytes, region.user_address, region.bytes)) {
      throw PeerError("the kernel offers regions of memory that overlap");
    }
  }
  struct stat facts {};
  // Beyond the end of the file a mapping has no bytes: an access would be fatal.
  if (fstat(file.get(), &facts) != 0 || facts.st_size < 0 ||
      region.file_offset + region.bytes > static_cast<std::uint64_t>(facts.st_size)) {
    throw PeerError("the kernel offers a region of memory that is longer than its file");
  }
  Mapped mapped{region};
  const std::uint64_t skipped = region.file_offset % kPage;
  mapped.mapping_bytes = region.bytes + skipped;
  mapped.mapping = mmap(nullptr, mapped.mapping_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        file.get(), static_cast<off_t>(region.file_offset - skipped));
  if (mapped.mapping == MAP_FAILED) {
    throw PeerError(
        fmt::format("the memory of the kernel cannot be mapped: {}", std::strerror(errno)));
  }
  mapped.data = static_cast<std::byte*>(mapped.mapping) + skipped;
  const auto slot = guard(mapped.mapping, mapped.mapping_bytes);
  if (!slot) {
    munmap(mapped.mapping, mapped.mapping_bytes);
    throw PeerError("the kernel offers more regions of memory than can be guarded");
  }
  mapped.slot = *slot;
  regions_.push_back(mapped);
}

void GuestMemory::clear() {
  for (const Mapped& region : regions_) {
    guarded[region.slot].bytes = 0;
    munmap(region.mapping, region.mapping_bytes);
  }
  regions_.clear();
}

std::span<std::byte> GuestMemory::at_guest(std::uint64_t address, std::uint64_t bytes) const {
  for (const Mapped& region : regions_) {
    const std::uint64_t offset = address - region.guest_address;
    if (address >= region.guest_address && offset < region.bytes &&
        bytes <= region.bytes - offset) {
      return {region.data + offset, bytes};
    }
  }
  return {};
}

std::span<std::byte> GuestMemory::at_user(std::uint64_t address, std::uint64_t bytes) const {
  for (const Mapped& region : regions_) {
    const std::uint64_t offset = address - region.user_address;
    if (address >= region.user_address && offset < region.bytes && bytes <= region.bytes - offset) {
      return {region.data + offset, bytes};
    }
  }
  return {};
}

}  // namespace nvmesim::bridge
