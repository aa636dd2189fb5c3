// State, registers and the plain admin commands of a controller.
#include "host/nvme/ctrl.hpp"

#include <algorithm>
#include <cstring>

#include "host/nvme/error_status.hpp"
#include "host/nvme/queue.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint32_t kCssAll = 6;      // CC.CSS: all command sets that are supported
constexpr unsigned kCapCssAll = 1u << 6;  // CAP.CSS, bit 6
// Of NVMe 2.0: CAP.CRWMS, and CRTO with the longest time to ready with media in 15:0.
constexpr unsigned kCapCrwms = 59;
constexpr std::uint32_t kRegCrto = 0x68;

}  // namespace

NvmeCtrl::NvmeCtrl(Machine& machine, CtrlBus& bus, const DriverConfig& config, Quirks& quirks,
                   unsigned instance, WorkQueue& nvme_wq, WorkQueue& reset_wq,
                   Subsystems& subsystems, base::Callback reset)
    : machine_(machine),
      bus_(bus),
      config_(config),
      quirks_(quirks),
      facts_(facts_of(config.generation)),
      instance_(instance),
      name_(fmt::format("nvme{}", instance)),
      nvme_wq_(nvme_wq),
      reset_wq_(reset_wq),
      subsystems_(subsystems),
      reset_work_(reset),
      scan_work_(base::Callback::of<&NvmeCtrl::scan_work>(this)),
      async_event_work_(base::Callback::of<&NvmeCtrl::async_event_work>(this)),
      fw_act_work_(base::Callback::of<&NvmeCtrl::fw_act_work>(this)),
      ana_work_(base::Callback::of<&NvmeCtrl::ana_work>(this)),
      ka_work_(nvme_wq, machine.scheduler(), base::Callback::of<&NvmeCtrl::keep_alive_work>(this)),
      anatt_work_(nvme_wq, machine.scheduler(), base::Callback::of<&NvmeCtrl::anatt_work>(this)),
      state_wq_(machine.threads),
      scan_lock_(machine.threads),
      shutdown_timeout_s_(config.shutdown_timeout),
      ps_max_latency_us_(config.default_ps_max_latency_us) {}

NvmeCtrl::~NvmeCtrl() = default;

void NvmeCtrl::log(PrintLevel level, std::string_view text) {
  machine_.log.print(level, "nvme {}: {}", name_, text);
}

void NvmeCtrl::set_transport_limits(std::uint32_t max_hw_sectors, std::uint32_t max_segments) {
  limits_.max_hw_sectors = max_hw_sectors;
  limits_.max_segments = max_segments;
}

// --- state

bool NvmeCtrl::change_ctrl_state(CtrlState to) {
  if (!may_change(state_, to, facts_)) return false;
  state_ = to;
  state_wq_.wake_all();
  if (to == CtrlState::kLive) kick_heads();
  return true;
}

bool NvmeCtrl::wait_reset() {
  state_wq_.wait(
      [this] { return change_ctrl_state(CtrlState::kResetting) || is_terminal(state_); });
  return state_ == CtrlState::kResetting;
}

int NvmeCtrl::reset_ctrl() {
  if (!change_ctrl_state(CtrlState::kResetting)) return -EBUSY;
  ++resets_;
  return reset_wq_.queue_work(reset_work_) ? 0 : -EBUSY;
}

int NvmeCtrl::reset_ctrl_sync() {
  const int result = reset_ctrl();
  if (result != 0) return result;
  flush_reset();
  return state_ == CtrlState::kLive ? 0 : -ENETRESET;
}

int NvmeCtrl::try_sched_reset() {
  if (state_ != CtrlState::kResetting) return -EBUSY;
  ++resets_;
  return reset_wq_.queue_work(reset_work_) ? 0 : -EBUSY;
}

// --- registers

void NvmeCtrl::write_cc(std::uint32_t value) {
  ctrl_config_ = value;
  bus_.reg_write32(kRegCc, value);
}

bool NvmeCtrl::multi_css() const {
  return Cc{ctrl_config_}.css() == kCssAll;
}

int NvmeCtrl::wait_ready(bool enabled, std::uint32_t timeout_500ms) {
  const base::Time deadline = now() + (timeout_500ms + 1) * base::Time(500ms);
  for (;;) {
    const Csts csts{bus_.reg_read32(kRegCsts)};
    if (csts.value == kDeadRegister) return -ENODEV;
    if (csts.rdy() == enabled) return 0;
    machine_.threads.msleep(1);
    if (now() > deadline) {
      log_error(fmt::format("Device not ready; aborting {}, CSTS=0x{:x}",
                            enabled ? "initialisation" : "reset", csts.value));
      return -ENODEV;
    }
  }
}

int NvmeCtrl::disable_ctrl() {
  Cc cc{ctrl_config_};
  cc.set_shn(kShnNone);
  cc.set_en(false);
  write_cc(cc.value);
  if (quirks_.delay_before_check_ready) machine_.threads.msleep(2300);
  return wait_ready(false, Cap{cap}.to());
}

int NvmeCtrl::enable_ctrl() {
  cap = bus_.reg_read64(kRegCap);
  const Cap capability{cap};
  if (capability.mpsmin() + 12u > kPageShift) {
    log_error(fmt::format("Minimum device page size {} too large for host ({})",
                          1u << (capability.mpsmin() + 12u), 1u << kPageShift));
    return -ENODEV;
  }
  Cc cc;
  cc.set_css((capability.css() & kCapCssAll) != 0 ? kCssAll : 0);
  cc.set_iosqes(kIosqes);
  cc.set_iocqes(kIocqes);
  std::uint32_t timeout = capability.to();
  if (facts_.enable_in_two_writes) {
    write_cc(cc.value);
    bus_.reg_read32(kRegCc);         // brings the write to the device
    cap = bus_.reg_read64(kRegCap);  // times may depend on the configuration
    timeout = Cap{cap}.to();
    if (bits(cap, kCapCrwms, kCapCrwms) != 0)
      timeout = std::max(timeout, bits(bus_.reg_read32(kRegCrto), 15, 0));
  }
  cc.set_en(true);
  write_cc(cc.value);
  return wait_ready(true, timeout);
}

int NvmeCtrl::shutdown_ctrl() {
  Cc cc{ctrl_config_};
  cc.set_shn(kShnNormal);
  write_cc(cc.value);
  const base::Time deadline = now() + shutdown_timeout_s_ * base::Time(1s);
  for (;;) {
    const Csts csts{bus_.reg_read32(kRegCsts)};
    if (csts.shst() == kShstComplete) return 0;
    machine_.threads.msleep(100);
    if (now() > deadline) {
      log_error("Device shutdown incomplete; abort shutdown");
      return -ENODEV;
    }
  }
}

// --- commands

int NvmeCtrl::submit_sync_cmd(SubmissionEntry& command, std::span<std::byte> data,
                              std::uint64_t* result) {
  if (admin_q == nullptr) return -ENODEV;
  return submit(command, data, result, *admin_q, false, false, base::kTimeZero);
}

// timeout 0: that of the queue.
int NvmeCtrl::submit(SubmissionEntry& command, std::span<std::byte> data, std::uint64_t* result,
                     RequestQueue& queue, bool user, bool at_head, base::Time timeout) {
  const bool to_device = (command.opc & 1u) != 0;
  Request* request =
      queue.alloc_request(to_device ? RequestOp::kDriverOut : RequestOp::kDriverIn, {});
  if (request == nullptr) return -ENODEV;
  DmaMemory memory;
  if (!data.empty()) {
    memory = machine_.pages.allocate_range(data.size());
    if (!memory) {
      queue.free_request(*request);
      return -ENOMEM;
    }
    // What the device leaves out must not be what the last user left.
    machine_.memory.copy_in(memory.address, data.data(), data.size());
    request->data_address = memory.address;
    request->data_bytes = static_cast<std::uint32_t>(data.size());
  }
  std::memcpy(request->command.data(), &command, sizeof command);
  request->failfast_driver = true;
  request->user_command = user;
  if (timeout != base::kTimeZero) request->timeout = timeout;
  const BlockStatus block_status = queue.execute_rq(*request, at_head);
  int status = request->status;
  if (iod_of(*request).cancelled)
    status = -EINTR;
  else if (status == 0 && block_status != BlockStatus::kOk)
    status = -EIO;
  if (result != nullptr) *result = request->result;
  if (memory) {
    if (!to_device) machine_.memory.copy_out(memory.address, data.data(), data.size());
    machine_.pages.free_range(memory);
  }
  queue.free_request(*request);
  return status;
}

int NvmeCtrl::get_features(FeatureId feature, std::uint32_t value, std::uint32_t* result) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kGetFeatures);
  command.cdw10 = static_cast<std::uint32_t>(feature);
  command.cdw11 = value;
  std::uint64_t answer = 0;
  const int status = submit_sync_cmd(command, {}, &answer);
  if (status >= 0) *result = static_cast<std::uint32_t>(answer);
  return status;
}

int NvmeCtrl::identify(std::uint8_t cns, std::uint32_t nsid, std::uint8_t csi,
                       std::span<std::byte> data) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kIdentify);
  command.nsid = nsid;
  command.cdw10 = cns;
  command.cdw11 = std::uint32_t{csi} << 24;
  return submit_sync_cmd(command, data);
}

int NvmeCtrl::get_log(std::uint32_t nsid, std::uint8_t page, std::span<std::byte> data,
                      std::uint8_t csi) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kGetLogPage);
  command.nsid = nsid;
  const auto dwords = static_cast<std::uint32_t>(data.size() / 4 - 1);
  command.cdw10 = page | (dwords & 0xffffu) << 16;
  command.cdw11 = dwords >> 16;
  command.cdw14 = std::uint32_t{csi} << 24;
  return submit_sync_cmd(command, data);
}

int NvmeCtrl::set_features(FeatureId feature, std::uint32_t value, std::span<std::byte> data,
                           std::uint32_t* result) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kSetFeatures);
  command.cdw10 = static_cast<std::uint32_t>(feature);
  command.cdw11 = value;
  std::uint64_t answer = 0;
  const int status = submit_sync_cmd(command, data, &answer);
  if (result != nullptr) *result = static_cast<std::uint32_t>(answer);
  return status;
}

int NvmeCtrl::set_queue_count(unsigned& count) {
  const std::uint32_t wanted = count - 1;
  std::uint32_t answer = 0;
  const int status = set_features(FeatureId::kNumberOfQueues, wanted | wanted << 16, {}, &answer);
  if (status < 0) return status;
  if (facts_.path_error_fails_queue_count && status == kHostPathError) return status;
  if (status > 0) {
    log_error(fmt::format("Could not set queue count ({})", status));
    count = 0;
    return 0;
  }
  count = std::min(count, std::min(answer & 0xffffu, answer >> 16) + 1);
  return 0;
}

// --- life

void NvmeCtrl::start_ctrl() {
  start_keep_alive();
  enable_aen();
  if (queue_count > 1) {
    queue_scan();
    start_queues();
  }
}

void NvmeCtrl::stop_ctrl() {
  anatt_work_.cancel_sync();
  nvme_wq_.cancel_work_sync(ana_work_);
  ka_work_.cancel_sync();
  nvme_wq_.flush_work(async_event_work_);
  nvme_wq_.cancel_work_sync(fw_act_work_);
}

// What a write of NSSR looks like to the host: nothing but the state tells that it was meant.
int NvmeCtrl::reset_subsystem() {
  if (version_ < kVersion11 || !Cap{cap}.nssrs()) return -ENOTTY;
  if (!facts_.subsystem_reset_states) {
    bus_.reg_write32(kRegNssr, kNssrMagic);
    return 0;
  }
  if (!change_ctrl_state(CtrlState::kResetting)) return -EBUSY;
  bus_.reg_write32(kRegNssr, kNssrMagic);
  if (!change_ctrl_state(CtrlState::kConnecting) || !change_ctrl_state(CtrlState::kLive))
    return -EIO;
  bus_.reg_read32(kRegCsts);  // finds out whether the device answers
  return 0;
}

}  // namespace nvmesim::host
