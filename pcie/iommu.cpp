#include "pcie/iommu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

std::span<const base::ParamInfo> IommuConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"enabled", "", 0, 1, "the root complex translates the addresses of DMA"},
      {"cache_entries", "1", 1, 65536, "pages in the translation cache"},
      {"cache_ways", "1", 1, 64, "entries among which a page may be; divides cache_entries"},
      {"walk_accesses", "1", 1, 32, "memory accesses of a walk through the page table"},
      {"walk_access_ns", "ns", 0, 1'000'000, "time of each"},
      {"walkers", "1", 1, 1024, "walks that run at a time"},
  };
  return kParams;
}

void IommuConfig::validate() const {
  const auto sets = cache_ways == 0 ? 0 : cache_entries / cache_ways;
  if (cache_ways == 0 || cache_entries % cache_ways != 0 || !std::has_single_bit(sets)) {
    throw base::UserError(fmt::format(
        "root_complex.iommu.cache_entries and cache_ways are {} and {}; their quotient must be a "
        "power of two",
        cache_entries, cache_ways));
  }
}

Iommu::Iommu(const IommuConfig& config)
    : config_(config), cache_(config.cache_entries), walker_free_(config.walkers) {}

std::span<Iommu::Entry> Iommu::set_of(std::uint64_t page) {
  const std::uint64_t sets = config_.cache_entries / config_.cache_ways;
  return std::span(cache_).subspan((page & (sets - 1)) * config_.cache_ways, config_.cache_ways);
}

Iommu::Entry* Iommu::find(RequesterId requester, std::uint64_t page) {
  for (Entry& entry : set_of(page)) {
    if (entry.valid && entry.page == page && entry.requester == requester) return &entry;
  }
  return nullptr;
}

// An empty entry of the set, or the one that was not used for the longest time.
Iommu::Entry& Iommu::victim(std::uint64_t page) {
  const auto set = set_of(page);
  return *std::min_element(set.begin(), set.end(), [](const Entry& a, const Entry& b) {
    return a.valid != b.valid ? !a.valid : a.last_used < b.last_used;
  });
}

base::Time Iommu::walk(base::Time now) {
  base::Time& free = *std::min_element(walker_free_.begin(), walker_free_.end());
  free = std::max(free, now) +
         std::chrono::nanoseconds(std::uint64_t{config_.walk_accesses} * config_.walk_access_ns);
  return free;
}

Iommu::Translation Iommu::translate(RequesterId requester, std::uint64_t address, bool write,
                                    base::Time now) {
  for (const RequesterId passed : passed_through_) {
    if (passed != requester) continue;
    ++passed_;
    return {address, now, false};
  }
  const std::uint64_t page = address / kPageBytes;
  Entry* entry = find(requester, page);
  ++accesses_;
  if (entry != nullptr) {
    ++hits_;
  } else {
    ++misses_;
    const base::Time ready = walk(now);
    Page target{page, true};
    if (const auto table = tables_.find(requester); table != tables_.end()) {
      const auto found = table->second.find(page);
      if (found == table->second.end()) {  // faults are not cached
        log_fault({ready, requester, address, write});
        return {address, ready, true};
      }
      target = found->second;
    }
    entry = &victim(page);
    *entry = {true, requester, page, target, ready, 0};
  }
  entry->last_used = accesses_;
  const base::Time ready = std::max(now, entry->ready);
  if (write && !entry->target.writable) {
    log_fault({ready, requester, address, write});
    return {address, ready, true};
  }
  return {entry->target.physical * kPageBytes + address % kPageBytes, ready, false};
}

template <class Matches>
void Iommu::forget(const Matches& matches) {
  for (Entry& entry : cache_) {
    if (matches(entry)) entry.valid = false;
  }
}

void Iommu::attach(RequesterId requester) {
  std::erase(passed_through_, requester);
  tables_[requester].clear();
  forget([=](const Entry& entry) { return entry.requester == requester; });
}

void Iommu::detach(RequesterId requester) {
  tables_.erase(requester);
  forget([=](const Entry& entry) { return entry.requester == requester; });
}

void Iommu::pass_through(RequesterId requester) {
  detach(requester);
  std::erase(passed_through_, requester);
  passed_through_.push_back(requester);
}

void Iommu::map(RequesterId requester, std::uint64_t address, std::uint64_t physical,
                std::uint64_t bytes, bool writable) {
  NVMESIM_ASSERT((address | physical | bytes) % kPageBytes == 0, "no whole pages are mapped");
  const auto table = tables_.find(requester);
  NVMESIM_ASSERT(table != tables_.end(), "a function without a page table");
  for (std::uint64_t at = 0; at < bytes; at += kPageBytes) {
    table->second[(address + at) / kPageBytes] = {(physical + at) / kPageBytes, writable};
  }
}

void Iommu::unmap(RequesterId requester, std::uint64_t address, std::uint64_t bytes) {
  const auto table = tables_.find(requester);
  NVMESIM_ASSERT(table != tables_.end(), "a function without a page table");
  const std::uint64_t first = address / kPageBytes;
  const std::uint64_t count = base::ceil_div(bytes, kPageBytes);
  for (std::uint64_t page = first; page < first + count; ++page) table->second.erase(page);
  forget([=](const Entry& entry) {
    return entry.requester == requester && entry.page - first < count;
  });
}

void Iommu::log_fault(const Fault& fault) {
  ++fault_count_;
  if (faults_.size() < kFaultLog) faults_.push_back(fault);
  if (fault_handler_) fault_handler_(fault);
}

void Iommu::register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".hits", "1", "translations found in the cache", hits_);
  registry.add(name + ".misses", "1", "walks through the page table", misses_);
  registry.add(name + ".passed", "1", "requests of functions that pass through", passed_);
  registry.add(name + ".faults", "1", "requests that no mapping allows", fault_count_);
}

}  // namespace nvmesim::pcie
