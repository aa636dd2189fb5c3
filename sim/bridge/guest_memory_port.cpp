#include "sim/bridge/guest_memory_port.hpp"

#include <cstring>

namespace nvmesim::bridge {

GuestMemoryPort::GuestMemoryPort(sc_core::sc_module_name name, base::Scheduler& scheduler,
                                 const GuestMemoryTiming& timing, pcie::HostPort& interrupts)
    : sc_core::sc_module(name),
      port("port", this, scheduler),
      scheduler_(scheduler),
      timing_(timing),
      interrupts_(interrupts) {}

// Reads or writes the bytes of a payload; false if they are not all in memory.
bool GuestMemoryPort::access(base::GenericPayload& payload) {
  const std::size_t bytes = payload.get_data_length();
  const auto place =
      memory_ != nullptr ? memory_->at_guest(payload.get_address(), bytes) : std::span<std::byte>{};
  if (payload.get_command() == tlm::TLM_IGNORE_COMMAND || place.empty()) {
    payload.set_response_status(pcie::kStatusUnsupportedRequest);
    return false;
  }
  payload.set_response_status(pcie::kStatusSuccessful);
  if (pcie::tlp_of(payload).dataless) return true;
  auto* memory = reinterpret_cast<unsigned char*>(place.data());
  unsigned char* data = payload.get_data_ptr();
  const unsigned char* enables = payload.get_byte_enable_ptr();
  for (std::size_t i = 0; enables != nullptr && i < bytes; ++i) {
    if (enables[i % payload.get_byte_enable_length()] != TLM_BYTE_ENABLED) continue;
    (payload.is_write() ? memory[i] : data[i]) = payload.is_write() ? data[i] : memory[i];
  }
  if (enables != nullptr) return true;
  payload.is_write() ? std::memcpy(memory, data, bytes) : std::memcpy(data, memory, bytes);
  return true;
}

void GuestMemoryPort::request(base::GenericPayload& payload) {
  if (payload.is_write() && payload.get_address() == kMessageAddress) {
    std::uint32_t data = 0;
    std::memcpy(&data, payload.get_data_ptr(),
                std::min<std::size_t>(sizeof data, payload.get_data_length()));
    payload.set_response_status(pcie::kStatusSuccessful);
    interrupts_.message_interrupt(kMessageAddress, data);
    port.respond(payload);
    return;
  }
  if (access(payload) && commands_ != nullptr && !pcie::tlp_of(payload).dataless) {
    const std::span data(reinterpret_cast<const std::byte*>(payload.get_data_ptr()),
                         payload.get_data_length());
    payload.is_write() ? commands_->memory_written(payload.get_address(), data)
                       : commands_->memory_read(payload.get_address(), data);
  }
  if (payload.is_write()) {
    port.respond(payload);
    return;
  }
  const base::Time latency = timing_.read_latency + timing_.read_pace(payload.get_data_length());
  scheduler_.at<&GuestMemoryPort::answer>(scheduler_.now() + latency, this,
                                          reinterpret_cast<std::uint64_t>(&payload));
}

void GuestMemoryPort::answer(std::uint64_t payload) {
  port.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

unsigned GuestMemoryPort::debug(base::GenericPayload& payload) {
  return access(payload) ? payload.get_data_length() : 0;
}

}  // namespace nvmesim::bridge
