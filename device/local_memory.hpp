// Memory in the controller that the host reaches through a BAR: controller memory buffer (section
// 4.7) and persistent memory region (section 4.8). It stands in front of the endpoint's port:
// requests of the controller to an address in one of them cost no PCIe traffic, all others go on.
// A controller without such memory has no LocalMemory.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "device/controller_config.hpp"
#include "pcie/function.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::device {

class LocalMemory : public pcie::FunctionPort {
 public:
  enum Region : unsigned { kCmb, kPmr, kRegions };

  LocalMemory(const ControllerConfig& config, base::Scheduler& scheduler,
              pcie::FunctionPort& outside);

  // Where the controller sees a region (CMBMSC.CBA, PMRMSC.CBA).
  void map(Region region, std::uint64_t address);
  void unmap(Region region) { windows_[region].mapped = false; }
  bool contains(Region region, std::uint64_t address) const;
  bool contains(std::uint64_t address) const {
    return contains(kCmb, address) || contains(kPmr, address);
  }

  // The host's accesses. False beyond the end.
  bool host_write(Region region, std::uint64_t offset, std::span<const std::byte> data);
  bool host_read(Region region, std::uint64_t offset, std::span<std::byte> data) const;

  void dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                base::Callback done) override;
  void dma_write(std::uint64_t address, std::span<const std::byte> from, base::BufferRef keep,
                 WriteOptions options, base::Callback sent) override;
  pcie::DmaStatus dma_status() const override;
  void interrupt(pcie::VectorId vector) override { outside_.interrupt(vector); }
  void interrupt_served(pcie::VectorId vector) override { outside_.interrupt_served(vector); }
  bool interrupt_by_pin() const override { return outside_.interrupt_by_pin(); }
  bool interrupt_by_table() const override { return outside_.interrupt_by_table(); }
  bool interrupt_enabled(pcie::VectorId vector) const override {
    return outside_.interrupt_enabled(vector);
  }
  void drop_requests() override;
  bool bus_master() const override { return outside_.bus_master(); }
  void deliver_promptly(bool promptly) override { outside_.deliver_promptly(promptly); }
  pcie::RequesterId id() const override { return outside_.id(); }

  const std::uint64_t& accesses_counter() const { return accesses_; }

 private:
  struct Window {
    std::uint64_t address = 0;
    bool mapped = false;
    std::vector<std::byte> bytes;
  };
  struct Access {
    bool busy = false;
    bool write = false;
    std::byte* memory = nullptr;
    std::byte* into = nullptr;
    const std::byte* from = nullptr;
    std::size_t bytes = 0;
    std::array<std::byte, 64> copy;  // of a short write without an owner
    base::BufferRef keep;
    base::Callback done;
    std::uint64_t generation = 0;
  };
  std::byte* find(std::uint64_t address, std::size_t bytes);
  Access& begin(std::byte* memory, std::size_t bytes, base::BufferRef keep, base::Callback done);
  void ended(std::uint64_t index);

  base::Scheduler& scheduler_;
  pcie::FunctionPort& outside_;
  std::array<Window, kRegions> windows_;
  base::Timeline unit_{"local_memory"};
  const base::Time latency_;
  const base::Pace pace_;
  std::deque<Access> pool_;
  std::vector<std::uint32_t> free_;
  std::uint64_t generation_ = 0;
  bool calling_ = false;  // the call-back that runs is of an access here
  std::uint64_t accesses_ = 0;
};

}  // namespace nvmesim::device
