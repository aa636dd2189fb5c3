// Counts operator new of the whole binary: after warm-up a steady load must not allocate.
#include <cstdlib>
#include <new>
#include <vector>

#include "sim/base/payload_pool.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "tests/support/catch.hpp"

namespace {
std::size_t allocations = 0;  // NOLINT: a replaced operator new has nowhere else to count
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace nvmesim::base {
namespace {

struct Plain : tlm::tlm_extension<Plain> {
  int value = 0;
  tlm::tlm_extension_base* clone() const override { return new Plain(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const Plain&>(other);
  }
};

// 128 chains, each with a deadline that is set and cancelled as an I/O timeout is.
struct Load {
  explicit Load(Scheduler& used) : scheduler(used), deadlines(128) {
    for (std::uint64_t i = 0; i < deadlines.size(); ++i) {
      scheduler.at<&Load::step>(Time{static_cast<std::int64_t>(i)}, this, i);
    }
  }
  void step(std::uint64_t chain) {
    if (++steps == kWarmUp) before = allocations;
    if (steps == kEnd) {
      after = allocations;
      scheduler.stop();
    }
    scheduler.cancel(deadlines[chain]);
    deadlines[chain] = scheduler.at<&Load::expired>(scheduler.now() + 30s, this);
    auto* payload = pool.take();
    payload->buffer = buffers.take();
    const auto delay = Time{static_cast<std::int64_t>(random.below(200'000'000))};
    scheduler.at<&Load::step>(scheduler.now() + delay, this, chain);
    payload->release();
  }
  void expired() { ++expiries; }

  static constexpr std::uint64_t kWarmUp = 20'000;
  static constexpr std::uint64_t kEnd = 200'000;
  Scheduler& scheduler;
  std::vector<Scheduler::Handle> deadlines;
  BufferPool buffers{4096};
  PayloadPool<Plain> pool;
  Random random{1, "load"};
  std::uint64_t steps = 0;
  std::uint64_t expiries = 0;
  std::size_t before = 0;
  std::size_t after = 0;
};

}  // namespace

TEST_CASE("entries, payloads and buffers are not allocated after warm-up") {
  Scheduler scheduler("scheduler");
  Load load(scheduler);
  scheduler.simulate();
  CHECK(load.steps == Load::kEnd);
  CHECK(load.expiries == 0);
  CHECK(load.before > 0);
  CHECK(load.after == load.before);
}

}  // namespace nvmesim::base
