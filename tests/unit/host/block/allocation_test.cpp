#include <cstdlib>
#include <new>

#include "tests/unit/host/block/fake_driver.hpp"

namespace {

std::size_t allocations = 0;

// Out of line, so that the compiler does not pair new with free().
[[gnu::noinline]] void* counted(std::size_t bytes) noexcept {
  ++allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void give_back(void* memory) noexcept {
  std::free(memory);
}

}  // namespace

// Every form: a sanitizer's own forms do not call each other.
void* operator new(std::size_t bytes) {
  if (void* memory = counted(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) {
  return operator new(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  give_back(memory);
}

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("submission, tags, waiting and completion allocate nothing after warm-up") {
  BlockBench bench({.depth = 8});
  bench.driver.record = false;
  struct Loop {
    BlockBench& bench;
    Bio bio;
    std::uint64_t left = 400;
    std::size_t* at_half;
    void go() { bench.disk.submit(bio); }
    void done() {
      if (--left == 200 && *at_half == 0) *at_half = allocations;
      if (left != 0) bench.disk.submit(bio);
    }
  };
  std::size_t at_half = 0;
  std::vector<Loop> loops;
  for (unsigned i = 0; i < 16; ++i) loops.push_back({bench, {}, 400, &at_half});
  for (Loop& loop : loops) {
    loop.bio.sectors = 8;
    loop.bio.cpu = CpuId(static_cast<std::uint16_t>((&loop - loops.data()) % 4));
    loop.bio.done = base::Callback::of<&Loop::done>(&loop);
    bench.host.scheduler.at<&Loop::go>(0ns, &loop);
  }
  sc_core::sc_start(10, sc_core::SC_US);
  const std::uint64_t entries = bench.host.scheduler.entries_run();
  sc_core::sc_start(30, sc_core::SC_MS);
  const std::size_t at_end = allocations;
  for (const Loop& loop : loops) CHECK(loop.left == 0);
  REQUIRE(at_half != 0);
  CHECK(at_end == at_half);
  // A submission slice and the fake device's own completion: two entries each.
  CHECK(bench.host.scheduler.entries_run() - entries < 16 * 400 * 2 + 50);
  bench.expect_idle();
}
