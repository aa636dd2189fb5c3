// A bare host for the device: it writes registers, puts entries into queues, rings doorbells and
// looks at completion queues, one step of simulated time after another from the test body. It knows
// nothing of the driver. `Bench` is the whole set-up: scheduler, fake port, fake media, controller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/controller.hpp"
#include "device/core.hpp"
#include "tests/protocol/support/fake_media.hpp"
#include "tests/protocol/support/fake_port.hpp"

namespace nvmesim::test {

namespace spec = device::spec;

// Where things lie in the fake host memory. Queue n has its own 256 KiB.
inline constexpr std::uint64_t kQueueMemory = 16 * base::kMiB;
inline constexpr std::uint64_t kQueueStride = 512 * base::kKiB;
inline constexpr std::uint64_t kData = 1 * base::kMiB;   // for tests' data
inline constexpr std::uint64_t kLists = 8 * base::kMiB;  // for PRP lists
inline constexpr std::uint64_t kMediaUnits = 4096;       // 16 MiB

// A small, quick controller: ready after 10 us, four I/O queues, MDTS 128 KiB.
device::ControllerConfig small_config();
// The same with every administrative part that can be switched on, and short times.
device::ControllerConfig full_config();

struct Completion {
  spec::CompletionEntry entry{};
  base::Time when{0};
  spec::Status status() const { return spec::status_of(entry.status); }
};

class Bench {
 public:
  // With `spare` the media keeps metadata; it does if a namespace has any.
  // `prepare` may change the media before the controller is built.
  using Prepare = std::function<void(FakeMedia&, base::Scheduler&)>;
  explicit Bench(device::ControllerConfig wanted = small_config(), bool spare = false,
                 const Prepare& prepare = {});
  // One more controller of the sibling's subsystem: its scheduler and media, a port of its own.
  Bench(device::ControllerConfig wanted, Bench& sibling);

  // Lets simulated time pass.
  void run(base::Time duration);

  std::uint32_t read32(std::uint32_t offset);
  std::uint64_t read64(std::uint32_t offset);
  void write32(std::uint32_t offset, std::uint32_t value);
  spec::Csts csts() { return spec::Csts{read32(spec::kRegCsts)}; }

  // Sets up the admin queues and enables; true if RDY came.
  bool enable(std::uint32_t entries = 32);
  std::uint32_t enable_cc = 0x0046'0001;  // what it writes to CC
  void disable();

  struct Queue {
    std::uint32_t size = 0;     // of the submission queue
    std::uint32_t cq_size = 0;  // of the completion queue
    std::uint64_t sq = 0;
    std::uint64_t cq = 0;
    std::uint16_t cqid = 0;
    std::uint32_t tail = 0;
    std::uint32_t head = 0;
    bool phase = true;
  };
  Queue& queue(std::uint16_t qid) { return queues_[qid]; }
  // Creates the pair qid/qid of `entries` entries; vector qid.
  void create_pair(std::uint16_t qid, std::uint32_t entries = 64, bool interrupts = true);
  spec::Status create_cq(std::uint16_t qid, std::uint32_t entries, std::uint32_t flags_and_vector);
  spec::Status create_sq(std::uint16_t qid, std::uint32_t entries, std::uint16_t cqid,
                         unsigned priority = 0);
  // Where it keeps shadow doorbells beside the registers; 0: nowhere.
  std::uint64_t shadow = 0;

  // Puts an entry into the queue; ring() makes it known. Returns its CID.
  std::uint16_t put(std::uint16_t qid, spec::SubmissionEntry entry);
  void ring(std::uint16_t qid);
  std::uint16_t submit(std::uint16_t qid, const spec::SubmissionEntry& entry);
  // Takes what is in the completion queue; the head doorbell only with `ring_head`.
  std::vector<Completion> reap(std::uint16_t cqid, bool ring_head = true);
  // Waits for the completion of one command, at most `limit`.
  std::optional<Completion> wait(std::uint16_t qid, std::uint16_t cid, base::Time limit = 20ms);
  // submit + wait; fails the test when nothing comes.
  Completion run_command(std::uint16_t qid, const spec::SubmissionEntry& entry,
                         base::Time limit = 20ms);
  spec::Status status(std::uint16_t qid, const spec::SubmissionEntry& entry) {
    return run_command(qid, entry).status();
  }
  // Identify controller answers.
  bool alive();

  // Nothing of a command is left in the controller: pools, queues' commands, media, DMA.
  bool idle() const;

  // Everything that a rejected command must leave as it was: stored data, host memory outside of
  // the queues, the queues that exist, features.
  std::uint64_t fingerprint() const;
  // Runs a command that must end with `expected` and change nothing else; one log line names the
  // section of the specification.
  void check_rejected(std::uint16_t qid, const spec::SubmissionEntry& entry, spec::Status expected);

  std::unique_ptr<base::Scheduler> own_scheduler;
  base::Scheduler& scheduler;
  FakePort port;
  std::unique_ptr<FakeMedia> own_media;
  FakeMedia& media;
  base::StageJoin stages;
  std::vector<std::string> lines;  // of the log
  base::Log log;
  std::unique_ptr<device::Controller> controller;
  device::ControllerConfig config;

 private:
  void build(std::shared_ptr<device::Subsystem> subsystem);
  void collect(std::uint16_t cqid);
  void write_shadow(std::uint32_t doorbell, std::uint32_t value);

  std::map<std::uint16_t, Queue> queues_;
  std::map<std::uint16_t, std::vector<Completion>> seen_;
  std::uint16_t next_cid_ = 1;
};

spec::SubmissionEntry admin(spec::AdminOpcode opcode, std::uint32_t cdw10 = 0,
                            std::uint32_t cdw11 = 0);
spec::SubmissionEntry io(spec::NvmOpcode opcode, std::uint64_t lba, std::uint32_t blocks,
                         std::uint64_t prp1 = kData, std::uint64_t prp2 = 0);
spec::SubmissionEntry identify(std::uint32_t cns, std::uint32_t nsid, std::uint64_t prp1 = kData);
spec::SubmissionEntry get_log(spec::LogPageId page, std::uint32_t bytes, std::uint64_t offset = 0,
                              std::uint64_t prp1 = kData, bool retain = false);

}  // namespace nvmesim::test
