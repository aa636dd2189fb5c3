#include "host/kernel/dma_mapping.hpp"

#include <algorithm>

#include "host/kernel/machine.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::host {
namespace {

// Where lazy unmapping gathers so many before it invalidates (as Linux has done since 2008).
constexpr std::uint64_t kLazyUnmaps = 250;

base::Time ns(std::uint32_t count) {
  return std::chrono::nanoseconds(count);
}

}  // namespace

void DmaMapping::use(pcie::Iommu& iommu) {
  mode_ = machine_.config().iommu.mode;
  (mode_ == IommuMode::passthrough ? passed_ : iommu_) = &iommu;
  iommu.set_fault_handler([this](const pcie::Iommu::Fault& each) { fault(each); });
}

void DmaMapping::attach(pcie::RequesterId function) {
  if (passed_ != nullptr) passed_->pass_through(function);
  if (iommu_ == nullptr ||
      std::find(functions_.begin(), functions_.end(), function) != functions_.end()) {
    return;
  }
  NVMESIM_ASSERT(pages_.empty(), "memory was mapped before all functions were attached");
  iommu_->attach(function);
  functions_.push_back(function);
}

void DmaMapping::set(std::uint64_t page, bool writable) {
  const std::uint64_t address = page * pcie::Iommu::kPageBytes;
  for (const pcie::RequesterId function : functions_) {
    iommu_->map(function, address, address, pcie::Iommu::kPageBytes, writable);
  }
}

void DmaMapping::forget(std::uint64_t page) {
  for (const pcie::RequesterId function : functions_) {
    iommu_->unmap(function, page * pcie::Iommu::kPageBytes, pcie::Iommu::kPageBytes);
  }
}

void DmaMapping::map(std::uint64_t address, std::uint64_t bytes, bool writable) {
  if (iommu_ == nullptr || bytes == 0) return;
  ++maps_;
  machine_.charge(ns(machine_.config().iommu.map_ns));
  const std::uint64_t last = (address + bytes - 1) / pcie::Iommu::kPageBytes;
  for (std::uint64_t page = address / pcie::Iommu::kPageBytes; page <= last; ++page) {
    Users& users = pages_[page];
    const bool before = users.writing != 0;
    ++users.all;
    if (writable) ++users.writing;
    if (users.all == 1) {
      set(page, writable);
    } else if (writable && !before) {
      forget(page);
      set(page, true);
    }
  }
}

// Lazily unmapped pages are invalid at once here, as another address would be in Linux; only the
// cost of invalidating is put off.
void DmaMapping::unmap(std::uint64_t address, std::uint64_t bytes, bool writable) {
  if (iommu_ == nullptr || bytes == 0) return;
  ++unmaps_;
  machine_.charge(ns(machine_.config().iommu.unmap_ns));
  const std::uint64_t last = (address + bytes - 1) / pcie::Iommu::kPageBytes;
  for (std::uint64_t page = address / pcie::Iommu::kPageBytes; page <= last; ++page) {
    const auto found = pages_.find(page);
    NVMESIM_ASSERT(found != pages_.end(), "a page was unmapped that is not mapped");
    Users& users = found->second;
    --users.all;
    if (writable) --users.writing;
    if (users.all == 0) {
      forget(page);
      pages_.erase(found);
    } else if (writable && users.writing == 0) {
      forget(page);
      set(page, false);
    }
  }
  if (mode_ == IommuMode::lazy && ++unmaps_since_flush_ < kLazyUnmaps) return;
  unmaps_since_flush_ = 0;
  ++flushes_;
  machine_.charge(ns(machine_.config().iommu.flush_ns));
}

void DmaMapping::fault(const pcie::Iommu::Fault& fault) {
  const unsigned id = fault.requester.value();
  machine_.log.print(PrintLevel::kError,
                     "DMAR: {:02x}:{:02x}.{:x}: no mapping allows its {} at {:#x}", id >> 8,
                     id >> 3 & 31, id & 7, fault.write ? "write" : "read", fault.address);
}

void DmaMapping::add_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  if (iommu_ == nullptr) return;
  const std::string name(prefix);
  registry.add(name + ".maps", "1", "Buffers that were mapped for DMA.", maps_);
  registry.add(name + ".unmaps", "1", "Buffers that were unmapped.", unmaps_);
  registry.add(name + ".flushes", "1", "Invalidations of the IOMMU's cache that were paid for.",
               flushes_);
  registry.add(name + ".pages", "1", "Pages that are mapped.",
               [this] { return static_cast<std::uint64_t>(pages_.size()); });
}

}  // namespace nvmesim::host
