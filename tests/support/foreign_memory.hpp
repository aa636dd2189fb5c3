// A plain TLM memory of another author's making: a simple_target_socket with b_transport, loosely
// timed, no extension known. It stands in for host::Memory with the same latencies.
#pragma once

#include <cstring>
#include <map>
#include <vector>

#include "host/kernel/host_config.hpp"
#include "sim/base/systemc.hpp"
#include "sim/base/units.hpp"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#include <tlm_utils/simple_target_socket.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace nvmesim::test {

struct ForeignMemory : sc_core::sc_module {
  tlm_utils::simple_target_socket<ForeignMemory, 64> socket{"socket"};

  ForeignMemory(sc_core::sc_module_name name, const host::HostConfig& host)
      : sc_module(name), config(host) {
    socket.register_b_transport(this, &ForeignMemory::b_transport);
    socket.register_transport_dbg(this, &ForeignMemory::transport_dbg);
  }

  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    transport_dbg(payload);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (!payload.is_read()) return;
    const base::Pace pace(std::uint64_t{config.memory_read_ns_per_kib} * 1000, 1024);
    const base::Time latency =
        std::chrono::nanoseconds(config.memory_read_latency_ns) + pace(payload.get_data_length());
    delay += sc_core::sc_time::from_value(static_cast<sc_dt::uint64>(latency.count()));
  }

  unsigned transport_dbg(tlm::tlm_generic_payload& payload) {
    std::uint64_t address = payload.get_address();
    unsigned char* data = payload.get_data_ptr();
    for (unsigned left = payload.get_data_length(); left > 0;) {
      auto& page = pages[address / 4096];
      if (page.empty()) page.resize(4096);
      const auto offset = static_cast<unsigned>(address % 4096);
      const unsigned piece = std::min(left, 4096 - offset);
      if (payload.is_read()) {
        std::memcpy(data, page.data() + offset, piece);
      } else {
        std::memcpy(page.data() + offset, data, piece);
      }
      address += piece;
      data += piece;
      left -= piece;
    }
    return payload.get_data_length();
  }

  const host::HostConfig config;
  std::map<std::uint64_t, std::vector<unsigned char>> pages;
};

}  // namespace nvmesim::test
