#include "host/nvme/prp.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::host {
namespace {

constexpr std::uint64_t kOffsetMask = kPageBytes - 1;

}  // namespace

PrpMapper::PrpMapper(PageAllocator& pages, PhysicalMemory& memory)
    : memory_(memory),
      page_pool_("prp list page", pages, kPageBytes, kPageBytes),
      small_pool_("prp list 256", pages, kSmallBytes, kSmallBytes) {
  entries_.reserve(3 * kPageEntries);
}

PrpResult PrpMapper::map(std::span<const DataSegment> segments, PrpMapping& mapping) {
  NVMESIM_ASSERT(!segments.empty() && mapping.lists == 0,
                 "a PRP mapping of nothing, or made twice");
  const DataSegment& first = segments.front();
  const std::uint64_t first_bytes = kPageBytes - (first.address & kOffsetMask);
  mapping.prp1 = first.address;
  mapping.prp2 = 0;
  if (segments.size() == 1 && first.bytes <= first_bytes) return PrpResult::kOk;
  if (segments.size() == 1 && first.bytes <= first_bytes + kPageBytes) {
    mapping.prp2 = first.address + first_bytes;
    return PrpResult::kOk;
  }
  if (!collect(segments, first_bytes)) return PrpResult::kBadSegments;
  if (entries_.size() == 1) {
    mapping.prp2 = entries_.front();
    return PrpResult::kOk;
  }
  if (!allocate(mapping)) return PrpResult::kNoMemory;
  write(mapping);
  mapping.prp2 = mapping.list[0];
  return PrpResult::kOk;
}

// The page addresses behind the first (partial) page.
bool PrpMapper::collect(std::span<const DataSegment> segments, std::uint64_t first_bytes) {
  entries_.clear();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    std::uint64_t address = segments[i].address;
    const std::uint64_t end = address + segments[i].bytes;
    const bool last = i + 1 == segments.size();
    if (i != 0 && (address & kOffsetMask) != 0) return false;
    if (!last && (end & kOffsetMask) != 0) return false;
    if (i == 0) address += first_bytes;
    for (; address < end; address += kPageBytes) entries_.push_back(address);
  }
  return true;
}

bool PrpMapper::allocate(PrpMapping& mapping) {
  const std::size_t count = entries_.size();
  mapping.small = count <= kSmallEntries;
  // Each page but the last gives one entry to the chain; a full last page keeps all of its own.
  const std::size_t blocks =
      count <= kPageEntries ? 1 : 1 + base::ceil_div(count - kPageEntries, kPageEntries - 1);
  NVMESIM_ASSERT(blocks <= mapping.list.size(), "a request is larger than its PRP lists can be");
  DmaPool& pool = mapping.small ? small_pool_ : page_pool_;
  for (mapping.lists = 0; mapping.lists < blocks; ++mapping.lists) {
    const std::uint64_t block = pool.alloc();
    if (block == 0) {
      unmap(mapping);
      return false;
    }
    mapping.list[mapping.lists] = block;
  }
  return true;
}

void PrpMapper::write(const PrpMapping& mapping) {
  const std::uint64_t* next = entries_.data();
  std::size_t left = entries_.size();
  for (std::size_t i = 0; i < mapping.lists; ++i) {
    const bool last = i + 1 == mapping.lists;
    const std::size_t here = last ? left : kPageEntries - 1;
    memory_.copy_in(mapping.list[i], next, here * sizeof(std::uint64_t));
    if (!last) memory_.store(mapping.list[i] + here * sizeof(std::uint64_t), mapping.list[i + 1]);
    next += here;
    left -= here;
  }
}

void PrpMapper::unmap(PrpMapping& mapping) {
  DmaPool& pool = mapping.small ? small_pool_ : page_pool_;
  while (mapping.lists > 0) pool.free(mapping.list[--mapping.lists]);
}

}  // namespace nvmesim::host
