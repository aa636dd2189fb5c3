#include "host/kernel/dma_pool.hpp"

#include <map>
#include <set>
#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/kernel/fake_bus.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

namespace {

// What is allocated, to find overlaps.
class Taken {
 public:
  bool add(std::uint64_t address, std::uint64_t bytes) {
    const auto next = ranges_.lower_bound(address);
    if (next != ranges_.end() && next->first < address + bytes) return false;
    if (next != ranges_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second > address) return false;
    }
    ranges_[address] = bytes;
    return true;
  }
  void remove(std::uint64_t address) { ranges_.erase(address); }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;
};

HostConfig small_memory(std::uint64_t bytes) {
  HostConfig config;
  config.memory_bytes = bytes;
  return config;
}

}  // namespace

TEST_CASE("pages and ranges never overlap and all come back") {
  QuietHost host(small_memory(64 * base::kMiB));
  PageAllocator& pages = host.machine.pages;
  Taken taken;
  std::vector<DmaMemory> held;
  base::Random random(1, "dma_test");
  for (int step = 0; step < 20000; ++step) {
    if (held.empty() || random.below(100) < 52) {
      const bool single = random.below(2) == 0;
      const std::uint64_t bytes = single ? kPageBytes : 1 + random.below(40 * kPageBytes);
      const DmaMemory range =
          single ? DmaMemory{pages.allocate_page(), bytes} : pages.allocate_range(bytes);
      if (!range) continue;
      REQUIRE(range.address % kPageBytes == 0);
      const std::uint64_t whole = base::ceil_div(bytes, kPageBytes) * kPageBytes;
      REQUIRE(host.memory.map().contains(range.address, whole));
      REQUIRE(taken.add(range.address, whole));
      held.push_back({range.address, single ? 0 : bytes});
    } else {
      const std::size_t index = random.below(held.size());
      const DmaMemory range = held[index];
      held[index] = held.back();
      held.pop_back();
      taken.remove(range.address);
      range.bytes == 0 ? pages.free_page(range.address) : pages.free_range(range);
    }
  }
  for (const DmaMemory& range : held) {
    range.bytes == 0 ? pages.free_page(range.address) : pages.free_range(range);
  }
  CHECK(pages.pages_in_use() == 0);
  // Nothing is lost to fragments: all of it can be had in one piece again.
  const DmaMemory all = pages.allocate_range(pages.pages() * kPageBytes);
  CHECK(static_cast<bool>(all));
}

TEST_CASE("memory above 2 GiB lies above 4 GiB and running out is an answer") {
  QuietHost host(small_memory(2 * base::kGiB + base::kMiB));
  PageAllocator& pages = host.machine.pages;
  const DmaMemory low = pages.allocate_range(2 * base::kGiB - base::kMiB);
  REQUIRE(static_cast<bool>(low));
  const DmaMemory high = pages.allocate_range(base::kMiB);
  REQUIRE(static_cast<bool>(high));
  CHECK(high.address == 4 * base::kGiB);
  host.machine.memory.store<std::uint64_t>(high.address, 0x1122334455667788);
  CHECK(host.machine.memory.load<std::uint64_t>(high.address) == 0x1122334455667788);
  CHECK(pages.allocate_page() == 0);
  CHECK_FALSE(static_cast<bool>(pages.allocate_range(1)));
}

TEST_CASE("coherent memory is zeroed and counted") {
  QuietHost host;
  PageAllocator& pages = host.machine.pages;
  const DmaMemory first = pages.dma_alloc_coherent(8000);
  host.machine.memory.store<std::uint32_t>(first.address + 7996, ~0u);
  CHECK(pages.coherent_bytes_in_use() == 8000);
  pages.dma_free_coherent(first);
  CHECK(pages.coherent_bytes_in_use() == 0);
  const DmaMemory second = pages.dma_alloc_coherent(8192);
  CHECK(second.address == first.address);
  CHECK(host.machine.memory.load<std::uint32_t>(second.address + 7996) == 0);
  pages.dma_free_coherent(second);
  CHECK(pages.pages_in_use() == 0);
}

TEST_CASE("pool blocks are distinct, aligned, within a page, and the last freed comes first") {
  QuietHost host;
  base::Random random(2, "dma_pool_test");
  for (const std::uint32_t size : {16u, 200u, 256u, 1000u, 4096u}) {
    DmaPool pool("pool", host.machine.pages, size, 64);
    Taken taken;
    std::vector<std::uint64_t> held;
    for (int step = 0; step < 3000; ++step) {
      if (held.empty() || random.below(100) < 55) {
        const std::uint64_t block = pool.alloc();
        REQUIRE(block % 64 == 0);
        REQUIRE(block / kPageBytes == (block + pool.block_bytes() - 1) / kPageBytes);
        REQUIRE(taken.add(block, pool.block_bytes()));
        held.push_back(block);
      } else {
        const std::size_t index = random.below(held.size());
        const std::uint64_t block = held[index];
        pool.free(block);
        REQUIRE(pool.alloc() == block);
        pool.free(block);
        taken.remove(block);
        held[index] = held.back();
        held.pop_back();
      }
      REQUIRE(pool.in_use() == held.size());
    }
    for (const std::uint64_t block : held) pool.free(block);
  }
  CHECK(host.machine.pages.pages_in_use() == 0);
}
