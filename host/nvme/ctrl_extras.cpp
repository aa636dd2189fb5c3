// What only some controllers have: asymmetric namespace access, streams, self-encryption, keep
// alive.
#include <algorithm>
#include <cstring>

#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint8_t kCmicAna = 1u << 3;
constexpr std::uint16_t kOacsSecurity = 1u << 0;
constexpr std::uint16_t kOacsDirectives = 1u << 5;
constexpr std::uint32_t kCtrattTraffic = 1u << 6;  // TBKAS

// Asymmetric Namespace Access log (NVMe 1.4, 5.14.1.12).
struct AnaHeader {
  std::uint64_t change_count;
  std::uint16_t groups;
  std::array<std::uint8_t, 6> reserved;
};
static_assert(sizeof(AnaHeader) == 16);
struct AnaGroup {
  std::uint32_t id;
  std::uint32_t namespaces;
  std::uint64_t change_count;
  std::uint8_t state;
  std::array<std::uint8_t, 15> reserved;
};
static_assert(sizeof(AnaGroup) == 32);
constexpr unsigned kAnaChange = 15;

// Directives (NVMe 1.4, section 9).
constexpr std::uint32_t kDirectiveIdentify = 0;
constexpr std::uint32_t kDirectiveStreams = 1;
constexpr std::uint32_t kEnableDirective = 1;   // operation of Identify
constexpr std::uint32_t kReturnParameters = 1;  // operation of Streams
constexpr std::uint16_t kWriteHints = 4;
constexpr std::uint32_t kStreamParameterBytes = 32;

// Discovery of TCG Opal: big-endian lengths and feature codes.
constexpr std::size_t kOpalBytes = 2048;
constexpr std::size_t kOpalHeader = 48;
constexpr unsigned kOpalV1 = 0x0200;
constexpr unsigned kOpalV2 = 0x0203;

unsigned big_endian16(std::span<const std::byte> bytes) {
  return std::to_integer<unsigned>(bytes[0]) << 8 | std::to_integer<unsigned>(bytes[1]);
}

bool names_opal(std::span<const std::byte> data) {
  const std::size_t length = 4u + (big_endian16(data) << 16 | big_endian16(data.subspan(2)));
  const std::size_t end = std::min(length, data.size());
  for (std::size_t at = kOpalHeader; at + 4 <= end;) {
    const unsigned code = big_endian16(data.subspan(at));
    if (code == kOpalV1 || code == kOpalV2) return true;
    at += 4 + std::to_integer<std::size_t>(data[at + 3]);
  }
  return false;
}

}  // namespace

// --- asymmetric namespace access

int NvmeCtrl::init_ana() {
  ana_states_.clear();
  if (!config_.multipath || (identify_.cmic & kCmicAna) == 0) return 0;
  if (identify_.mnan == 0 || identify_.mnan > identify_.nn) {
    log_error(fmt::format("Invalid MNAN value {}", identify_.mnan));
    return -EINVAL;
  }
  const std::uint64_t bytes = sizeof(AnaHeader) +
                              std::uint64_t{identify_.nanagrpid} * sizeof(AnaGroup) +
                              std::uint64_t{identify_.mnan} * 4;
  if (bytes > std::uint64_t{limits_.max_hw_sectors} * kSectorBytes) {
    log_error(fmt::format("ANA log page size ({}) larger than MDTS ({}).", bytes,
                          std::uint64_t{limits_.max_hw_sectors} * kSectorBytes));
    log_error("disabling ANA support.");
    return 0;
  }
  ana_log_.assign(bytes, std::byte{});
  const int status = read_ana_log();
  return status < 0 ? status : 0;
}

// What the log says is checked against its length: it is the device's word.
int NvmeCtrl::read_ana_log() {
  const int status =
      get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kAsymmetricNamespaceAccess), ana_log_);
  if (status != 0) {
    log_warning(fmt::format("Failed to get ANA log: {}", status));
    return status;
  }
  AnaHeader header{};
  std::memcpy(&header, ana_log_.data(), sizeof header);
  ana_states_.clear();
  bool changing = false;
  std::size_t at = sizeof header;
  for (unsigned i = 0; i < header.groups && at + sizeof(AnaGroup) <= ana_log_.size(); ++i) {
    AnaGroup group{};
    std::memcpy(&group, ana_log_.data() + at, sizeof group);
    if (group.id == 0 || group.id > identify_.anagrpmax) break;
    const auto state = static_cast<std::uint8_t>(group.state & 0xfu);
    ana_states_.emplace_back(group.id, state);
    changing |= state == kAnaChange;
    at += sizeof group + std::size_t{group.namespaces} * 4;
  }
  // A group that is in transition has its time (ANATT), twice, to come out of it.
  if (changing)
    anatt_work_.modify(identify_.anatt * base::Time(2s));
  else
    anatt_work_.cancel();
  for (const auto& ns : namespaces_) {
    const unsigned state = ana_state(ns->info.ana_group);
    if (state == kAnaUnknown) continue;
    ns->ana_state = static_cast<std::uint8_t>(state);
    ns->ana_pending = false;
    if (!make_head_live(*ns)) continue;
    // Reading the new disk must not keep this thread from the next change of its state.
    NsHead& head = *ns->head.disk;
    machine_.threads.spawn("partition_scan", [this, &head] { read_first_page(machine_, head); });
  }
  kick_heads();
  return 0;
}

void NvmeCtrl::ana_work() {
  if (state_ == CtrlState::kLive) read_ana_log();
}

void NvmeCtrl::anatt_work() {
  log_info("ANATT timeout, resetting controller.");
  reset_ctrl();
}

unsigned NvmeCtrl::ana_state(std::uint32_t group) const {
  for (const auto& [id, state] : ana_states_)
    if (id == group) return state;
  return kAnaUnknown;
}

// --- streams

int NvmeCtrl::directive(bool send, std::uint32_t nsid, std::uint32_t cdw11, std::uint32_t cdw12,
                        std::span<std::byte> data) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(send ? AdminOpcode::kDirectiveSend
                                               : AdminOpcode::kDirectiveReceive);
  command.nsid = nsid;
  command.cdw10 = data.empty() ? 0 : static_cast<std::uint32_t>(data.size() / 4 - 1);
  command.cdw11 = cdw11;
  command.cdw12 = cdw12;
  return submit_sync_cmd(command, data);
}

int NvmeCtrl::read_stream_parameters(std::uint32_t nsid, StreamParameters& parameters) {
  static_assert(sizeof parameters == kStreamParameterBytes);
  return directive(false, nsid, kReturnParameters | kDirectiveStreams << 8, 0,
                   bytes_of(parameters));
}

int NvmeCtrl::configure_directives() {
  streams_ = 0;
  if (!facts_.streams || !config_.streams || (identify_.oacs & kOacsDirectives) == 0) return 0;
  const std::uint32_t enable = kEnableDirective | kDirectiveIdentify << 8;
  int status = directive(true, kNsidAll, enable, 1u | kDirectiveStreams << 8, {});
  if (status != 0) return status;
  StreamParameters parameters{};
  status = read_stream_parameters(kNsidAll, parameters);
  if (status != 0) return status;
  if (parameters.nssa < kWriteHints) {
    log_info(fmt::format("too few streams ({}) available", parameters.nssa));
    directive(true, kNsidAll, enable, kDirectiveStreams << 8, {});
    return 0;
  }
  streams_ = kWriteHints;
  log_info(fmt::format("Using {} streams", streams_));
  return 0;
}

// --- self-encryption

void NvmeCtrl::init_opal() {
  if (!config_.opal || (identify_.oacs & kOacsSecurity) == 0) {
    opal_ = false;
    return;
  }
  if (opal_) return;
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kSecurityReceive);
  command.cdw10 = 0x01u << 24 | 0x0001u << 8;  // protocol 1, its level 0 discovery
  command.cdw11 = kOpalBytes;
  std::vector<std::byte> data(kOpalBytes);
  const int status = submit(command, data, nullptr, *admin_q, false, true, base::kTimeZero);
  opal_ = status == 0 && names_opal(data);
}

// --- keep alive

void NvmeCtrl::start_keep_alive() {
  if (kato_ != 0) ka_work_.queue(kato_ * base::Time(1s) / 2);
}

void NvmeCtrl::keep_alive_work() {
  if ((identify_.ctratt & kCtrattTraffic) != 0 && std::exchange(comp_seen_, false)) {
    start_keep_alive();
    return;
  }
  Request* request =
      admin_q->alloc_request(RequestOp::kDriverIn, {.nowait = true, .reserved = true});
  if (request == nullptr) {
    // The admin queue of a PCI controller has no reserved tag.
    log_error("keep-alive failed");
    reset_ctrl();
    return;
  }
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kKeepAlive);
  std::memcpy(request->command.data(), &command, sizeof command);
  request->timeout = kato_ * base::Time(1s);
  request->end_io = base::Callback::of<&NvmeCtrl::keep_alive_ended>(
      this, reinterpret_cast<std::uint64_t>(request));
  admin_q->execute_rq_nowait(*request);
}

void NvmeCtrl::keep_alive_ended(std::uint64_t argument) {
  auto& request = *reinterpret_cast<Request*>(argument);
  const std::uint16_t status = request.status;
  admin_q->free_request(request);
  if (status != 0) {
    log_error(fmt::format("failed nvme_keep_alive_end_io error={}", status));
    return;
  }
  comp_seen_ = false;
  if (state_ == CtrlState::kLive || state_ == CtrlState::kConnecting) start_keep_alive();
}

}  // namespace nvmesim::host
