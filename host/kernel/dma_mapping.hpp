// The kernel's DMA mapping: what a function may reach in host memory. Without an IOMMU, and with
// one in passthrough, everything; else only what is mapped, for as long as it is. Addresses of the
// bus are those of memory (each mapping is of a page to itself), so nothing but time and rights
// depends on it.
//
// All functions share one set of mappings. Buffers may share pages: a page is mapped as long as one
// of its users is, and writable as long as one of these is.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "host/kernel/host_config.hpp"
#include "pcie/iommu.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::host {

class Machine;

class DmaMapping {
 public:
  explicit DmaMapping(Machine& machine) : machine_(machine) {}
  DmaMapping(const DmaMapping&) = delete;
  DmaMapping& operator=(const DmaMapping&) = delete;

  // The root complex's, before the simulation starts. Its faults go to the kernel's log.
  void use(pcie::Iommu& iommu);
  // Before the function does DMA, once: it gets what is mapped, or a way around the IOMMU.
  void attach(pcie::RequesterId function);

  // False: map() and unmap() are not needed.
  bool active() const { return iommu_ != nullptr; }
  // [address, address + bytes); writable: by the device. Charged to the running processor.
  void map(std::uint64_t address, std::uint64_t bytes, bool writable);
  void unmap(std::uint64_t address, std::uint64_t bytes, bool writable);

  std::uint64_t pages() const { return pages_.size(); }
  void add_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  struct Users {
    std::uint32_t all = 0;
    std::uint32_t writing = 0;
  };
  void set(std::uint64_t page, bool writable);
  void forget(std::uint64_t page);
  void fault(const pcie::Iommu::Fault& fault);

  Machine& machine_;
  pcie::Iommu* iommu_ = nullptr;  // null: none, or passthrough
  pcie::Iommu* passed_ = nullptr;
  IommuMode mode_ = IommuMode::lazy;
  std::vector<pcie::RequesterId> functions_;
  boost::unordered_flat_map<std::uint64_t, Users> pages_;
  std::uint64_t unmaps_since_flush_ = 0;
  std::uint64_t maps_ = 0;
  std::uint64_t unmaps_ = 0;
  std::uint64_t flushes_ = 0;
};

}  // namespace nvmesim::host
