// The root complex: takes MMIO and configuration accesses of the CPUs down to the right root port,
// takes DMA of the functions up to host memory, and message-signalled interrupts to the HostPort.
//
// It has no time of its own but that of address translation and of a remote NUMA node: memory
// latency is the memory target's, wire time the link's. Root ports are bridges on bus 0, device n
// for port n; software gives them buses and memory windows. What nobody claims is answered with
// Unsupported Request (reads of the CPU: all ones).
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pcie/enumerator.hpp"
#include "pcie/host_port.hpp"
#include "pcie/iommu.hpp"
#include "pcie/root_port.hpp"
#include "sim/base/config.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

struct RootComplexConfig {
  // Who builds the system sets these two: how many links hang here, how much memory stands above.
  std::uint32_t ports = 1;
  // Laid out as in a PC: up to 2 GiB from address 0, the rest from 4 GiB.
  std::uint64_t memory_bytes = 4 * base::kGiB;
  std::uint64_t mmio_base = 0xC000'0000;
  std::uint64_t mmio_bytes = 0x2000'0000;
  std::uint64_t mmio_high_base = 0x200'0000'0000;
  std::uint64_t mmio_high_bytes = 0x10'0000'0000;
  std::uint64_t remote_memory_bytes = 0;
  std::uint32_t remote_latency_ns = 125;
  bool peer_to_peer = false;
  IommuConfig iommu;

  // The addresses for BARs, as enumerate() takes them.
  MmioWindow window() const { return {mmio_base, mmio_bytes, mmio_high_base, mmio_high_bytes}; }

  static std::span<const base::ParamInfo> params();
  // Throws UserError if the values do not fit together.
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(RootComplexConfig, (),
                      (mmio_base, mmio_bytes, mmio_high_base, mmio_high_bytes, remote_memory_bytes,
                       remote_latency_ns, peer_to_peer, iommu))

class RootComplex : public sc_core::sc_module {
  void request_from_cpu(base::GenericPayload& payload);
  void response_from_memory(base::GenericPayload& payload);
  unsigned debug_from_cpu(base::GenericPayload& payload);

 public:
  base::TargetSocket<RootComplex, &RootComplex::request_from_cpu, &RootComplex::debug_from_cpu> cpu;
  base::InitiatorSocket<RootComplex, &RootComplex::response_from_memory> memory;
  // ports[n].to_link and ports[n].from_link go to the link of port n.
  sc_core::sc_vector<RootPort> ports;

  RootComplex(sc_core::sc_module_name name, const RootComplexConfig& config,
              base::Scheduler& scheduler, HostPort& host);

  const RootComplexConfig& config() const { return config_; }
  // Null without one.
  Iommu* iommu() { return iommu_.get(); }
  std::uint64_t unsupported_requests() const { return unsupported_requests_; }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  friend class RootPort;
  void request_from_port(RootPort& port, base::GenericPayload& payload);
  void response_from_port(RootPort& port, base::GenericPayload& payload);
  unsigned debug_from_port(base::GenericPayload& payload) { return memory->transport_dbg(payload); }

  void route_up(RootPort& port, base::GenericPayload& payload);
  void message_interrupt(RootPort& port, base::GenericPayload& payload);
  [[gnu::noinline]] void poisoned_write(RootPort& port, const base::GenericPayload& payload);
  [[gnu::noinline]] void translate(RootPort& port, base::GenericPayload& payload);
  void hold(RootPort& port, base::GenericPayload& payload, base::Time until);
  void held_event(std::uint64_t payload);
  void answer_from_memory(base::GenericPayload& payload);
  void remote_event(std::uint64_t payload);
  bool is_remote(std::uint64_t address) const;
  bool in_memory(std::uint64_t address, std::uint64_t bytes) const;
  RootPort* port_of_bus(unsigned bus);
  RootPort* port_of_address(std::uint64_t address);
  RootPort& port_of_requester(RequesterId requester);
  void local_configuration(base::GenericPayload& payload, unsigned device);
  void wait_for_completion(RootPort& port, base::GenericPayload& payload);
  bool completion_expected(RootPort& port, base::GenericPayload& payload);
  void watch_timeout(base::Time when);
  void check_timeout();
  void answer_cpu(base::GenericPayload& payload, tlm::tlm_response_status status);
  void answer_cpu_event(std::uint64_t payload);

  const RootComplexConfig config_;
  base::Scheduler& scheduler_;
  HostPort& host_;
  std::unique_ptr<Iommu> iommu_;
  // Requests of processors that want an answer, oldest first; and those that were given up.
  struct Open {
    base::GenericPayload* payload = nullptr;
    RootPort* port = nullptr;
    base::Time since{0};
  };
  std::vector<Open> open_;
  std::vector<base::GenericPayload*> given_up_;
  base::Scheduler::Handle timeout_;
  std::uint64_t timeouts_ = 0;
  std::uint64_t poisoned_ = 0;
  struct Traffic {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
  };
  Traffic dma_reads_;
  Traffic dma_writes_;
  std::uint64_t messages_ = 0;
  std::uint64_t remote_reads_ = 0;
  std::uint64_t peer_requests_ = 0;
  std::uint64_t unsupported_requests_ = 0;
};

}  // namespace nvmesim::pcie
