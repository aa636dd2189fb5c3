#include "tests/protocol/random/monkey.hpp"

#include <algorithm>
#include <cstring>

#include "device/firmware.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {

using namespace monkey_memory;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;

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
  config.registers.boot_partition_units = 1;
  config.oncs = 0x1FF;
  config.fuses = 1;
  config.limits.awun = 15;
  config.limits.acwu = 7;
  config.sgls = 1;
  config.dulbe = true;
  config.weighted_arbitration = true;
  config.doorbell_buffer_config = true;
  config.cmb.pages = 64;
  config.pmr.pages = 16;
  config.pmr.ready_latency_us = 1;
  config.hmb.hmpre_pages = 32;
  config.hmb.hmmin_pages = 4;
  config.hmb.hmmaxd = 8;
  config.namespaces = {{.blocks = 16'000},
                       {.blocks = 4'000, .metadata_bytes = 8, .protection_type = 1},
                       {.blocks = 3'000}};
  return config;
}

namespace {

// PRACT makes and strips the protection information; guard and reference tag are checked.
constexpr std::uint64_t kStep = 8;  // kept blocks of one command

spec::SubmissionEntry kept_entry(NvmOpcode opcode, std::uint32_t nsid, std::uint32_t control,
                                 std::uint64_t block) {
  auto entry = io(opcode, block, kStep);
  entry.nsid = nsid;
  entry.cdw12 |= control;
  entry.cdw14 = static_cast<std::uint32_t>(block);
  return entry;
}
std::uint64_t kept_word(std::uint32_t nsid, std::uint64_t block, std::uint64_t i) {
  return (std::uint64_t{nsid} << 56) + block * 4096 + i;
}

}  // namespace

Monkey::Monkey(std::uint64_t seed)
    : bench_(monkey_config(), true,
             [](FakeMedia& media, base::Scheduler& time) {
               media.user = std::make_unique<Borrower>(time);
             }),
      random_(seed, "monkey"),
      borrower_(static_cast<Borrower*>(bench_.media.user.get())) {
  bench_.port.guard = [](std::uint64_t address, std::size_t bytes) {
    if (address < kQueueMemory) return address < kPrepared || address >= kWritable;
    return bytes == sizeof(spec::CompletionEntry) &&
           (address - kQueueMemory) % kQueueStride >= kQueueStride / 2;
  };
  bench_.shadow = kShadow;
  bench_.controller->points().command_fetched.arm(
      [this](std::uint16_t qid, spec::SubmissionEntry& entry) { fetched(qid, entry); });
  REQUIRE(bench_.enable());
  bench_.create_pair(1);
  write_kept_blocks();
  prepare_data();
}

void Monkey::write_kept_blocks() {
  for (const Kept& kept : kKept) {
    for (std::uint64_t block = 0; block < kept.blocks; block += kStep) {
      for (std::uint64_t i = 0; i < 4096; i += 8) {
        bench_.port.store(kData + i, kept_word(kept.nsid, block, i));
      }
      REQUIRE(bench_.status(1, kept_entry(NvmOpcode::kWrite, kept.nsid, kept.control, block)) ==
              Status::kSuccess);
    }
  }
  // A wild doorbell may send old entries again: none of them may be one of those writes, nor a
  // command that erases.
  for (std::uint16_t qid = 0; qid <= kQueues; ++qid) {
    std::fill_n(bench_.port.at(kQueueMemory + qid * kQueueStride), kQueueStride / 2, std::byte{0});
  }
  kept_ = true;
}

void Monkey::prepare_data() {
  auto& port = bench_.port;
  for (std::uint64_t i = 0; i < 65'536; ++i) port.store(kLists + i * 8, page());
  for (std::uint64_t i = 0; i < 4'096; ++i) {
    port.store(kRanges + i * 16, spec::DsmRange{0, below(20), kKeptBlocks + random_.below(2'500)});
    spec::CopyRange range{};
    range.slba = random_.below(2'500);
    range.nlb = static_cast<std::uint16_t>(below(8));
    range.eilbrt = static_cast<std::uint32_t>(range.slba);
    port.store(kCopyRanges + i * sizeof range, range);
  }
  std::fill_n(port.at(kKeys), 0x4000, std::byte{0});
  for (std::uint64_t i = 0; i < 16; ++i) {
    port.store(kKeys + i * 16, std::uint64_t{below(3)});
    port.store(kKeys + i * 16 + 8, std::uint64_t{1 + below(2)});
    port.store(kHosts + i * 16, std::uint64_t{1 + i % 3});
  }
  spec::IdentifyNamespace wanted{};
  wanted.nsze = wanted.ncap = 1'000;
  port.store(kNamespacePage, wanted);
  spec::ControllerList list{};
  list.count = 1;
  list.ids[0] = 1;
  port.store(kAttachPage, list);
  for (std::uint64_t i = 0; i < 4; ++i) {
    port.store(kHmbList + i * 16, kHostMemory + i * 0x1'0000);
    port.store(kHmbList + i * 16 + 8, std::uint64_t{4});  // pages
  }
  const auto image =
      device::Firmware::make_image("9.9", device::FirmwareReset::kController, kImageBytes);
  std::copy(image.begin(), image.end(), port.at(kImagePages));
  std::fill_n(port.at(kShadow), 0x2000, std::byte{0});
}

void Monkey::step() {
  const std::uint64_t kind = random_.below(1000);
  if (kind < 570) {
    submit_io();
  } else if (kind < 590) {
    submit_fused();
  } else if (kind < 850) {
    submit_admin();
  } else if (kind < 890) {
    bench_.write32(spec::kDoorbellBase + 4 * below(16), below(300));
  } else if (kind < 950) {
    touch_register();
  } else if (kind < 960) {
    touch_memory_bar();
  } else if (kind < 966) {
    bench_.write32(spec::kRegCc, static_cast<std::uint32_t>(random_.next()));
    restart();
  } else if (kind < 969) {
    bench_.controller->function_reset();
    restart();
  } else {
    (bench_.media.held ? bench_.media.held : bench_.media.cache) ^= true;
    if (borrower_->memory_ != nullptr) borrower_->write(random_.below(4));
  }
  bench_.run(base::picoseconds(static_cast<std::int64_t>(random_.below(4'000'000))));
  for (std::uint16_t qid = 0; qid <= kQueues; ++qid) {
    if (bench_.queue(qid).cq_size != 0 && !chance(1, 8)) {
      for (const Completion& completion : bench_.reap(qid)) count(completion);
    }
  }
}

// A controller reset must always help.
void Monkey::restart() {
  bench_.run(50us);
  bench_.media.let_go();
  bench_.write32(spec::kRegCc, 0);
  bench_.run(1ms);
  // Only what goes on over a reset may still be at work, and that ends.
  for (int i = 0; i < 100 && bench_.media.running() != 0; ++i) bench_.run(1us);
  CHECK(bench_.controller->core().commands.clean());
  CHECK(bench_.media.running() == 0);
  bench_.enable_cc = chance(1, 3) ? 0x0046'0801 : 0x0046'0001;  // weighted or plain round robin
  REQUIRE(bench_.enable());
  REQUIRE(bench_.alive());
  ++restarts_;
  if (!kept_) refill();
  if (chance(1, 2)) {  // CRE and CMSE, or nothing
    bench_.write32(spec::kRegCmbmsc + 4, static_cast<std::uint32_t>(kCmbAddress >> 32));
    bench_.write32(spec::kRegCmbmsc,
                   static_cast<std::uint32_t>(kCmbAddress) | (chance(3, 4) ? 3 : 0));
  }
  if (chance(1, 4)) {  // allowed only before there are I/O queues
    count(bench_.run_command(0, admin(AdminOpcode::kSetFeatures, 0x07, 0x0003'0003)));
  }
  for (std::uint16_t qid = 1; qid <= kQueues; ++qid) {
    if (chance(7, 8)) bench_.create_pair(qid, 16 + below(46));
  }
}

// Something erased the kept blocks, or may have: they are written again.
void Monkey::refill() {
  bench_.run(30ms);  // an overwrite has up to 16 passes
  bench_.create_pair(1);
  write_kept_blocks();
  bench_.write32(spec::kRegCc, 0);
  bench_.run(1ms);
  REQUIRE(bench_.enable());
}

void Monkey::check_kept_blocks() {
  restart();
  if (bench_.controller->core().queues.sq(1) == nullptr) bench_.create_pair(1);
  for (const Kept& kept : kKept) {
    for (std::uint64_t block = 0; block < kept.blocks; block += kStep) {
      std::fill_n(bench_.port.at(kData), 4096, std::byte{0xEE});
      REQUIRE(bench_.status(1, kept_entry(NvmOpcode::kRead, kept.nsid, kept.control, block)) ==
              Status::kSuccess);
      for (std::uint64_t i = 0; i < 4096; i += 8) {
        REQUIRE(bench_.port.load<std::uint64_t>(kData + i) == kept_word(kept.nsid, block, i));
      }
    }
  }
  CHECK(bench_.idle());
}

void Monkey::fetched(std::uint16_t qid, const spec::SubmissionEntry& entry) {
  Sent& sent = sent_[qid == 0 ? 1 : 0][entry.cid];
  sent.opcode = &(qid == 0 ? admin_opcodes_ : nvm_opcodes_)[entry.opc];
  ++sent.opcode->reached;
  sent.detail = nullptr;
  if (qid != 0) {
    sgls_ += entry.psdt() != 0 ? 1 : 0;
    fused_ += entry.fuse() == spec::kFuseSecond ? 1 : 0;
    return;
  }
  const std::uint32_t detail = entry.cdw10 & 0xFF;
  switch (static_cast<AdminOpcode>(entry.opc)) {
    case AdminOpcode::kGetLogPage:
      sent.detail = &logs_[detail];
      break;
    case AdminOpcode::kSetFeatures:
      sent.detail = &set_features_[detail];
      break;
    case AdminOpcode::kGetFeatures:
      sent.detail = &get_features_[detail];
      break;
    default:
      return;
  }
  ++sent.detail->reached;
}

void Monkey::count(const Completion& completion) {
  const bool success = completion.status() == Status::kSuccess;
  ++(success ? succeeded_ : failed_);
  const Sent& sent = sent_[completion.entry.sqid == 0 ? 1 : 0][completion.entry.cid];
  if (!success || sent.opcode == nullptr) return;
  ++sent.opcode->succeeded;
  if (sent.detail != nullptr) ++sent.detail->succeeded;
}

bool Monkey::room(std::uint16_t qid, std::uint32_t entries) {
  const device::SubmissionQueue* queue = bench_.controller->core().queues.sq(qid);
  return queue != nullptr && bench_.queue(qid).size == queue->size &&
         bench_.queue(qid).tail == queue->tail &&
         queue->distance(queue->head, queue->tail) + entries < queue->size;
}

bool Monkey::send(std::uint16_t qid, spec::SubmissionEntry entry) {
  // Commands that must not be changed at random: they would erase what is checked, or read the
  // blocks that they erase from elsewhere.
  const auto admin_opcode = static_cast<AdminOpcode>(entry.opc);
  const bool manages = qid == 0 && (admin_opcode == AdminOpcode::kNamespaceManagement ||
                                    admin_opcode == AdminOpcode::kNamespaceAttachment ||
                                    admin_opcode == AdminOpcode::kFormatNvm);
  const auto nvm_opcode = static_cast<NvmOpcode>(entry.opc);
  const bool ranges = qid != 0 && nvm_opcode == NvmOpcode::kDatasetManagement;
  const bool reserves = qid != 0 && (nvm_opcode == NvmOpcode::kReservationRegister ||
                                     nvm_opcode == NvmOpcode::kReservationAcquire ||
                                     nvm_opcode == NvmOpcode::kReservationRelease);
  if (chance(1, 50)) entry.flags = static_cast<std::uint8_t>(random_.next());
  if (chance(1, 50) && !manages && !reserves) entry.nsid = below(3);
  if (!ranges && chance(1, 50)) entry.prp1 |= below(8);
  if (chance(1, 50)) entry.prp2 |= below(8);
  if (!room(qid)) return false;
  bench_.submit(qid, entry);
  return true;
}

void Monkey::touch_register() {
  // CMBMSC, BPMBL and PMRMSC hold addresses: restart() gives them sensible ones.
  static constexpr std::uint32_t kOffsets[] = {spec::kRegCap,
                                               spec::kRegVs,
                                               spec::kRegIntms,
                                               spec::kRegIntmc,
                                               spec::kRegCsts,
                                               spec::kRegNssr,
                                               spec::kRegAqa,
                                               spec::kRegAsq,
                                               spec::kRegAcq,
                                               spec::kRegCmbloc,
                                               spec::kRegCmbsz,
                                               spec::kRegCmbsts,
                                               spec::kRegCmbebs,
                                               spec::kRegCrto,
                                               spec::kRegBpinfo,
                                               spec::kRegBprsel,
                                               spec::kRegPmrcap,
                                               spec::kRegPmrctl,
                                               spec::kRegPmrsts,
                                               spec::kRegPmrebs,
                                               0x18,
                                               0x60,
                                               0xF00};
  const std::uint32_t offset = kOffsets[random_.below(std::size(kOffsets))];
  const std::uint64_t value = random_.next();
  const std::size_t bytes = chance(1, 10) ? std::size_t{1} << below(4) : 4;
  bench_.controller->bar_write(0, offset, std::as_bytes(std::span(&value, 1)).first(bytes));
  bench_.read64(offset & ~7u);
  // Eight bytes at INTMC reach CC: they may have disabled the controller or shut it down.
  if (offset < spec::kRegCc && offset + bytes > spec::kRegCc) restart();
}

// The controller memory buffer and the persistent memory region, also beyond their ends.
void Monkey::touch_memory_bar() {
  const int bar = chance(1, 2) ? 2 : 4;
  const std::uint64_t offset = random_.below(66 * 4096);
  std::uint64_t value = random_.next();
  const std::size_t bytes = std::size_t{1} << below(4);
  bench_.controller->bar_write(bar, offset, std::as_bytes(std::span(&value, 1)).first(bytes));
  bench_.controller->bar_read(bar, offset, std::as_writable_bytes(std::span(&value, 1)));
}

}  // namespace nvmesim::test
