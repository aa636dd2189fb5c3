#include "sim/bridge/firmware.hpp"

#include <cstring>

namespace nvmesim::bridge {
namespace {

// User-Mode Linux gives BARs addresses from F0000000h on. Base and limit of a bridge's memory
// window (PCI-to-PCI bridge 1.2, 3.2.5.8) in MiB; the window ends below the x86 window for
// messages.
constexpr unsigned kMemoryWindow = 0x20;
constexpr std::uint32_t kGuestWindow = 0xFED0'F000;

}  // namespace

Firmware::Firmware(sc_core::sc_module_name name, base::Scheduler& scheduler, PciFunction& bus,
                   Options options, Done done)
    : sc_core::sc_module(name),
      scheduler_(scheduler),
      bus_(bus),
      options_(std::move(options)),
      done_(std::move(done)) {
  NVMESIM_HAS_PROCESS(Firmware);
  SC_THREAD(run);
}

void Firmware::run() {
  while (!options_.trained()) scheduler_.sleep(std::chrono::microseconds(100));
  const auto functions = pcie::enumerate(*this, options_.window, options_.enumeration);
  if (functions.empty()) {
    done_(nullptr);
    return;
  }
  for (const pcie::RequesterId bridge : functions.front().bridges) {
    write32(bridge, kMemoryWindow, kGuestWindow);
  }
  done_(&functions.front());
}

std::uint32_t Firmware::read32(pcie::RequesterId function, unsigned offset) {
  return access(tlm::TLM_READ_COMMAND, function, offset, 0);
}

void Firmware::write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) {
  access(tlm::TLM_WRITE_COMMAND, function, offset, value);
}

std::uint32_t Firmware::access(tlm::tlm_command command, pcie::RequesterId function,
                               unsigned offset, std::uint32_t value) {
  answered_ = false;
  pcie::TlpPayload* payload = bus_.configuration(command, function, offset, value,
                                                 base::Callback::of<&Firmware::answered>(this));
  while (!answered_) sc_core::wait(answer_);
  value = ~std::uint32_t{0};
  if (payload->get_response_status() == pcie::kStatusSuccessful) {
    std::memcpy(&value, payload->get_data_ptr(), sizeof value);
  }
  payload->release();
  return value;
}

void Firmware::answered() {
  answered_ = true;
  scheduler_.wake(answer_);
}

}  // namespace nvmesim::bridge
