// An IOMMU in the root complex: turns the addresses of DMA into physical ones, page by page.
// A translation cache answers at once; a miss costs a walk through the page table, of which a few
// run at a time; requests for a page that is being walked wait for that walk. A function has the
// identity mapping over host memory until attach() gives it a page table of its own.
// Call translate() in the order of time. Faults are kept, the first kFaultLog of them in full.
#pragma once

#include <boost/describe.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pcie/tlp.hpp"
#include "sim/base/config.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

struct IommuConfig {
  bool enabled = false;
  std::uint32_t cache_entries = 64;
  std::uint32_t cache_ways = 8;
  std::uint32_t walk_accesses = 4;
  std::uint32_t walk_access_ns = 70;
  std::uint32_t walkers = 5;

  static std::span<const base::ParamInfo> params();
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(IommuConfig, (),
                      (enabled, cache_entries, cache_ways, walk_accesses, walk_access_ns, walkers))

class Iommu {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::size_t kFaultLog = 64;

  explicit Iommu(const IommuConfig& config);

  struct Translation {
    std::uint64_t address = 0;
    base::Time ready{0};
    bool fault = false;
  };
  // Of an access that stays within a page.
  Translation translate(RequesterId requester, std::uint64_t address, bool write, base::Time now);

  // Gives the function an empty page table; map and unmap change it. unmap and detach forget what
  // the cache has of them. Addresses and sizes are whole pages.
  void attach(RequesterId requester);
  void detach(RequesterId requester);
  // Its addresses are taken as they are, in no time.
  void pass_through(RequesterId requester);
  void map(RequesterId requester, std::uint64_t address, std::uint64_t physical,
           std::uint64_t bytes, bool writable = true);
  void unmap(RequesterId requester, std::uint64_t address, std::uint64_t bytes);

  struct Fault {
    base::Time when{0};
    RequesterId requester;
    std::uint64_t address = 0;
    bool write = false;
  };
  const std::vector<Fault>& faults() const { return faults_; }
  // A fault that somebody else found: no memory behind a translated address.
  void log_fault(const Fault& fault);
  // Told of each fault, at the time when it was found.
  void set_fault_handler(std::function<void(const Fault&)> handler) {
    fault_handler_ = std::move(handler);
  }
  std::uint64_t fault_count() const { return fault_count_; }
  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  struct Page {
    std::uint64_t physical = 0;
    bool writable = false;
  };
  struct Entry {
    bool valid = false;
    RequesterId requester;
    std::uint64_t page = 0;
    Page target;
    base::Time ready{0};          // the end of its walk
    std::uint64_t last_used = 0;  // counts accesses
  };
  using Table = boost::unordered_flat_map<std::uint64_t, Page>;

  Entry* find(RequesterId requester, std::uint64_t page);
  Entry& victim(std::uint64_t page);
  std::span<Entry> set_of(std::uint64_t page);
  base::Time walk(base::Time now);
  template <class Matches>
  void forget(const Matches& matches);

  const IommuConfig config_;
  std::map<RequesterId, Table> tables_;
  std::vector<RequesterId> passed_through_;
  std::function<void(const Fault&)> fault_handler_;
  std::vector<Entry> cache_;
  std::vector<base::Time> walker_free_;
  std::uint64_t accesses_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t passed_ = 0;
  std::uint64_t fault_count_ = 0;
  std::vector<Fault> faults_;
};

}  // namespace nvmesim::pcie
