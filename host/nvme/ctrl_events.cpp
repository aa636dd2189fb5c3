// Asynchronous events: which ones are asked for, what each leads to, and firmware activation.
#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint32_t kNoticeNamespace = 1u << 8;
constexpr std::uint32_t kNoticeFirmware = 1u << 9;
constexpr std::uint32_t kNoticeAna = 1u << 11;
constexpr std::uint32_t kNoticeDiscovery = 1u << 31;
constexpr unsigned kDiscoveryInfo = 0xf0;

}  // namespace

void NvmeCtrl::enable_aen() {
  const std::uint32_t supported =
      identify_.oaes & (kNoticeNamespace | kNoticeFirmware | kNoticeAna | kNoticeDiscovery);
  if (supported == 0) return;
  const int status = set_features(FeatureId::kAsyncEventConfiguration, supported, {});
  if (status != 0) log_warning(fmt::format("Failed to configure AEN (cfg {:x})", supported));
  nvme_wq_.queue_work(async_event_work_);
}

// Sends the one request for an event that is ever outstanding.
void NvmeCtrl::async_event_work() {
  aen_result_ = 0;  // user space would have been told of it here
  if (facts_.events_only_live && state_ != CtrlState::kLive) return;
  bus_.submit_async_event();
}

void NvmeCtrl::complete_async_event(std::uint16_t status, std::uint32_t result) {
  if (status != 0) return;
  ++async_events_;
  const auto info = bits(result, 15, 8);
  bool ask_again = true;
  switch (static_cast<AsyncEventType>(bits(result, 2, 0))) {
    case AsyncEventType::kNotice:
      ask_again = handle_notice(result);
      break;
    case AsyncEventType::kError:
      if (facts_.events_reset_and_wait &&
          info == static_cast<unsigned>(AsyncErrorInfo::kPersistentInternalError)) {
        log_warning("resetting controller due to persistent internal error");
        reset_ctrl();
        return;
      }
      aen_result_ = result;
      break;
    case AsyncEventType::kSmart:
    case AsyncEventType::kIoCommandSetSpecific:
    case AsyncEventType::kVendorSpecific:
      aen_result_ = result;
      break;
  }
  if (ask_again) nvme_wq_.queue_work(async_event_work_);
}

// False if the next request has to wait.
bool NvmeCtrl::handle_notice(std::uint32_t result) {
  const auto info = bits(result, 15, 8);
  if (info == static_cast<unsigned>(AsyncNoticeInfo::kNamespaceAttributeChanged)) {
    ns_changed_ = true;
    queue_scan();
  } else if (info == static_cast<unsigned>(AsyncNoticeInfo::kFirmwareActivationStarting)) {
    if (!change_ctrl_state(CtrlState::kResetting)) return true;
    nvme_wq_.queue_work(fw_act_work_);
    return !facts_.events_reset_and_wait;
  } else if (info == static_cast<unsigned>(AsyncNoticeInfo::kAsymmetricNamespaceAccessChange)) {
    if (has_ana()) nvme_wq_.queue_work(ana_work_);
  } else if (info == kDiscoveryInfo) {
    aen_result_ = result;
  } else {
    log_warning(fmt::format("async event result {:08x}", result));
  }
  return true;
}

// The controller says that it activates firmware: I/O rests until it is done, then all goes on, or
// the controller is reset when it took longer than it had said (MTFA).
void NvmeCtrl::fw_act_work() {
  const base::Time limit = identify_.mtfa != 0 ? identify_.mtfa * base::Time(100ms)
                                               : config_.admin_timeout * base::Time(1s);
  const base::Time deadline = now() + limit;
  stop_queues();
  for (;;) {
    const Csts csts{bus_.reg_read32(kRegCsts)};
    if (!Cc{ctrl_config_}.en() || !csts.pp() || csts.value == kDeadRegister) break;
    if (now() > deadline) {
      log_warning("Fw activation timeout, reset controller");
      try_sched_reset();
      return;
    }
    machine_.threads.msleep(100);
  }
  if (facts_.live_only_from_connecting && !change_ctrl_state(CtrlState::kConnecting)) return;
  if (!change_ctrl_state(CtrlState::kLive)) return;
  start_queues();
  FirmwareSlotLog slots{};
  if (get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kFirmwareSlot), bytes_of(slots)) != 0)
    log_warning("Get FW SLOT INFO log error");
  if (facts_.events_reset_and_wait) nvme_wq_.queue_work(async_event_work_);
}

}  // namespace nvmesim::host
