// Submission entries: the input is a sequence of commands (a byte that names the queue, 64 bytes of
// entry) for a controller with everything switched on. Whatever they are, the controller neither
// breaks its own rules nor hangs: after a controller reset nothing of them is left and it gets
// ready again.
#include <array>
#include <memory>

#include "device/controller.hpp"
#include "device/core.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/protocol/support/fake_media.hpp"
#include "tests/protocol/support/fake_port.hpp"

using namespace nvmesim;
using test::require;
namespace spec = device::spec;

namespace {

constexpr std::uint32_t kEntries = 16;
constexpr std::uint64_t kQueues = 16 * base::kMiB;
constexpr std::uint64_t kQueueStride = 0x2000;

device::ControllerConfig everything() {
  device::ControllerConfig config;
  config.ready_latency_us = 1;
  config.disable_latency_us = 1;
  config.max_io_queues = 2;
  config.vectors = 3;
  config.mqes = 63;
  config.oncs = 0x1FF;
  config.sgls = 1;
  config.fuses = 1;
  config.weighted_arbitration = true;
  config.doorbell_buffer_config = true;
  config.dulbe = true;
  config.limits.awun = 7;
  config.limits.acwu = 7;
  config.cmb.pages = 16;
  config.namespaces = {{.blocks = 4096},
                       {.blocks = 4096, .metadata_bytes = 8, .protection_type = 1},
                       {.blocks = 4096, .metadata_bytes = 64, .extended_metadata = true}};
  return config;
}

class Target {
 public:
  Target()
      : scheduler_("scheduler"),
        port_(scheduler_, 3),
        media_(scheduler_, 4096, true),
        controller_(everything(), scheduler_, port_, media_, stages_, log_) {}

  void run(test::Input& input) {
    enable();
    create(1);
    while (input.left() != 0) {
      const bool io = (input.take<std::uint8_t>() & 3) != 0;
      submit(io ? 1 : 0, input.take<spec::SubmissionEntry>());
      scheduler_.simulate(scheduler_.now() + 3us);
      take(0);
      take(1);
    }
    scheduler_.simulate(scheduler_.now() + 200us);
    write(spec::kRegCc, 0);
    scheduler_.simulate(scheduler_.now() + 50us);
    require(controller_.core().commands.clean(), "a reset leaves no command");
    require(media_.running() == 0, "nor one in the media");
    controller_.function_reset();
    write64(spec::kRegCmbmsc, 0);
  }

 private:
  struct Queue {
    std::uint32_t tail = 0;
    std::uint32_t head = 0;
    bool phase = true;
  };
  static std::uint64_t sq(unsigned qid) { return kQueues + 2 * qid * kQueueStride; }
  static std::uint64_t cq(unsigned qid) { return sq(qid) + kQueueStride; }

  void write(std::uint32_t offset, std::uint32_t value) {
    controller_.bar_write(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  void write64(std::uint32_t offset, std::uint64_t value) {
    controller_.bar_write(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  void enable() {
    queues_ = {};
    std::memset(port_.at(kQueues), 0, 4 * kQueueStride);
    write(spec::kRegAqa, (kEntries - 1) | (kEntries - 1) << 16);
    write64(spec::kRegAsq, sq(0));
    write64(spec::kRegAcq, cq(0));
    write64(spec::kRegCmbmsc, 0x8'0000'0003);
    write(spec::kRegCc, 0x0046'0801);
    scheduler_.simulate(scheduler_.now() + 10us);
    require(controller_.core().registers.ready(), "the controller gets ready");
  }
  void create(std::uint16_t qid) {
    spec::SubmissionEntry entry{};
    entry.opc = static_cast<std::uint8_t>(spec::AdminOpcode::kCreateIoCq);
    entry.prp1 = cq(qid);
    entry.cdw10 = qid | (kEntries - 1) << 16;
    entry.cdw11 = 1;
    submit(0, entry);
    scheduler_.simulate(scheduler_.now() + 20us);
    entry.opc = static_cast<std::uint8_t>(spec::AdminOpcode::kCreateIoSq);
    entry.prp1 = sq(qid);
    entry.cdw11 = 1 | std::uint32_t{qid} << 16;
    submit(0, entry);
    scheduler_.simulate(scheduler_.now() + 20us);
    require(controller_.core().queues.sq(qid) != nullptr, "a queue can be created");
    take(0);
  }
  void submit(unsigned qid, const spec::SubmissionEntry& entry) {
    Queue& queue = queues_[qid];
    port_.store(sq(qid) + queue.tail * sizeof entry, entry);
    queue.tail = (queue.tail + 1) % kEntries;
    write(spec::sq_tail_doorbell(qid, 0), queue.tail);
  }
  void take(unsigned qid) {
    Queue& queue = queues_[qid];
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      const auto entry =
          port_.load<spec::CompletionEntry>(cq(qid) + queue.head * sizeof(spec::CompletionEntry));
      if (spec::phase_of(entry.status) != queue.phase) break;
      if (++queue.head == kEntries) {
        queue.head = 0;
        queue.phase = !queue.phase;
      }
    }
    write(spec::cq_head_doorbell(qid, 0), queue.head);
  }

  base::Scheduler scheduler_;
  test::FakePort port_;
  test::FakeMedia media_;
  base::StageJoin stages_;
  base::Log log_;
  device::Controller controller_;
  std::array<Queue, 2> queues_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // One simulation per process: the controller lives on, each input begins with a reset.
  static Target* const target = new Target;
  test::Input input(data, std::min<std::size_t>(size, 65 * 64));
  target->run(input);
  return 0;
}
