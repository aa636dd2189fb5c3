#include "host/kernel/aer.hpp"

#include <algorithm>

#include "host/kernel/machine.hpp"
#include "host/kernel/pci_registers.hpp"
#include "pcie/capabilities.hpp"

namespace nvmesim::host {
namespace {

// Advanced error reporting (7.8.4).
constexpr unsigned kUncorrectableStatus = 0x04;
constexpr unsigned kCorrectableStatus = 0x10;
constexpr unsigned kRootCommand = 0x2C;
constexpr unsigned kRootStatus = 0x30;
constexpr unsigned kErrorSource = 0x34;
constexpr std::uint32_t kCorrectableReceived = 1u << 0;
constexpr std::uint32_t kUncorrectableReceived = 1u << 2;
constexpr std::uint32_t kFatalReceived = 1u << 6;

constexpr unsigned kResetMs = 2;  // the reset is held so long

std::string text_of(pcie::RequesterId id) {
  const unsigned number = id.value();
  return fmt::format("0000:{:02x}:{:02x}.{:x}", number >> 8, number >> 3 & 31, number & 7);
}

}  // namespace

AerService::AerService(Machine& machine)
    : machine_(machine), work_(base::Callback::of<&AerService::look>(this)) {}

void AerService::watch(const pcie::FunctionInfo& function, PciErrorHandlers& handlers) {
  const bool known = std::any_of(watched_.begin(), watched_.end(),
                                 [&](const Watched& each) { return each.id == function.id; });
  if (known) return;
  watched_.push_back({function.id, function.bridges, &handlers});
  const pcie::RequesterId port = function.bridges.front();
  if (++ports_[port] == 1) start_port(port);
  for (const pcie::RequesterId bridge : function.bridges) {
    enable_reporting(bridge);
    if (bridge != port) bridges_[bridge].save(machine_, bridge);
  }
  enable_reporting(function.id);
}

void AerService::forget(pcie::RequesterId function) {
  const auto found = std::find_if(watched_.begin(), watched_.end(),
                                  [=](const Watched& each) { return each.id == function; });
  if (found == watched_.end()) return;
  machine_.system_wq.flush_work(work_);
  const pcie::RequesterId port = found->bridges.front();
  watched_.erase(found);
  if (--ports_[port] != 0) return;
  ports_.erase(port);
  stop_port(port);
}

void AerService::start_port(pcie::RequesterId port) {
  const unsigned at = pcie::find_extended_capability(machine_, port, pcie::kExtendedAdvancedError);
  if (at == 0) return;
  if (machine_.interrupts.alloc_irq_vectors(port, 1, 1, {}, Interrupts::kIrqMsi) < 0) return;
  machine_.interrupts.request_irq(port, 0, *this, "aerdrv");
  machine_.write32(port, at + kRootStatus, ~0u);
  machine_.write32(port, at + kRootCommand, 7);
}

void AerService::stop_port(pcie::RequesterId port) {
  if (machine_.interrupts.vectors_of(port) == 0) return;
  const unsigned at = pcie::find_extended_capability(machine_, port, pcie::kExtendedAdvancedError);
  machine_.write32(port, at + kRootCommand, 0);
  machine_.interrupts.free_irq(port, 0, *this);
  machine_.interrupts.free_irq_vectors(port);
}

void AerService::enable_reporting(pcie::RequesterId id) {
  const unsigned express = pcie::find_capability(machine_, id, pcie::kCapabilityPciExpress);
  if (express == 0) return;
  const std::uint32_t control = machine_.read32(id, express + pci::kDeviceControl) & 0xFFFF;
  machine_.write32(id, express + pci::kDeviceControl, control | pci::kReportAllErrors);
}

IrqReturn AerService::handle_irq() {
  machine_.system_wq.queue_work(work_);
  return IrqReturn::kHandled;
}

void AerService::look() {
  std::vector<pcie::RequesterId> ports;
  for (const auto& [port, functions] : ports_) ports.push_back(port);
  for (const pcie::RequesterId port : ports) look_at(port);
}

void AerService::look_at(pcie::RequesterId port) {
  const unsigned at = pcie::find_extended_capability(machine_, port, pcie::kExtendedAdvancedError);
  // Errors that come while one is being recovered from are looked at behind it.
  for (;;) {
    const std::uint32_t status = machine_.read32(port, at + kRootStatus);
    if ((status & (kCorrectableReceived | kUncorrectableReceived)) == 0) return;
    const std::uint32_t sources = machine_.read32(port, at + kErrorSource);
    machine_.write32(port, at + kRootStatus, status);
    if ((status & kCorrectableReceived) != 0) {
      const pcie::RequesterId source(static_cast<std::uint16_t>(sources));
      ++correctable_;
      machine_.log.print(PrintLevel::kWarning, "pcieport {}: AER: {} met a correctable error",
                         text_of(port), text_of(source));
      clear_status(source, kCorrectableStatus);
    }
    if ((status & kUncorrectableReceived) != 0) {
      const pcie::RequesterId source(static_cast<std::uint16_t>(sources >> 16));
      const bool fatal = (status & kFatalReceived) != 0;
      ++(fatal ? fatal_ : non_fatal_);
      machine_.log.print(PrintLevel::kError, "pcieport {}: AER: {} met {} error", text_of(port),
                         text_of(source), fatal ? "a fatal" : "an uncorrectable");
      recover(port, source, fatal);
    }
  }
}

// What was not there reads as ones; then nothing is written.
void AerService::clear_status(pcie::RequesterId id, unsigned reg) {
  const unsigned at = pcie::find_extended_capability(machine_, id, pcie::kExtendedAdvancedError);
  if (at == 0) return;
  const std::uint32_t status = machine_.read32(id, at + reg);
  if (status != ~0u) machine_.write32(id, at + reg, status);
}

// The function itself, or all below a bridge.
std::vector<AerService::Watched> AerService::below(pcie::RequesterId source) const {
  std::vector<Watched> all;
  for (const Watched& each : watched_) {
    const bool behind =
        std::find(each.bridges.begin(), each.bridges.end(), source) != each.bridges.end();
    if (each.id == source || behind) all.push_back(each);
  }
  return all;
}

void AerService::recover(pcie::RequesterId port, pcie::RequesterId source, bool fatal) {
  const std::vector<Watched> functions = below(source);
  const PciChannelState state = fatal ? PciChannelState::kFrozen : PciChannelState::kNormal;
  bool reset = fatal;
  for (const Watched& each : functions) {
    reset |= each.handlers->error_detected(state) == PciErrorResult::kNeedReset;
  }
  if (!reset) {
    clear_status(source, kUncorrectableStatus);
    for (const Watched& each : functions) each.handlers->error_resume();
    return;
  }
  // The bus below the source, if that is a bridge; else the one that it is on.
  pcie::RequesterId bridge = port;
  if (!functions.empty() && functions.front().id == source)
    bridge = functions.front().bridges.back();
  if (!reset_below(bridge)) {
    machine_.log.print(PrintLevel::kError, "pcieport {}: AER: the link does not come back",
                       text_of(bridge));
    for (const Watched& each : functions) {
      each.handlers->error_detected(PciChannelState::kPermanentFailure);
    }
    return;
  }
  clear_status(source, kUncorrectableStatus);
  bool recovered = true;
  for (const Watched& each : functions) {
    for (const pcie::RequesterId on_path : each.bridges) {
      if (const auto saved = bridges_.find(on_path); saved != bridges_.end()) {
        saved->second.restore(machine_);
      }
    }
    recovered &= each.handlers->slot_reset() == PciErrorResult::kRecovered;
    clear_status(each.id, kUncorrectableStatus);
  }
  for (const Watched& each : functions) each.handlers->error_resume();
  ++recoveries_;
  machine_.log.print(PrintLevel::kInfo, "pcieport {}: AER: recovery {}", text_of(bridge),
                     recovered ? "succeeded" : "failed");
}

// Secondary Bus Reset, until the link is up again. False if it does not come.
bool AerService::reset_below(pcie::RequesterId bridge) {
  const std::uint32_t control = machine_.read32(bridge, pci::kBridgeControl);
  machine_.write32(bridge, pci::kBridgeControl, control | pci::kSecondaryReset);
  machine_.threads.msleep(kResetMs);
  machine_.write32(bridge, pci::kBridgeControl, control & ~pci::kSecondaryReset);
  const unsigned express = pcie::find_capability(machine_, bridge, pcie::kCapabilityPciExpress);
  for (unsigned waited = 0; waited < pci::kLinkMs; ++waited) {
    machine_.threads.msleep(1);
    if ((machine_.read16(bridge, express + pci::kLinkStatus) & pci::kLinkActive) == 0) continue;
    machine_.threads.msleep(pci::kSettleMs);
    return true;
  }
  return false;
}

void AerService::add_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".correctable", "1", "Correctable errors that were reported.", correctable_);
  registry.add(name + ".non_fatal", "1", "Uncorrectable errors that were reported.", non_fatal_);
  registry.add(name + ".fatal", "1", "Fatal errors that were reported.", fatal_);
  registry.add(name + ".recoveries", "1", "Resets of a bus after which drivers went on.",
               recoveries_);
}

}  // namespace nvmesim::host
