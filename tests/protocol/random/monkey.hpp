// A host that does random things to a controller with every optional part: most are sensible, many
// are not. What it must not harm are the kept blocks of two namespaces, which nobody writes to;
// what the controller must never do is hang. monkey.cpp has the steps, monkey_io.cpp and
// monkey_admin.cpp the commands of a family each.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "device/spec/management.hpp"
#include "device/spec/sgl.hpp"
#include "sim/base/random.hpp"
#include "tests/protocol/support/borrower.hpp"
#include "tests/protocol/support/test_host.hpp"

namespace nvmesim::test {

// All that there is, and nothing that takes long against a step of 2 us.
device::ControllerConfig monkey_config();

// Host memory below 16 MiB. The device may write to data pages and event indexes only.
namespace monkey_memory {
inline constexpr std::uint64_t kPages = 1024;  // data pages, from kData
inline constexpr std::uint64_t kPrepared = kLists;
inline constexpr std::uint64_t kRanges = 9 * base::kMiB;  // Dataset Management
inline constexpr std::uint64_t kCopyRanges = kRanges + 0x4'0000;
inline constexpr std::uint64_t kKeys = kRanges + 0x8'0000;  // reservations
inline constexpr std::uint64_t kHosts = kKeys + 0x1000;     // host identifiers
inline constexpr std::uint64_t kZeroes = kKeys + 0x2000;    // 8 KiB
inline constexpr std::uint64_t kNamespacePage = 10 * base::kMiB;
inline constexpr std::uint64_t kAttachPage = kNamespacePage + 0x1000;
inline constexpr std::uint64_t kHmbList = kNamespacePage + 0x2000;
inline constexpr std::uint64_t kImagePages = kNamespacePage + 0x4000;
inline constexpr std::uint32_t kImageBytes = 4096;
inline constexpr std::uint64_t kSegments = 11 * base::kMiB;  // SGLs, 256 places of 256 bytes
inline constexpr std::uint64_t kShadow = kSegments + 0x2'0000;
inline constexpr std::uint64_t kWritable = 12 * base::kMiB;
inline constexpr std::uint64_t kEventIndex = kWritable;
inline constexpr std::uint64_t kHostMemory = kWritable + 0x1'0000;
inline constexpr std::uint64_t kCmbAddress = std::uint64_t{1} << 32;  // where the host puts the CMB
}  // namespace monkey_memory

class Monkey {
 public:
  explicit Monkey(std::uint64_t seed);

  void step();
  // Resets the controller and reads every kept block back.
  void check_kept_blocks();

  std::uint64_t succeeded() const { return succeeded_; }
  std::uint64_t failed() const { return failed_; }
  std::uint64_t restarts() const { return restarts_; }
  struct Count {
    std::uint64_t reached = 0;    // fetched by the controller
    std::uint64_t succeeded = 0;  // completed so
  };
  using Counts = std::map<std::uint32_t, Count>;
  const Counts& admin_opcodes() const { return admin_opcodes_; }
  const Counts& nvm_opcodes() const { return nvm_opcodes_; }
  const Counts& set_features() const { return set_features_; }
  const Counts& get_features() const { return get_features_; }
  const Counts& logs() const { return logs_; }
  std::uint64_t sgls() const { return sgls_; }
  std::uint64_t fused() const { return fused_; }

 private:
  static constexpr std::uint64_t kKeptBlocks = 256;  // the first ones; nobody writes to these
  static constexpr std::uint16_t kQueues = 4;
  struct Kept {
    std::uint32_t nsid;
    std::uint64_t blocks;
    std::uint32_t control;  // of dword 12
  };
  // Plain blocks, and some with protection information that the controller makes and checks.
  static constexpr std::array<Kept, 2> kKept{{{1, kKeptBlocks, 0}, {2, 64, 0x3400'0000}}};

  // monkey.cpp
  void write_kept_blocks();
  void prepare_data();
  void restart();
  void refill();
  void touch_register();
  void touch_memory_bar();
  bool room(std::uint16_t qid, std::uint32_t entries = 1);
  // Changes some of it, and puts it into the queue if there is room. False: there is none.
  bool send(std::uint16_t qid, spec::SubmissionEntry entry);
  void fetched(std::uint16_t qid, const spec::SubmissionEntry& entry);
  void count(const Completion& completion);

  // monkey_io.cpp
  void submit_io();
  void submit_fused();
  void fill_reservation(spec::NvmOpcode opcode, spec::SubmissionEntry& entry);
  void fill_blocks(spec::NvmOpcode opcode, spec::SubmissionEntry& entry);
  void fill_transfer(spec::NvmOpcode opcode, spec::SubmissionEntry& entry);
  void set_pages(spec::SubmissionEntry& entry, std::uint64_t bytes);
  void set_sgl(spec::SubmissionEntry& entry, std::uint64_t bytes, bool read);
  std::uint64_t any_lba(std::uint32_t nsid);

  // monkey_admin.cpp
  void submit_admin();
  void fill_management(spec::AdminOpcode opcode, spec::SubmissionEntry& entry);
  void fill_maintenance(spec::AdminOpcode opcode, spec::SubmissionEntry& entry);
  void fill_log(spec::SubmissionEntry& entry);
  void fill_feature(spec::AdminOpcode opcode, spec::SubmissionEntry& entry);
  void create(spec::AdminOpcode opcode);

  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_.below(bound));
  }
  bool chance(std::uint64_t part, std::uint64_t whole) { return random_.chance(part, whole); }
  std::uint64_t page() { return kData + random_.below(monkey_memory::kPages) * 4096; }

  Bench bench_;
  base::Random random_;
  Borrower* borrower_ = nullptr;
  std::uint64_t succeeded_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t restarts_ = 0;
  std::uint64_t sgls_ = 0;
  std::uint64_t fused_ = 0;
  bool kept_ = false;  // the kept blocks are as they were written
  // What a command was, by command identifier.
  struct Sent {
    Count* opcode = nullptr;
    Count* detail = nullptr;
  };
  std::array<std::array<Sent, 65'536>, 2> sent_{};  // of I/O and of admin queues
  Counts admin_opcodes_;
  Counts nvm_opcodes_;
  Counts set_features_;
  Counts get_features_;
  Counts logs_;
};

}  // namespace nvmesim::test
