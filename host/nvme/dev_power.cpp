// Sleep and wake-up, function level reset, PCI errors.
#include <cerrno>

#include "host/kernel/pci_registers.hpp"
#include "host/nvme/dev.hpp"
#include "pcie/enumerator.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr unsigned kD3Milliseconds = 10;

}  // namespace

void NvmeDev::save_pci_state() {
  saved_config_.save(machine_, function_.id);
}

void NvmeDev::restore_pci_state() {
  saved_config_.restore(machine_);
}

// --- sleep

int NvmeDev::suspend(SuspendKind kind) {
  last_ps_ = kNoPowerState;
  const IdentifyController& id = ctrl_.identify_data();
  const HostConfig& host = machine_.config();
  const bool shut_down =
      kind != SuspendKind::kToIdle || id.npss == 0 || !host.aspm || quirks_.simple_suspend;
  if (shut_down) {
    const int result = disable_prepare_reset(true);
    // Firmware takes the power away when it sends the whole system to sleep.
    if (result == 0) set_asleep(true, kind != SuspendKind::kToIdle);
    return result;
  }
  ctrl_.start_freeze();
  ctrl_.wait_freeze();
  ctrl_.sync_queues();
  int result = -EBUSY;
  if (ctrl_.state() == CtrlState::kLive) {
    result = hmb_enabled_ ? set_host_mem_feature(0) : 0;
    if (result >= 0) {
      std::uint32_t state = 0;
      result = ctrl_.get_features(FeatureId::kPowerManagement, 0, &state);
      if (result >= 0) last_ps_ = state;
    }
    if (result >= 0) {
      save_pci_state();
      result = ctrl_.set_features(FeatureId::kPowerManagement, id.npss, {});
    }
    if (result > 0) {
      // It refuses its deepest state: do not ask again, shut it down.
      last_ps_ = kNoPowerState;
      ctrl_.forget_power_states();
      result = disable_prepare_reset(true);
      if (result == 0) set_asleep(true, false);
    }
  }
  ctrl_.unfreeze();
  return result;
}

int NvmeDev::resume() {
  set_asleep(false, cold_);
  const bool awake = last_ps_ != kNoPowerState &&
                     ctrl_.set_features(FeatureId::kPowerManagement, last_ps_, {}) == 0;
  if (awake && (ctrl_.identify_data().hmpre == 0 || setup_host_mem() == 0)) return 0;
  return ctrl_.try_sched_reset();
}

// What the PCI core does with a function whose driver has not saved its state: into D3hot, perhaps
// further into D3cold, and back with its configuration.
void NvmeDev::set_asleep(bool asleep, bool cold) {
  if (asleep == asleep_) return;
  asleep_ = asleep;
  const unsigned power = function_.pm_capability;
  if (asleep) save_pci_state();
  if (!asleep && cold) set_slot_power(true);
  if (power != 0) {
    const std::uint16_t control = machine_.read16(function_.id, power + pci::kPowerControl);
    const unsigned state = asleep ? pci::kD3Hot : 0;
    machine_.write16(function_.id, power + pci::kPowerControl,
                     static_cast<std::uint16_t>((control & ~pci::kD3Hot) | state));
    machine_.threads.msleep(kD3Milliseconds);
  }
  if (asleep && cold) set_slot_power(false);
  cold_ = asleep && cold;
  if (!asleep) restore_pci_state();
}

// By the power controller of the slot, if the port above has one; until the link is up again.
void NvmeDev::set_slot_power(bool on) {
  const pcie::RequesterId port = function_.bridges.back();
  const unsigned express = pcie::find_capability(machine_, port, pcie::kCapabilityPciExpress);
  if (express == 0 ||
      (machine_.read32(port, express + pci::kSlotCapabilities) & pci::kPowerController) == 0)
    return;
  const std::uint16_t control = machine_.read16(port, express + pci::kSlotControl);
  machine_.write16(
      port, express + pci::kSlotControl,
      static_cast<std::uint16_t>(on ? control & ~pci::kPowerOff : control | pci::kPowerOff));
  if (!on) return;
  for (unsigned waited = 0; waited < pci::kLinkMs; ++waited) {
    if ((machine_.read16(port, express + pci::kLinkStatus) & pci::kLinkActive) != 0) break;
    machine_.threads.msleep(1);
  }
  machine_.threads.msleep(pci::kSettleMs);
}

// --- reset of the function

void NvmeDev::reset_prepare() {
  disable_prepare_reset(false);
  ctrl_.sync_queues();
}

void NvmeDev::reset_done() {
  if (ctrl_.try_sched_reset() == 0) ctrl_.flush_reset();
}

int NvmeDev::reset_function() {
  const unsigned express = function_.express_capability;
  if (express == 0 ||
      (machine_.read32(function_.id, express + pci::kDeviceCapabilities) & pci::kFlrCapable) == 0)
    return -ENOTTY;
  reset_prepare();
  save_pci_state();
  const std::uint16_t control = machine_.read16(function_.id, express + pci::kDeviceControl);
  machine_.write16(function_.id, express + pci::kDeviceControl,
                   static_cast<std::uint16_t>(control | pci::kInitiateFlr));
  machine_.threads.msleep(pci::kSettleMs);
  restore_pci_state();
  reset_done();
  return 0;
}

// --- errors

PciErrorResult NvmeDev::error_detected(PciChannelState state) {
  channel_ = state;
  switch (state) {
    case PciChannelState::kNormal:
      return PciErrorResult::kCanRecover;
    case PciChannelState::kFrozen:
      ctrl_.log_warning("frozen state error detected, reset controller");
      dev_disable(false);
      return PciErrorResult::kNeedReset;
    case PciChannelState::kPermanentFailure:
      ctrl_.log_warning("failure state error detected, request disconnect");
      break;
  }
  return PciErrorResult::kDisconnect;
}

// The link or slot was reset: the function is as after power-on.
PciErrorResult NvmeDev::slot_reset() {
  ctrl_.log_info("restart after slot reset");
  channel_ = PciChannelState::kNormal;
  restore_pci_state();
  ctrl_.reset_ctrl();
  return PciErrorResult::kRecovered;
}

void NvmeDev::error_resume() {
  ctrl_.flush_reset();
}

}  // namespace nvmesim::host
