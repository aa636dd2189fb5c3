#include "device/local_memory.hpp"

#include <cstring>

namespace nvmesim::device {

LocalMemory::LocalMemory(const ControllerConfig& config, base::Scheduler& scheduler,
                         pcie::FunctionPort& outside)
    : scheduler_(scheduler),
      outside_(outside),
      latency_(std::chrono::nanoseconds(config.cmb.access_ns)),
      pace_(base::Pace::bytes_per_second(std::uint64_t{config.cmb.mb_per_s} * 1'000'000)) {
  windows_[kCmb].bytes.resize(config.cmb.bytes());
  windows_[kPmr].bytes.resize(config.pmr.bytes());
}

void LocalMemory::map(Region region, std::uint64_t address) {
  windows_[region].address = address;
  windows_[region].mapped = true;
}

bool LocalMemory::contains(Region region, std::uint64_t address) const {
  const Window& window = windows_[region];
  return window.mapped && address - window.address < window.bytes.size();
}

// Requests do not cross 4 KiB boundaries and windows begin and end at them.
std::byte* LocalMemory::find(std::uint64_t address, std::size_t bytes) {
  for (Window& window : windows_) {
    const std::uint64_t offset = address - window.address;
    if (window.mapped && offset < window.bytes.size() && bytes <= window.bytes.size() - offset) {
      return window.bytes.data() + offset;
    }
  }
  return nullptr;
}

bool LocalMemory::host_write(Region region, std::uint64_t offset, std::span<const std::byte> data) {
  Window& window = windows_[region];
  if (offset > window.bytes.size() || data.size() > window.bytes.size() - offset) return false;
  std::memcpy(window.bytes.data() + offset, data.data(), data.size());
  return true;
}

bool LocalMemory::host_read(Region region, std::uint64_t offset, std::span<std::byte> data) const {
  const Window& window = windows_[region];
  if (offset > window.bytes.size() || data.size() > window.bytes.size() - offset) return false;
  std::memcpy(data.data(), window.bytes.data() + offset, data.size());
  return true;
}

LocalMemory::Access& LocalMemory::begin(std::byte* memory, std::size_t bytes, base::BufferRef keep,
                                        base::Callback done) {
  if (free_.empty()) {
    free_.reserve(pool_.size() + 1);
    free_.push_back(static_cast<std::uint32_t>(pool_.size()));
    pool_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Access& access = pool_[index];
  access.busy = true;
  access.memory = memory;
  access.bytes = bytes;
  access.keep = std::move(keep);
  access.done = done;
  access.generation = generation_;
  ++accesses_;
  const base::Time duration = pace_(bytes);
  const base::Time start = unit_.reserve(scheduler_.now(), duration);
  scheduler_.at<&LocalMemory::ended>(start + duration + latency_, this, index);
  return access;
}

void LocalMemory::dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                           base::Callback done) {
  std::byte* memory = find(address, into.size());
  if (memory == nullptr) {
    outside_.dma_read(address, into, std::move(keep), done);
    return;
  }
  Access& access = begin(memory, into.size(), std::move(keep), done);
  access.write = false;
  access.into = into.data();
}

void LocalMemory::dma_write(std::uint64_t address, std::span<const std::byte> from,
                            base::BufferRef keep, WriteOptions options, base::Callback sent) {
  std::byte* memory = find(address, from.size());
  if (memory == nullptr) {
    outside_.dma_write(address, from, std::move(keep), options, sent);
    return;
  }
  const bool owned = static_cast<bool>(keep);
  Access& access = begin(memory, options.dataless ? 0 : from.size(), std::move(keep), sent);
  access.write = true;
  access.from = from.data();
  if (!owned) {
    std::memcpy(access.copy.data(), from.data(), from.size());
    access.from = access.copy.data();
  }
}

void LocalMemory::ended(std::uint64_t index) {
  Access& access = pool_[index];
  const bool alive = access.generation == generation_;
  if (alive) {
    if (access.write) {
      std::memcpy(access.memory, access.from, access.bytes);
    } else {
      std::memcpy(access.into, access.memory, access.bytes);
    }
  }
  const base::Callback done = access.done;
  access.busy = false;
  access.keep.reset();
  free_.push_back(static_cast<std::uint32_t>(index));
  if (!alive || !done) return;
  calling_ = true;
  done();
  calling_ = false;
}

pcie::DmaStatus LocalMemory::dma_status() const {
  return calling_ ? pcie::DmaStatus::kOk : outside_.dma_status();
}

void LocalMemory::drop_requests() {
  ++generation_;
  outside_.drop_requests();
}

}  // namespace nvmesim::device
