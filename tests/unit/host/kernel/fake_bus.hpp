// What a Machine's bus leads to in these tests: one function, 01:00.0, with an MSI-X capability and
// registers that remember what was written. Reads and configuration writes take kRoundTrip.
#pragma once

#include <cstring>
#include <map>

#include "host/kernel/machine.hpp"

namespace nvmesim::host::test {

class FakeBus : public sc_core::sc_module {
  void request(base::GenericPayload& payload) {
    ++requests;
    if (pcie::is_posted(payload)) {
      handle(payload);
      port.respond(payload);
      return;
    }
    scheduler_.at<&FakeBus::answer>(scheduler_.now() + kRoundTrip, this,
                                    reinterpret_cast<std::uint64_t>(&payload));
  }
  unsigned debug(base::GenericPayload&) { return 0; }

 public:
  static constexpr base::Time kRoundTrip = 800ns;
  static constexpr std::uint64_t kBar = 0xC000'0000;
  static constexpr unsigned kTable = 0x2000;
  static constexpr unsigned kCapability = 0x40;
  static constexpr unsigned kVectors = 16;
  static pcie::RequesterId function() { return pcie::make_id(1, 0, 0); }

  base::TargetSocket<FakeBus, &FakeBus::request, &FakeBus::debug> port;

  FakeBus(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), port("port", this, scheduler), scheduler_(scheduler) {
    config[0x00] = 0x0001'1b36;
    config[0x04] = 0x0010'0000;                             // a capability list
    config[0x10] = static_cast<std::uint32_t>(kBar) | 0x4;  // 64 bits wide
    config[0x34] = kCapability;
    config[kCapability] = ((kVectors - 1) << 16) | 0x11;
    config[kCapability + 4] = kTable;
  }

  std::uint32_t msix(unsigned vector, unsigned word) {
    return memory[kBar + kTable + vector * 16 + word * 4];
  }
  std::uint16_t message_control() { return static_cast<std::uint16_t>(config[kCapability] >> 16); }

  std::map<unsigned, std::uint32_t> config;
  std::map<std::uint64_t, std::uint32_t> memory;
  std::uint64_t requests = 0;

 private:
  void answer(std::uint64_t argument) {
    auto& payload = *reinterpret_cast<base::GenericPayload*>(argument);
    handle(payload);
    port.respond(payload);
  }

  void handle(base::GenericPayload& payload) {
    const pcie::Tlp& tlp = pcie::tlp_of(payload);
    const std::uint64_t address = payload.get_address();
    payload.set_response_status(pcie::kStatusSuccessful);
    std::uint32_t* word = nullptr;
    unsigned shift = 0;
    if (tlp.kind == pcie::TlpKind::kMemory) {
      if (address >= kBar && address < kBar + 0x4000) word = &memory[address];
    } else if (tlp.completer == function()) {
      word = &config[static_cast<unsigned>(address) & ~3u];
      shift = 8 * (address & 3);
    }
    if (word == nullptr) {
      payload.set_response_status(pcie::kStatusUnsupportedRequest);
      return;
    }
    std::uint32_t value = 0;
    const unsigned bytes = payload.get_data_length();
    if (payload.is_read()) {
      std::memcpy(payload.get_data_ptr(), word, bytes);
      return;
    }
    std::memcpy(&value, payload.get_data_ptr(), bytes);
    const std::uint32_t mask = bytes == 4 ? ~0u : ((1u << (8 * bytes)) - 1) << shift;
    *word = (*word & ~mask) | ((value << shift) & mask);
  }

  base::Scheduler& scheduler_;
};

// A host with its own memory and that bus.
struct TestHost {
  explicit TestHost(const HostConfig& host_config = {})
      : config(host_config),
        memory("memory", config, scheduler),
        machine("host", config, scheduler),
        bus("bus", scheduler) {
    machine.bus.bind(bus.port);
    machine.use_memory(memory);
  }

  HostConfig config;
  base::Scheduler scheduler{"scheduler"};
  Memory memory;
  Machine machine;
  FakeBus bus;
};

// Its memory port has nobody else to talk to.
class NoDma : public sc_core::sc_module {
  void response(base::GenericPayload&) {}

 public:
  base::InitiatorSocket<NoDma, &NoDma::response> socket;
  NoDma(sc_core::sc_module_name name, TestHost& host)
      : sc_core::sc_module(name), socket("socket", this, host.scheduler) {
    socket.bind(host.memory.port);
  }
};

struct QuietHost : TestHost {
  explicit QuietHost(const HostConfig& host_config = {}) : TestHost(host_config) {}
  NoDma no_dma{"no_dma", *this};
};

}  // namespace nvmesim::host::test
