// Shadow doorbells: a host that rings only when the event index asks for it is never forgotten.
#include "sim/base/random.hpp"
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kShadow = 0x70'0000;
constexpr std::uint64_t kEventIndex = 0x71'0000;

device::ControllerConfig with_shadows() {
  device::ControllerConfig config = small_config();
  config.doorbell_buffer_config = true;
  return config;
}

struct Shadowed : DataBench {
  explicit Shadowed(device::ControllerConfig wanted = with_shadows()) : DataBench(wanted) {
    set(kShadow, 4096, 0);
    set(kEventIndex, 4096, 0);
    REQUIRE(configure(kShadow, kEventIndex) == Status::kSuccess);
  }
  spec::SubmissionEntry command(std::uint64_t buffer, std::uint64_t event_index) {
    auto entry = admin(spec::AdminOpcode::kDoorbellBufferConfig);
    entry.prp1 = buffer;
    entry.prp2 = event_index;
    return entry;
  }
  Status configure(std::uint64_t buffer, std::uint64_t event_index) {
    return status(0, command(buffer, event_index));
  }
  std::uint64_t place(std::uint64_t base, unsigned doorbell) const {
    return base + (std::uint64_t{doorbell} << (2 + config.dstrd));
  }
  // As a driver does: the register only if the value passes the event index (16-bit arithmetic).
  bool update(unsigned doorbell, std::uint32_t value) {
    const std::uint64_t slot = place(kShadow, doorbell);
    const auto old = static_cast<std::uint16_t>(port.load<std::uint32_t>(slot));
    port.store(slot, value);
    const auto index = port.load<std::uint32_t>(place(kEventIndex, doorbell));
    const auto fresh = static_cast<std::uint16_t>(value);
    const bool needed =
        static_cast<std::uint16_t>(fresh - index - 1) < static_cast<std::uint16_t>(fresh - old);
    if (needed) {
      ++rings;
      write32(spec::kDoorbellBase + (doorbell << (2 + config.dstrd)), value);
    }
    return needed;
  }
  // Takes completions of queue 1 and publishes the head.
  std::size_t take() {
    const auto found = reap(1, false);
    if (!found.empty()) update(3, queue(1).head);
    for (const Completion& each : found) CHECK(each.status() == Status::kSuccess);
    return found.size();
  }
  int rings = 0;
};

}  // namespace

TEST_CASE("entries behind the event index are found without a ring") {
  Shadowed bench;
  for (int i = 0; i < 20; ++i) bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  CHECK(bench.update(2, 20));
  bench.run(100us);
  CHECK(bench.take() == 20);
  // All fetched: the index lies at the tail, so the next one rings.
  CHECK(bench.port.load<std::uint32_t>(bench.place(kEventIndex, 2)) == 20);
  bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  CHECK(bench.update(2, 21));
  // While the controller works on it, more come without.
  bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  CHECK_FALSE(bench.update(2, 22));
  bench.run(100us);
  CHECK(bench.take() == 2);
  CHECK(bench.idle());
}
TEST_CASE("a host that rings only when asked loses no command and no room") {
  Shadowed bench;
  base::Random random(7, "shadow");
  std::size_t sent = 0;
  std::size_t ended = 0;
  std::uint32_t open = 0;
  for (int step = 0; step < 4000; ++step) {
    const auto wanted = static_cast<std::uint32_t>(random.below(6));
    for (std::uint32_t i = 0; i < wanted && open < 62; ++i, ++open, ++sent) {
      bench.put(1, io(NvmOpcode::kRead, random.below(1000), 1));
    }
    bench.update(2, bench.queue(1).tail);
    bench.run(base::picoseconds(static_cast<std::int64_t>(random.below(3'000'000))));
    if (random.chance(1, 3)) {
      const std::size_t taken = bench.take();
      ended += taken;
      open -= static_cast<std::uint32_t>(taken);
    }
  }
  bench.run(1ms);
  for (int i = 0; i < 5; ++i, bench.run(1ms)) ended += bench.take();
  CHECK(ended == sent);
  CHECK(sent > 5000);
  CHECK(bench.rings < 8000);
  CHECK(bench.idle());
  CHECK(bench.controller->core().doorbells.invalid_counter() == 0);
}
TEST_CASE("a full completion queue asks for the head by its event index") {
  Shadowed bench;
  REQUIRE(bench.create_cq(2, 4, 1) == Status::kSuccess);
  REQUIRE(bench.create_sq(2, 32, 2) == Status::kSuccess);
  for (int i = 0; i < 9; ++i) bench.put(2, io(NvmOpcode::kFlush, 0, 1));
  bench.update(4, 9);
  std::size_t ended = 0;
  for (int round = 0; round < 10; ++round) {
    bench.run(100us);
    ended += bench.reap(2, false).size();
    bench.update(5, bench.queue(2).head);
  }
  CHECK(ended == 9);
  CHECK(bench.idle());
}
TEST_CASE("the admin queue keeps its registers") {
  Shadowed bench;
  CHECK(bench.alive());
  CHECK(bench.port.load<std::uint32_t>(kShadow) == 0);
}
TEST_CASE("a reset drops the shadow doorbells") {
  Shadowed bench;
  bench.disable();
  REQUIRE(bench.enable());
  bench.create_pair(1);
  CHECK(bench.status(1, io(NvmOpcode::kFlush, 0, 1)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint32_t>(bench.place(kEventIndex, 2)) == 0);
}
TEST_CASE("shadow doorbells keep the stride of the registers") {
  device::ControllerConfig config = with_shadows();
  config.dstrd = 2;
  Shadowed bench(config);
  bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  CHECK(bench.update(2, 1));
  bench.run(100us);
  CHECK(bench.take() == 1);
  CHECK(bench.port.load<std::uint32_t>(kEventIndex + 2 * 16) == 1);
}
TEST_CASE("a shadow value beyond the queue is an error event") {
  Shadowed bench;
  const auto cid = bench.submit(0, admin(spec::AdminOpcode::kAsyncEventRequest));
  bench.port.store(bench.place(kShadow, 2), std::uint32_t{64});
  bench.write32(spec::sq_tail_doorbell(1, 0), 1);
  const auto event = bench.wait(0, cid);
  REQUIRE(event.has_value());
  CHECK(event->entry.dw0 == 0x01'0100);
}
TEST_CASE("deleting a queue while its shadow is being read ends") {
  Shadowed bench;
  bench.put(1, io(NvmOpcode::kFlush, 0, 1));
  bench.submit(0, admin(spec::AdminOpcode::kDeleteIoSq, 1));
  bench.run(700ns);
  bench.update(2, 1);
  bench.run(1ms);
  CHECK(bench.controller->core().queues.sq(1) == nullptr);
  CHECK(bench.alive());
}
TEST_CASE("Doorbell Buffer Config refuses buffers that do not start at a page") {
  Shadowed bench;
  bench.check_rejected(0, bench.command(kShadow + 64, kEventIndex), Status::kInvalidField);
  bench.check_rejected(0, bench.command(kShadow, kEventIndex + 8), Status::kInvalidField);
  bench.check_rejected(0, bench.command(0, kEventIndex), Status::kInvalidField);
}
TEST_CASE("Doorbell Buffer Config is refused by a drive without it") {
  DataBench bench;
  auto entry = admin(spec::AdminOpcode::kDoorbellBufferConfig);
  entry.prp1 = kShadow;
  entry.prp2 = kEventIndex;
  bench.check_rejected(0, entry, Status::kInvalidOpcode);
}
TEST_CASE("Identify tells of shadow doorbells") {
  Shadowed bench;
  CHECK(bench.status(0, identify(1, 0)) == Status::kSuccess);
  CHECK((bench.port.load<spec::IdentifyController>(kData).oacs & 0x100) != 0);
}
