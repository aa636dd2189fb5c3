#include "host/kernel/memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <string>

#include "pcie/tlp.hpp"

namespace nvmesim::host {

Memory::Memory(sc_core::sc_module_name name, const HostConfig& config, base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      port("port", this, scheduler),
      scheduler_(scheduler),
      map_(config.memory_bytes),
      read_latency_(std::chrono::nanoseconds(config.memory_read_latency_ns)),
      read_pace_(std::uint64_t{config.memory_read_ns_per_kib} * 1000, base::kKiB) {
  void* mapping = mmap(nullptr, map_.bytes(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    throw base::UserError(
        fmt::format("memory_bytes: this machine cannot map {} bytes; ask for less", map_.bytes()));
  }
  // Only a hint: fewer page faults and TLB misses where the machine has huge pages.
  madvise(mapping, map_.bytes(), MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(mapping);
}

Memory::~Memory() {
  munmap(data_, map_.bytes());
}

// Reads or writes the bytes of a payload; false if they are not all in RAM.
bool Memory::access(base::GenericPayload& payload) {
  const std::size_t bytes = payload.get_data_length();
  const std::uint64_t address = payload.get_address();
  if (payload.get_command() == tlm::TLM_IGNORE_COMMAND || !map_.contains(address, bytes)) {
    payload.set_response_status(pcie::kStatusUnsupportedRequest);
    return false;
  }
  payload.set_response_status(pcie::kStatusSuccessful);
  auto* ram = reinterpret_cast<unsigned char*>(data_ + map_.offset(address));
  unsigned char* data = payload.get_data_ptr();
  const unsigned char* enables = payload.get_byte_enable_ptr();
  if (enables == nullptr) {
    payload.is_write() ? std::memcpy(ram, data, bytes) : std::memcpy(data, ram, bytes);
    return true;
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (enables[i % payload.get_byte_enable_length()] != TLM_BYTE_ENABLED) continue;
    (payload.is_write() ? ram[i] : data[i]) = payload.is_write() ? data[i] : ram[i];
  }
  return true;
}

void Memory::request(base::GenericPayload& payload) {
  const std::size_t bytes = payload.get_data_length();
  if (pcie::tlp_of(payload).dataless && map_.contains(payload.get_address(), bytes)) {
    payload.set_response_status(pcie::kStatusSuccessful);
  } else {
    access(payload);
  }
  if (payload.is_write()) {
    port.respond(payload);
    return;
  }
  scheduler_.at<&Memory::answer>(scheduler_.now() + read_latency_ + read_pace_(bytes), this,
                                 reinterpret_cast<std::uint64_t>(&payload));
}

void Memory::answer(std::uint64_t payload) {
  port.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

unsigned Memory::debug(base::GenericPayload& payload) {
  return access(payload) ? payload.get_data_length() : 0;
}

}  // namespace nvmesim::host
