// The rings by themselves: when the doorbell is written, and what a completion queue gives out.
#include "host/nvme/queue.hpp"

#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using device::spec::CompletionEntry;
using device::spec::SubmissionEntry;

namespace {

constexpr std::uint64_t kBar = 0xC000'0000;
constexpr std::uint64_t kSqBell = kBar + 0x1008;
constexpr std::uint64_t kCqBell = kBar + 0x100c;

// Takes posted writes of the host and remembers them.
class Bus : public sc_core::sc_module {
  void request(base::GenericPayload& payload) {
    std::uint32_t value = 0;
    std::memcpy(&value, payload.get_data_ptr(), 4);
    writes.push_back({payload.get_address(), value, pcie::tlp_of(payload).deferrable});
    port.respond(payload);
  }
  unsigned debug(base::GenericPayload&) { return 0; }
  void response(base::GenericPayload&) {}

 public:
  struct Write {
    std::uint64_t address;
    std::uint32_t value;
    bool deferrable;
  };
  base::TargetSocket<Bus, &Bus::request, &Bus::debug> port;
  base::InitiatorSocket<Bus, &Bus::response> memory;  // of devices: there is none
  std::vector<Write> writes;
  Bus(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name),
        port("port", this, scheduler),
        memory("memory", this, scheduler) {}
};

struct Fixture : QueueOwner {
  HostConfig config;
  base::Scheduler scheduler{"scheduler"};
  Machine machine{"host", config, scheduler};
  Memory memory{"memory", config, scheduler};
  Bus bus{"bus", scheduler};
  std::unique_ptr<NvmeQueue> queue;
  std::vector<CompletionEntry> handled;

  void handle_cqe(NvmeQueue&, const CompletionEntry& entry) override { handled.push_back(entry); }

  explicit Fixture(std::uint32_t depth) {
    machine.bus.bind(bus.port);
    bus.memory.bind(memory.port);
    machine.use_memory(memory);
    queue = std::make_unique<NvmeQueue>(machine, *this, std::uint16_t{1});
    REQUIRE(queue->allocate(depth));
    queue->init(kSqBell, kCqBell);
  }
  // Lets writes arrive.
  void settle() { machine.threads.sleep_for(1us); }
  template <class F>
  void in_thread(F body) {
    machine.threads.spawn("body", [&] {
      body();
      settle();
      scheduler.stop();
    });
    sc_core::sc_start();
  }
};

}  // namespace

TEST_CASE("a submission that is the last one rings the doorbell with the new tail") {
  Fixture f(8);
  f.in_thread([&] {
    for (std::uint32_t i = 1; i <= 20; ++i) f.queue->submit_cmd(SubmissionEntry{}, nullptr, true);
  });
  CHECK(f.bus.writes.size() == 20);
  for (std::uint32_t i = 0; i < f.bus.writes.size(); ++i) {
    CHECK(f.bus.writes[i].address == kSqBell);
    CHECK(f.bus.writes[i].value == (i + 1) % 8);
    CHECK_FALSE(f.bus.writes[i].deferrable);
  }
}

TEST_CASE("submissions that are not the last ring nothing until the commit, which rings once") {
  Fixture f(8);
  f.in_thread([&] {
    for (int i = 0; i < 3; ++i) f.queue->submit_cmd(SubmissionEntry{}, nullptr, false);
    f.settle();
    CHECK(f.bus.writes.empty());
    f.queue->commit();
    f.queue->commit();
  });
  REQUIRE(f.bus.writes.size() == 1);
  CHECK(f.bus.writes[0].value == 3);
}

TEST_CASE("a submission rings although others follow when one more would make the ring look full") {
  Fixture f(8);
  f.in_thread([&] {
    for (int i = 0; i < 6; ++i) f.queue->submit_cmd(SubmissionEntry{}, nullptr, false);
    f.settle();
    CHECK(f.bus.writes.empty());
    f.queue->submit_cmd(SubmissionEntry{}, nullptr, false);
  });
  REQUIRE(f.bus.writes.size() == 1);
  CHECK(f.bus.writes[0].value == 7);
}

TEST_CASE("all commands that one doorbell write covers get the time of that write") {
  Fixture f(8);
  std::array<Request, 3> requests;
  f.in_thread([&] {
    for (Request& request : requests) request.record.open(f.scheduler.now());
    f.queue->submit_cmd(SubmissionEntry{}, &requests[0], false);
    f.machine.threads.sleep_for(5us);
    f.queue->submit_cmd(SubmissionEntry{}, &requests[1], false);
    f.machine.threads.sleep_for(7us);
    f.queue->submit_cmd(SubmissionEntry{}, &requests[2], true);
  });
  for (const Request& request : requests) {
    CHECK(request.record.last() == 12us);
    CHECK(request.record.spent(base::Stage::kSubmit) == 12us);
  }
}

TEST_CASE(
    "completions are found by their phase over many turns of the ring, the head rung once a "
    "batch") {
  constexpr std::uint32_t kDepth = 5;
  Fixture f(kDepth);
  unsigned batches = 0;
  std::uint32_t posted = 0;
  f.in_thread([&] {
    base::Random random(3, "queue test");
    while (posted < 1000) {
      const std::uint64_t batch = random.below(kDepth);
      for (std::uint64_t i = 0; i < batch; ++i, ++posted) {
        CompletionEntry entry{};
        entry.cid = static_cast<std::uint16_t>(posted);
        entry.status = (posted / kDepth) % 2 == 0;
        f.machine.memory.store(f.queue->cq_address() + posted % kDepth * sizeof entry, entry);
      }
      batches += batch != 0;
      CHECK(f.queue->cqe_pending() == (batch != 0));
      CHECK(f.queue->process_cq() == batch);
    }
  });
  REQUIRE(f.handled.size() == posted);
  for (std::uint32_t i = 0; i < posted; ++i) CHECK(f.handled[i].cid == (i & 0xffff));
  CHECK(f.bus.writes.size() == batches);
  CHECK(f.bus.writes.back().value == posted % kDepth);
  for (const auto& write : f.bus.writes) {
    CHECK(write.address == kCqBell);
    CHECK(write.deferrable);
  }
}

TEST_CASE("a ring that is used again after a reset starts empty with phase 1") {
  Fixture f(4);
  f.in_thread([&] {
    CompletionEntry entry{};
    entry.status = 1;
    for (std::uint32_t i = 0; i < 4; ++i)
      f.machine.memory.store(f.queue->cq_address() + i * sizeof entry, entry);
    CHECK(f.queue->process_cq() == 4);
    f.queue->init(kSqBell, kCqBell);
    CHECK_FALSE(f.queue->cqe_pending());
    f.machine.memory.store(f.queue->cq_address(), entry);
    CHECK(f.queue->process_cq() == 1);
  });
  CHECK(f.handled.size() == 5);
}
