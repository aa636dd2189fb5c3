#include "host/nvme/tracepoints.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace nvmesim::host {

using namespace device::spec;

namespace {

struct OpcodeName {
  std::uint8_t opcode;
  std::string_view name;
};
constexpr std::array<OpcodeName, 20> kAdminNames{{
    {0x00, "delete_sq"},      {0x01, "create_sq"},      {0x02, "get_log_page"},
    {0x04, "delete_cq"},      {0x05, "create_cq"},      {0x06, "identify"},
    {0x08, "abort_cmd"},      {0x09, "set_features"},   {0x0a, "get_features"},
    {0x0c, "async_event"},    {0x0d, "ns_mgmt"},        {0x10, "activate_fw"},
    {0x11, "download_fw"},    {0x15, "ns_attach"},      {0x18, "keep_alive"},
    {0x19, "directive_send"}, {0x1a, "directive_recv"}, {0x7c, "dbbuf"},
    {0x80, "format_nvm"},     {0x82, "security_recv"},
}};
constexpr std::array<OpcodeName, 9> kNvmNames{{
    {0x00, "flush"},
    {0x01, "write"},
    {0x02, "read"},
    {0x04, "write_uncor"},
    {0x05, "compare"},
    {0x08, "write_zeroes"},
    {0x09, "dsm"},
    {0x0c, "verify"},
    {0x0d, "resv_register"},
}};

std::string opcode_text(bool admin, std::uint8_t opcode) {
  const auto find = [opcode](const auto& names) -> std::string_view {
    for (const OpcodeName& row : names)
      if (row.opcode == opcode) return row.name;
    return {};
  };
  const std::string_view name = admin ? find(kAdminNames) : find(kNvmNames);
  if (name.empty()) return fmt::format("{}", opcode);
  return fmt::format("nvme_{}{}", admin ? "admin_" : "cmd_", name);
}

std::string hex_dwords(const SubmissionEntry& entry) {
  const std::array<std::uint32_t, 6> dwords{entry.cdw10, entry.cdw11, entry.cdw12,
                                            entry.cdw13, entry.cdw14, entry.cdw15};
  std::array<unsigned char, sizeof dwords> bytes{};
  std::memcpy(bytes.data(), dwords.data(), sizeof dwords);
  std::string text = "cdw10=";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0) text += ' ';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

std::string describe_admin(const SubmissionEntry& entry) {
  const std::uint32_t low = entry.cdw10 & 0xffff;
  const std::uint32_t high = entry.cdw10 >> 16;
  switch (static_cast<AdminOpcode>(entry.opc)) {
    case AdminOpcode::kDeleteIoSq:
      return fmt::format("sqid={}", low);
    case AdminOpcode::kDeleteIoCq:
      return fmt::format("cqid={}", low);
    case AdminOpcode::kCreateIoSq:
      return fmt::format("sqid={}, qsize={}, sq_flags=0x{:x}, cqid={}", low, high,
                         entry.cdw11 & 0xffff, entry.cdw11 >> 16);
    case AdminOpcode::kCreateIoCq:
      return fmt::format("cqid={}, qsize={}, cq_flags=0x{:x}, irq_vector={}", low, high,
                         entry.cdw11 & 0xffff, entry.cdw11 >> 16);
    case AdminOpcode::kIdentify:
      return fmt::format("cns={}, ctrlid={}", entry.cdw10 & 0xff, high);
    case AdminOpcode::kSetFeatures:
      return fmt::format("fid=0x{:x}, sv=0x{:x}, cdw11=0x{:x}", entry.cdw10 & 0xff,
                         entry.cdw10 >> 31, entry.cdw11);
    case AdminOpcode::kGetFeatures:
      return fmt::format("fid=0x{:x}, sel=0x{:x}, cdw11=0x{:x}", entry.cdw10 & 0xff,
                         entry.cdw10 >> 8 & 7, entry.cdw11);
    default:
      return hex_dwords(entry);
  }
}

std::string describe_io(const SubmissionEntry& entry) {
  switch (static_cast<NvmOpcode>(entry.opc)) {
    case NvmOpcode::kRead:
    case NvmOpcode::kWrite:
    case NvmOpcode::kWriteZeroes:
      return fmt::format("slba={}, len={}, ctrl=0x{:x}, dsmgmt={}, reftag={}",
                         std::uint64_t{entry.cdw11} << 32 | entry.cdw10, entry.cdw12 & 0xffff,
                         entry.cdw12 >> 16, entry.cdw13, entry.cdw14);
    case NvmOpcode::kDatasetManagement:
      return fmt::format("nr={}, attributes={}", entry.cdw10, entry.cdw11);
    default:
      return hex_dwords(entry);
  }
}

std::string where(const Tracepoints::Place& place) {
  std::string text = fmt::format("nvme{}: ", place.controller);
  if (!place.disk.empty()) text += fmt::format("disk={}, ", place.disk);
  return text + fmt::format("qid={}, ", place.qid);
}

}  // namespace

std::string describe_command(bool admin, const SubmissionEntry& entry) {
  return admin ? describe_admin(entry) : describe_io(entry);
}

void Tracepoints::print(const Place& place, std::string_view event,
                        const std::string& fields) const {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(place.now).count();
  sink_(fmt::format("{:>16}-{:<5} [{:03}] {} {:5}.{:06}: {}: {}{}",
                    place.interrupt ? "<idle>" : "nvmesim", place.interrupt ? 0 : 1, place.cpu,
                    place.interrupt ? "d.h.." : ".....", us / 1'000'000, us % 1'000'000, event,
                    where(place), fields));
}

void Tracepoints::setup_cmd(const Place& place, const SubmissionEntry& entry) const {
  print(place, "nvme_setup_cmd",
        fmt::format("cmdid={}, nsid={}, flags=0x{:x}, meta=0x{:x}, cmd=({} {})", entry.cid,
                    entry.nsid, entry.flags, entry.mptr, opcode_text(place.qid == 0, entry.opc),
                    describe_command(place.qid == 0, entry)));
}

void Tracepoints::sq(const Place& place, std::uint16_t head, std::uint32_t tail) const {
  print(place, "nvme_sq", fmt::format("head={}, tail={}", head, tail));
}

void Tracepoints::complete_rq(const Place& place, const Request& request, bool cancelled) const {
  const unsigned flags = unsigned{cancelled} | unsigned{request.user_command} << 1;
  print(place, "nvme_complete_rq",
        fmt::format("cmdid={}, res=0x{:x}, retries={}, flags=0x{:x}, status=0x{:x}",
                    request.command_id, request.result, request.retries, flags, request.status));
}

}  // namespace nvmesim::host
