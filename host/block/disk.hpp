// Block devices of a simulated host: what their memory is, and the one with a request queue.
#pragma once

#include <string>

#include "host/block/request_queue.hpp"

namespace nvmesim::host {

// A block device whose data lies in its machine's memory.
class MachineDisk : public BlockDevice {
 public:
  explicit MachineDisk(Machine& machine) : machine_(machine) {}

  std::uint32_t cpus() const override { return machine_.cpus(); }
  IoBuffer allocate_buffer(std::uint32_t bytes) override;
  void free_buffer(const IoBuffer& buffer) override;
  void write_buffer(const IoBuffer& buffer, std::uint32_t offset,
                    std::span<const std::byte> bytes) override;
  void read_buffer(const IoBuffer& buffer, std::uint32_t offset,
                   std::span<std::byte> bytes) const override;

 protected:
  Machine& machine_;
};

// Name, capacity and a request queue.
class Disk : public MachineDisk {
 public:
  Disk(std::string name, TagSet& set);

  RequestQueue& queue() { return queue_; }
  const RequestQueue& queue() const { return queue_; }
  void set_capacity(std::uint64_t sectors) { queue_.set_capacity(sectors); }
  // Logical and physical block size, request sizes, write cache; depth and queues are the tag
  // set's.
  void set_limits(const BlockLimits& limits);

  std::string_view name() const override { return name_; }
  std::uint64_t capacity_sectors() const override { return queue_.capacity_sectors(); }
  const BlockLimits& limits() const override { return queue_.limits(); }
  void unplug(CpuId cpu) override { queue_.unplug(cpu); }
  void submit(Bio& bio) override { queue_.submit(bio); }
  std::uint64_t waiting_for_tag() const override { return queue_.waiting_for_tag(); }
  void for_each_open(void (*visit)(void* context, const OpenBio& open),
                     void* context) const override;

 private:
  const std::string name_;
  RequestQueue queue_;
};

}  // namespace nvmesim::host
