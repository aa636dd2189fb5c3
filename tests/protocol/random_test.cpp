// Random commands and register accesses, mostly sensible, often not: the device never hangs (it
// answers Identify after a reset), keeps its own invariants, and leaves alone what nobody wrote to.
// NVMESIM_RANDOM_STEPS=1000000 makes the run longer, NVMESIM_RANDOM_SEED another one.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>

#include "device/firmware.hpp"
#include "device/spec/management.hpp"
#include "sim/base/random.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kSeed = 20260101;
constexpr std::uint64_t kKeptBlocks = 256;         // nobody writes to these
constexpr std::uint64_t kPages = 1024;             // data pages, from kData
constexpr std::uint64_t kRanges = 9 * base::kMiB;  // for Dataset Management
constexpr std::uint16_t kQueues = 4;
constexpr std::uint64_t kNamespacePage = 10 * base::kMiB;  // data of Namespace Management
constexpr std::uint64_t kAttachPage = kNamespacePage + 0x1000;
constexpr std::uint64_t kFeaturePage = kNamespacePage + 0x2000;  // zeroes
constexpr std::uint64_t kImagePages = kNamespacePage + 0x4000;
constexpr std::uint32_t kImageBytes = 4096;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// All that there is, and nothing that takes long against a step of 2 us.
device::ControllerConfig monkey_config() {
  device::ControllerConfig config = full_config();
  config.management.format_ms = 0;
  config.firmware.activation_ms = 0;
  config.sanitize.crypto_ms = config.sanitize.block_ms = config.sanitize.overwrite_ms = 1;
  config.self_test.short_ms = 1;
  config.self_test.extended_ms = 3;
  config.power.states = {{900, false, 1, 1, 2'000}, {100, true, 2, 2, 0}};
  config.thermal.light_mb_per_s = 4'000;
  config.thermal.heavy_mb_per_s = 1'000;
  config.oncs |= spec::kOncsCompare | spec::kOncsVerify | spec::kOncsWriteUncorrectable;
  config.namespaces = {{.blocks = 20'000}, {.blocks = 2'000}};
  return config;
}

class Monkey {
 public:
  explicit Monkey(std::uint64_t seed) : bench_(monkey_config()), random_(seed, "monkey") {
    REQUIRE(bench_.enable());
    bench_.create_pair(1);
    write_kept_blocks();
    prepare_data();
  }

  void write_kept_blocks() {
    for (std::uint64_t block = 0; block < kKeptBlocks; block += 8) {
      for (std::uint64_t i = 0; i < 4096; i += 8) bench_.port.store(kData + i, block * 4096 + i);
      REQUIRE(bench_.status(1, io(NvmOpcode::kWrite, block, 8)) == Status::kSuccess);
    }
    // A wild doorbell may send old entries again: none of them may be one of those writes, nor a
    // command that erases.
    for (std::uint16_t qid = 0; qid <= kQueues; ++qid) {
      std::fill_n(bench_.port.at(kQueueMemory + qid * kQueueStride), kQueueStride / 2,
                  std::byte{0});
    }
    kept_ = true;
  }

  void prepare_data() {
    for (std::uint64_t i = 0; i < 65'536; ++i) bench_.port.store(kLists + i * 8, page());
    for (std::uint64_t i = 0; i < 4'096; ++i) {
      bench_.port.store(kRanges + i * 16,
                        spec::DsmRange{0, below(20), kKeptBlocks + random_.below(19'000)});
    }
    spec::IdentifyNamespace wanted{};
    wanted.nsze = wanted.ncap = 300;
    bench_.port.store(kNamespacePage, wanted);
    spec::ControllerList list{};
    list.count = 1;
    list.ids[0] = 1;
    bench_.port.store(kAttachPage, list);
    std::fill_n(bench_.port.at(kFeaturePage), 8192, std::byte{0});
    const auto image =
        device::Firmware::make_image("9.9", device::FirmwareReset::kController, kImageBytes);
    std::copy(image.begin(), image.end(), bench_.port.at(kImagePages));
  }

  void step() {
    const std::uint64_t kind = random_.below(1000);
    if (kind < 600) {
      submit_io();
    } else if (kind < 850) {
      submit_admin();
    } else if (kind < 900) {
      bench_.write32(spec::kDoorbellBase + 4 * below(16), below(300));
    } else if (kind < 960) {
      touch_register();
    } else if (kind < 966) {
      bench_.write32(spec::kRegCc, static_cast<std::uint32_t>(random_.next()));
      restart();
    } else if (kind < 969) {
      bench_.controller->function_reset();
      restart();
    } else {
      (bench_.media.held ? bench_.media.held : bench_.media.cache) ^= true;
    }
    bench_.run(base::picoseconds(static_cast<std::int64_t>(random_.below(4'000'000))));
    for (std::uint16_t qid = 0; qid <= kQueues; ++qid) {
      if (bench_.queue(qid).cq_size != 0 && !random_.chance(1, 8)) {
        for (const Completion& completion : bench_.reap(qid)) count(completion);
      }
    }
  }

  // A controller reset must always help.
  void restart() {
    bench_.run(50us);
    bench_.media.let_go();
    bench_.write32(spec::kRegCc, 0);
    bench_.run(1ms);
    CHECK(bench_.controller->core().commands.clean());
    CHECK(bench_.media.running() == 0);
    REQUIRE(bench_.enable());
    REQUIRE(bench_.alive());
    ++restarts_;
    if (!kept_) refill();
    for (std::uint16_t qid = 1; qid <= kQueues; ++qid) {
      if (random_.chance(3, 4)) bench_.create_pair(qid, 2 + below(60));
    }
  }

  // Something erased the kept blocks, or may have: they are written again.
  void refill() {
    bench_.run(30ms);  // an overwrite has up to 16 passes
    bench_.create_pair(1);
    write_kept_blocks();
    bench_.write32(spec::kRegCc, 0);
    bench_.run(1ms);
    REQUIRE(bench_.enable());
  }

  void check_kept_blocks() {
    restart();
    if (bench_.controller->core().queues.sq(1) == nullptr) bench_.create_pair(1);
    for (std::uint64_t block = 0; block < kKeptBlocks; block += 8) {
      REQUIRE(bench_.status(1, io(NvmOpcode::kRead, block, 8)) == Status::kSuccess);
      for (std::uint64_t i = 0; i < 4096; i += 8) {
        REQUIRE(bench_.port.load<std::uint64_t>(kData + i) == block * 4096 + i);
      }
    }
    CHECK(bench_.idle());
  }

  std::uint64_t succeeded() const { return succeeded_; }
  std::uint64_t failed() const { return failed_; }
  std::uint64_t restarts() const { return restarts_; }
  // How often each was sent and answered, the answer whatever it is.
  using Counts = std::map<std::uint32_t, std::uint64_t>;
  const Counts& admin_opcodes() const { return admin_opcodes_; }
  const Counts& nvm_opcodes() const { return nvm_opcodes_; }
  const Counts& features() const { return features_; }
  const Counts& logs() const { return logs_; }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_.below(bound));
  }
  std::uint64_t page() { return kData + random_.below(kPages) * 4096; }
  void count(const Completion& completion) {
    ++(completion.status() == Status::kSuccess ? succeeded_ : failed_);
  }
  void count_sent(std::uint16_t qid, const spec::SubmissionEntry& entry) {
    ++(qid == 0 ? admin_opcodes_ : nvm_opcodes_)[entry.opc];
    const auto opcode = static_cast<AdminOpcode>(entry.opc);
    if (qid != 0) return;
    if (opcode == AdminOpcode::kGetLogPage) ++logs_[entry.cdw10 & 0xFF];
    if (opcode == AdminOpcode::kSetFeatures || opcode == AdminOpcode::kGetFeatures) {
      ++features_[entry.cdw10 & 0xFF];
    }
  }
  // Commands that must not be changed at random: they would erase what is checked.
  static bool erases(std::uint16_t qid, const spec::SubmissionEntry& entry) {
    const auto opcode = static_cast<AdminOpcode>(entry.opc);
    return qid == 0 &&
           (opcode == AdminOpcode::kNamespaceManagement ||
            opcode == AdminOpcode::kNamespaceAttachment || opcode == AdminOpcode::kFormatNvm);
  }

  bool room(std::uint16_t qid) {
    const device::SubmissionQueue* queue = bench_.controller->core().queues.sq(qid);
    return queue != nullptr && bench_.queue(qid).size == queue->size &&
           bench_.queue(qid).tail == queue->tail &&
           queue->distance(queue->head, queue->tail) + 1 < queue->size;
  }
  void send(std::uint16_t qid, spec::SubmissionEntry entry) {
    if (random_.chance(1, 50)) entry.flags = static_cast<std::uint8_t>(random_.next());
    if (random_.chance(1, 50) && !erases(qid, entry)) entry.nsid = below(3);
    // A list of ranges that is read from elsewhere would name other blocks, kept ones among them.
    const bool ranges =
        qid != 0 && entry.opc == static_cast<std::uint8_t>(NvmOpcode::kDatasetManagement);
    if (!ranges && random_.chance(1, 50)) entry.prp1 |= below(8);
    if (random_.chance(1, 50)) entry.prp2 |= below(8);
    if (!room(qid)) return;
    count_sent(qid, entry);
    bench_.submit(qid, entry);
  }

  // PRPs that fit the length: what the device writes stays in the data pages.
  void set_pages(spec::SubmissionEntry& entry, std::uint64_t bytes) {
    entry.prp1 = page() + random_.below(1024) * 4 * random_.below(2);
    const std::uint64_t first = 4096 - entry.prp1 % 4096;
    const std::uint64_t more = bytes <= first ? 0 : (bytes - first + 4095) / 4096;
    // The whole list lies in one page, so that a chain never leads elsewhere.
    entry.prp2 = more < 2 ? page() : kLists + random_.below(64) * 4096 + random_.below(128) * 8;
  }

  void submit_io() {
    static constexpr NvmOpcode kOpcodes[] = {NvmOpcode::kRead,
                                             NvmOpcode::kRead,
                                             NvmOpcode::kWrite,
                                             NvmOpcode::kWrite,
                                             NvmOpcode::kFlush,
                                             NvmOpcode::kWriteZeroes,
                                             NvmOpcode::kDatasetManagement,
                                             NvmOpcode::kWriteUncorrectable,
                                             NvmOpcode::kVerify,
                                             NvmOpcode::kCompare};
    const NvmOpcode opcode = kOpcodes[random_.below(std::size(kOpcodes))];
    std::uint64_t lba = kKeptBlocks + random_.below(20'100);  // at times beyond the end
    if (random_.chance(1, 100)) lba = random_.next() | kKeptBlocks;
    const std::uint32_t blocks = 1 + below(random_.chance(1, 2) ? 8 : 270);
    auto entry = io(opcode, lba, blocks);
    if (opcode == NvmOpcode::kDatasetManagement) {
      entry.cdw10 = below(256);
      entry.cdw11 = below(8);
      entry.prp1 = kRanges + random_.below(8) * 4096;
    } else {
      if (random_.chance(1, 10)) entry.cdw12 |= 1u << 30;
      set_pages(entry, blocks * 512ull);
    }
    send(static_cast<std::uint16_t>(1 + below(kQueues)), entry);
  }

  // An admin command of a family that manages the drive. Namespace 1 is neither deleted nor
  // detached, and keeps its format.
  bool fill_management(AdminOpcode opcode, spec::SubmissionEntry& entry) {
    switch (opcode) {
      case AdminOpcode::kNamespaceManagement:
        entry.cdw10 = random_.chance(1, 10) ? below(16) : below(2);
        entry.nsid = entry.cdw10 == 0 ? 0 : 2 + below(8);
        entry.prp1 = kNamespacePage;
        return true;
      case AdminOpcode::kNamespaceAttachment:
        entry.cdw10 = random_.chance(1, 10) ? below(16) : below(2);
        entry.nsid = 2 + below(8);
        entry.prp1 = kAttachPage;
        return true;
      case AdminOpcode::kFormatNvm:
        entry.nsid = random_.chance(1, 20) ? 1 : 2 + below(8);
        entry.cdw10 = entry.nsid == 1 ? 0 : below(random_.chance(1, 8) ? 0x1000 : 2);
        if (entry.nsid == 1) kept_ = false;
        return true;
      case AdminOpcode::kSanitize:
        entry.cdw10 = random_.chance(1, 4) ? 1 + below(4) : 5 + below(3);
        if (entry.cdw10 < 5 && entry.cdw10 > 1) kept_ = false;
        return true;
      case AdminOpcode::kFirmwareImageDownload:
        entry.cdw10 = random_.chance(1, 2) ? kImageBytes / 4 - 1 : below(2048);
        entry.cdw11 = random_.chance(1, 2) ? 0 : below(4) * 512;
        entry.prp1 = kImagePages;
        entry.prp2 = page();
        return true;
      case AdminOpcode::kFirmwareCommit:
        entry.cdw10 = below(5) | (below(6) << 3);
        return true;
      case AdminOpcode::kDeviceSelfTest:
        entry.cdw10 = below(4) == 3 ? 15 : 1 + below(2);
        entry.nsid = below(4);
        return true;
      case AdminOpcode::kSecuritySend:
      case AdminOpcode::kSecurityReceive:
        entry.cdw10 = (below(3) << 24) | (below(3) << 8);
        entry.cdw11 = below(4096);
        set_pages(entry, 4096);
        return true;
      case AdminOpcode::kDirectiveSend:
      case AdminOpcode::kDirectiveReceive:
        entry.nsid = 1 + below(3);
        entry.cdw10 = below(1024);
        entry.cdw11 = below(4) | (below(3) << 8) | (below(4) << 16);
        entry.cdw12 = random_.chance(1, 2) ? 0x101 : below(0x300);
        set_pages(entry, 4096);
        return true;
      default:
        return false;
    }
  }

  void fill_log(spec::SubmissionEntry& entry) {
    static constexpr std::uint32_t kLogIds[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
                                                0x06, 0x07, 0x08, 0x09, 0x0C, 0x0D,
                                                0x0F, 0x12, 0x13, 0x80, 0x81, 0xC0};
    const std::uint32_t dwords = 1 + below(random_.chance(1, 2) ? 128 : 2048);
    const std::uint32_t page_id =
        random_.chance(1, 20) ? below(256) : kLogIds[random_.below(std::size(kLogIds))];
    entry = get_log(static_cast<spec::LogPageId>(page_id), dwords * 4,
                    random_.chance(1, 2) ? 0 : below(600), 0, random_.chance(1, 2));
    entry.cdw10 |= below(4) << 8;
    if (page_id == 9) entry.cdw11 |= 1u << 16;
    set_pages(entry, dwords * 4ull);
  }

  void fill_feature(AdminOpcode opcode, spec::SubmissionEntry& entry) {
    static constexpr std::uint32_t kIds[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                                             0x0A, 0x0B, 0x0C, 0x0E, 0x0F, 0x10, 0x11, 0x16, 0x18,
                                             0x19, 0x1D, 0x1E, 0x80, 0x81, 0x82, 0x83};
    const std::uint32_t id =
        random_.chance(1, 20) ? below(256) : kIds[random_.below(std::size(kIds))];
    entry.nsid = id == 3 || id == 5 ? 1 + below(2) : below(20) == 0 ? below(3) : 0;
    entry.cdw11 = random_.chance(3, 4) ? below(8) : static_cast<std::uint32_t>(random_.next());
    if (opcode == AdminOpcode::kSetFeatures) {
      entry.cdw10 = id | (random_.chance(1, 10) ? spec::kSetFeaturesSave : 0);
      entry.prp1 = kFeaturePage;
      if (id == 0x0F) entry.cdw11 = 3'600'000 + below(1000);  // too long to expire here
    } else {
      entry.cdw10 = id | (below(5) << 8);
      set_pages(entry, 4096);
    }
  }

  void submit_admin() {
    static constexpr AdminOpcode kOpcodes[] = {AdminOpcode::kDeleteIoSq,
                                               AdminOpcode::kCreateIoSq,
                                               AdminOpcode::kCreateIoSq,
                                               AdminOpcode::kDeleteIoCq,
                                               AdminOpcode::kCreateIoCq,
                                               AdminOpcode::kCreateIoCq,
                                               AdminOpcode::kIdentify,
                                               AdminOpcode::kIdentify,
                                               AdminOpcode::kGetLogPage,
                                               AdminOpcode::kGetLogPage,
                                               AdminOpcode::kGetLogPage,
                                               AdminOpcode::kAbort,
                                               AdminOpcode::kSetFeatures,
                                               AdminOpcode::kSetFeatures,
                                               AdminOpcode::kGetFeatures,
                                               AdminOpcode::kGetFeatures,
                                               AdminOpcode::kAsyncEventRequest,
                                               AdminOpcode::kNamespaceManagement,
                                               AdminOpcode::kNamespaceAttachment,
                                               AdminOpcode::kFirmwareCommit,
                                               AdminOpcode::kFirmwareImageDownload,
                                               AdminOpcode::kDeviceSelfTest,
                                               AdminOpcode::kKeepAlive,
                                               AdminOpcode::kDirectiveSend,
                                               AdminOpcode::kDirectiveReceive,
                                               AdminOpcode::kVirtualizationManagement,
                                               AdminOpcode::kDoorbellBufferConfig,
                                               AdminOpcode::kSecuritySend,
                                               AdminOpcode::kSecurityReceive,
                                               AdminOpcode::kSanitize,
                                               AdminOpcode::kFormatNvm};
    const AdminOpcode opcode = kOpcodes[random_.below(std::size(kOpcodes))];
    auto entry = admin(opcode);
    entry.prp1 = page();
    switch (opcode) {
      case AdminOpcode::kCreateIoCq:
      case AdminOpcode::kCreateIoSq:
        create(opcode);
        return;
      case AdminOpcode::kDeleteIoSq:
      case AdminOpcode::kDeleteIoCq:
        entry.cdw10 = below(kQueues + 2);
        break;
      case AdminOpcode::kIdentify:
        entry.cdw10 = below(0x20);
        entry.nsid = below(4);
        break;
      case AdminOpcode::kGetLogPage:
        fill_log(entry);
        break;
      case AdminOpcode::kAbort:
        entry.cdw10 = below(kQueues + 2) | (below(0x1'0000) << 16);
        break;
      case AdminOpcode::kSetFeatures:
      case AdminOpcode::kGetFeatures:
        fill_feature(opcode, entry);
        break;
      default:
        fill_management(opcode, entry);
        break;
    }
    send(0, entry);
  }

  void create(AdminOpcode opcode) {
    const auto qid = static_cast<std::uint16_t>(below(kQueues + 2));
    if (qid == 0 || qid > kQueues || !room(0)) return;
    ++admin_opcodes_[static_cast<std::uint8_t>(opcode)];
    if (opcode == AdminOpcode::kCreateIoCq) {
      if (bench_.controller->core().queues.cq(qid) == nullptr) {
        bench_.create_cq(qid, 1 + below(80), random_.chance(1, 8) ? below(4) : 1 | (qid << 16));
      }
    } else if (bench_.controller->core().queues.sq(qid) == nullptr) {
      bench_.create_sq(qid, bench_.queue(qid).size != 0 ? bench_.queue(qid).size : 16, qid);
    }
  }

  void touch_register() {
    static constexpr std::uint32_t kOffsets[] = {spec::kRegCap,
                                                 spec::kRegVs,
                                                 spec::kRegIntms,
                                                 spec::kRegIntmc,
                                                 spec::kRegCsts,
                                                 spec::kRegNssr,
                                                 spec::kRegAqa,
                                                 spec::kRegAsq,
                                                 spec::kRegAcq,
                                                 spec::kRegCmbsz,
                                                 spec::kRegCmbmsc,
                                                 0x18,
                                                 0x60,
                                                 0xF00};
    const std::uint32_t offset = kOffsets[random_.below(std::size(kOffsets))];
    const std::uint64_t value = random_.next();
    const std::size_t bytes = random_.chance(1, 10) ? std::size_t{1} << below(4) : 4;
    bench_.controller->bar_write(0, offset, std::as_bytes(std::span(&value, 1)).first(bytes));
    bench_.read64(offset & ~7u);
    // Eight bytes at INTMC reach CC: they may have disabled the controller or shut it down.
    if (offset < spec::kRegCc && offset + bytes > spec::kRegCc) restart();
  }

  Bench bench_;
  base::Random random_;
  std::uint64_t succeeded_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t restarts_ = 0;
  bool kept_ = true;  // the kept blocks are as they were written
  Counts admin_opcodes_;
  Counts nvm_opcodes_;
  Counts features_;
  Counts logs_;
};

}  // namespace

// Every one of `wanted` was sent at least `least` times.
void check_reached(const char* what, const Monkey::Counts& counts,
                   std::initializer_list<std::uint32_t> wanted, std::uint64_t least) {
  for (const std::uint32_t each : wanted) {
    INFO(what << " " << each);
    const auto found = counts.find(each);
    CHECK((found == counts.end() ? 0 : found->second) >= least);
  }
}

TEST_CASE("20,000 random steps neither hang the device nor touch foreign data") {
  const std::uint64_t seed = setting("NVMESIM_RANDOM_SEED", kSeed);
  const std::uint64_t steps = setting("NVMESIM_RANDOM_STEPS", 20'000);
  INFO("seed " << seed);
  Monkey monkey(seed);
  for (std::uint64_t i = 1; i <= steps; ++i) {
    monkey.step();
    if (i % 2'000 == 0) monkey.check_kept_blocks();
  }
  const std::uint64_t least = steps >= 1'000'000 ? 100 : steps / 2'000;
  check_reached("admin opcode", monkey.admin_opcodes(),
                {0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x10,
                 0x11, 0x14, 0x15, 0x18, 0x19, 0x1A, 0x1C, 0x7C, 0x80, 0x81, 0x82, 0x84},
                least);
  check_reached("NVM opcode", monkey.nvm_opcodes(),
                {0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0C}, least);
  check_reached("feature", monkey.features(),
                {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0E,
                 0x0F, 0x10, 0x11, 0x16, 0x18, 0x19, 0x1D, 0x1E, 0x80, 0x81, 0x82, 0x83},
                least);
  check_reached("log page", monkey.logs(),
                {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0C, 0x0D, 0x0F, 0x12,
                 0x13, 0x80, 0x81, 0xC0},
                least);
  CHECK(monkey.restarts() > steps / 200);
  CHECK(monkey.succeeded() > steps * 3 / 10);
  CHECK(monkey.failed() > steps / 20);
}
