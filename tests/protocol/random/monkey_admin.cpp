// Random admin commands.
#include "tests/protocol/random/monkey.hpp"

namespace nvmesim::test {

using namespace monkey_memory;
using spec::AdminOpcode;

// Namespaces 1 and 2 are neither deleted nor detached, and keep their formats.
void Monkey::fill_management(AdminOpcode opcode, spec::SubmissionEntry& entry) {
  switch (opcode) {
    case AdminOpcode::kNamespaceManagement:
      entry.cdw10 = chance(1, 10) ? below(16) : below(2);
      entry.nsid = entry.cdw10 == 0 ? 0 : 3 + below(7);
      entry.prp1 = kNamespacePage;
      break;
    case AdminOpcode::kNamespaceAttachment:
      entry.cdw10 = chance(1, 10) ? below(16) : chance(1, 4);
      entry.nsid = 3 + below(7);
      entry.prp1 = kAttachPage;
      break;
    case AdminOpcode::kFormatNvm:
      entry.nsid = chance(1, 20) ? 1 : 3 + below(7);
      entry.cdw10 = entry.nsid == 1 ? 0 : below(chance(1, 2) ? 0x1000 : 8);
      if (entry.nsid == 1) kept_ = false;
      break;
    default:
      entry.cdw10 = chance(1, 4) ? 1 + below(4) : 5 + below(3);  // Sanitize
      if (entry.cdw10 < 5 && entry.cdw10 > 1) kept_ = false;
      break;
  }
}

void Monkey::fill_maintenance(AdminOpcode opcode, spec::SubmissionEntry& entry) {
  switch (opcode) {
    case AdminOpcode::kFirmwareImageDownload:
      entry.cdw10 = chance(1, 2) ? kImageBytes / 4 - 1 : below(2048);
      entry.cdw11 = chance(1, 2) ? 0 : below(4) * 512;
      entry.prp1 = kImagePages;
      entry.prp2 = page();
      break;
    case AdminOpcode::kFirmwareCommit:
      entry.cdw10 = below(5) | (below(8) << 3);
      break;
    case AdminOpcode::kDeviceSelfTest:
      entry.cdw10 = below(4) == 3 ? 15 : 1 + below(2);
      entry.nsid = below(4);
      break;
    case AdminOpcode::kSecuritySend:
    case AdminOpcode::kSecurityReceive:
      entry.cdw10 = (below(3) << 24) | (below(3) << 8);
      entry.cdw11 = below(4096);
      set_pages(entry, 4096);
      break;
    case AdminOpcode::kDirectiveSend:
    case AdminOpcode::kDirectiveReceive:
      entry.nsid = 1 + below(3);
      entry.cdw10 = below(1024);
      entry.cdw11 = below(4) | (below(3) << 8) | (below(4) << 16);
      entry.cdw12 = chance(1, 2) ? 0x101 : below(0x300);
      set_pages(entry, 4096);
      break;
    case AdminOpcode::kDoorbellBufferConfig:
      entry.prp1 = kShadow;
      entry.prp2 = kEventIndex;
      break;
    default:  // commands that are not there
      entry.cdw10 = static_cast<std::uint32_t>(random_.next());
      break;
  }
}

void Monkey::fill_log(spec::SubmissionEntry& entry) {
  static constexpr std::uint32_t kLogIds[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                              0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D,
                                              0x0E, 0x0F, 0x12, 0x13, 0x80, 0x81, 0xC0};
  const std::uint32_t dwords = 1 + below(chance(1, 2) ? 128 : 2048);
  const std::uint32_t page_id =
      chance(1, 20) ? below(256) : kLogIds[random_.below(std::size(kLogIds))];
  entry = get_log(static_cast<spec::LogPageId>(page_id), dwords * 4, chance(1, 2) ? 0 : below(600),
                  0, chance(1, 2));
  // 0Dh: establish a context or read it; release it at times.
  entry.cdw10 |= (page_id == 0x0D ? (chance(1, 4) ? 2 : chance(1, 2)) : below(4)) << 8;
  if (page_id == 9) entry.cdw11 |= 1u << 16;
  set_pages(entry, dwords * 4ull);
}

void Monkey::fill_feature(AdminOpcode opcode, spec::SubmissionEntry& entry) {
  static constexpr std::uint32_t kIds[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                           0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10,
                                           0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
                                           0x19, 0x1D, 0x1E, 0x80, 0x81, 0x82, 0x83, 0x84};
  const std::uint32_t id = chance(1, 20) ? below(256) : kIds[random_.below(std::size(kIds))];
  const bool of_namespace = id == 0x03 || id == 0x05 || id == 0x82 || id == 0x83;
  entry.nsid = of_namespace ? 1 + below(3) : below(20) == 0 ? below(3) : 0;
  entry.cdw11 = chance(3, 4) ? below(8) : static_cast<std::uint32_t>(random_.next());
  if (id == 0x05 && chance(3, 4)) entry.cdw11 &= 0xFFFF;  // without DULBE
  if (opcode != AdminOpcode::kSetFeatures) {
    entry.cdw10 = id | (below(5) << 8);
    set_pages(entry, 4096);
    return;
  }
  entry.cdw10 = id | (chance(1, 10) ? spec::kSetFeaturesSave : 0);
  entry.prp1 = kZeroes;
  entry.prp2 = kZeroes + 4096;
  if (id == 0x0F) entry.cdw11 = 3'600'000 + below(1000);      // too long to expire here
  if (id == 0x10 && chance(1, 2)) entry.cdw11 = 0x0140'0150;  // TMT1 and TMT2 in their range
  if (id == 0x18) entry.cdw11 = 1 | (below(256) << 16);
  if (id == 0x19 || id == 0x83) entry.cdw11 = below(2);
  if (id == 0x81) {
    entry.cdw11 = below(2);
    entry.prp1 = kHosts + random_.below(16) * 16;
  }
  if (id == 0x0D) {
    entry.cdw11 = below(chance(1, 10) ? 4 : 2);
    entry.cdw12 = chance(7, 8) ? 16 : below(20);
    entry.cdw13 = static_cast<std::uint32_t>(kHmbList);
    entry.cdw14 = 0;
    entry.cdw15 = chance(7, 8) ? 4 : below(10);
  }
}

void Monkey::submit_admin() {
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
                                             AdminOpcode::kGetLogPage,
                                             AdminOpcode::kAbort,
                                             AdminOpcode::kSetFeatures,
                                             AdminOpcode::kSetFeatures,
                                             AdminOpcode::kSetFeatures,
                                             AdminOpcode::kGetFeatures,
                                             AdminOpcode::kGetFeatures,
                                             AdminOpcode::kGetFeatures,
                                             AdminOpcode::kAsyncEventRequest,
                                             AdminOpcode::kNamespaceManagement,
                                             AdminOpcode::kNamespaceAttachment,
                                             AdminOpcode::kNamespaceAttachment,
                                             AdminOpcode::kFirmwareCommit,
                                             AdminOpcode::kFirmwareImageDownload,
                                             AdminOpcode::kDeviceSelfTest,
                                             AdminOpcode::kKeepAlive,
                                             AdminOpcode::kDirectiveSend,
                                             AdminOpcode::kDirectiveReceive,
                                             AdminOpcode::kVirtualizationManagement,
                                             AdminOpcode::kNvmeMiSend,
                                             AdminOpcode::kNvmeMiReceive,
                                             AdminOpcode::kDoorbellBufferConfig,
                                             AdminOpcode::kSecuritySend,
                                             AdminOpcode::kSecurityReceive,
                                             AdminOpcode::kSanitize,
                                             AdminOpcode::kGetLbaStatus,
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
    case AdminOpcode::kNamespaceManagement:
    case AdminOpcode::kNamespaceAttachment:
    case AdminOpcode::kFormatNvm:
    case AdminOpcode::kSanitize:
      fill_management(opcode, entry);
      break;
    case AdminOpcode::kAsyncEventRequest:
    case AdminOpcode::kKeepAlive:
      break;
    default:
      fill_maintenance(opcode, entry);
      break;
  }
  if (chance(1, 200)) entry.opc = static_cast<std::uint8_t>(0xA0 + below(0x60));  // unknown
  send(0, entry);
}

void Monkey::create(AdminOpcode opcode) {
  const auto qid = static_cast<std::uint16_t>(below(kQueues + 2));
  if (qid == 0 || qid > kQueues || !room(0)) return;
  const auto& queues = bench_.controller->core().queues;
  spec::Status status = spec::Status::kInvalidQueueId;
  if (opcode == AdminOpcode::kCreateIoCq && queues.cq(qid) == nullptr) {
    status = bench_.create_cq(qid, 1 + below(80), chance(1, 8) ? below(4) : 1 | (qid << 16));
  } else if (opcode == AdminOpcode::kCreateIoSq && queues.sq(qid) == nullptr) {
    const std::uint32_t size = bench_.queue(qid).size != 0 ? bench_.queue(qid).size : 16;
    status = bench_.create_sq(qid, size, qid, below(4));
  }
  if (status != spec::Status::kSuccess) return;
  ++succeeded_;
  ++admin_opcodes_[static_cast<std::uint8_t>(opcode)].succeeded;
}

}  // namespace nvmesim::test
