// The simulated host: processors, memory, interrupts, kernel services, and the processors' side of
// the root complex. It is what stands above the root complex (pcie::HostPort).
//
// MMIO and configuration: writes of MMIO are posted, keep their order and never wait; every read,
// and a configuration write, makes its thread wait for the completion. A request that is refused
// (Unsupported Request) reads as all ones.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "host/kernel/cpu.hpp"
#include "host/kernel/dma_mapping.hpp"
#include "host/kernel/dma_pool.hpp"
#include "host/kernel/host_config.hpp"
#include "host/kernel/interrupts.hpp"
#include "host/kernel/kernel_log.hpp"
#include "host/kernel/memory.hpp"
#include "host/kernel/page_allocator.hpp"
#include "host/kernel/physical_memory.hpp"
#include "host/kernel/threads.hpp"
#include "host/kernel/work_queue.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/host_port.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::host {

class Machine : public sc_core::sc_module, public pcie::HostPort, public pcie::ConfigAccess {
 private:
  void response(base::GenericPayload& payload);

 public:
  base::InitiatorSocket<Machine, &Machine::response> bus;  // bound to RootComplex::cpu

  Machine(sc_core::sc_module_name name, const HostConfig& config, base::Scheduler& scheduler);
  ~Machine() override;

  // Exactly one of them, before the simulation starts: the memory behind RootComplex::memory.
  void use_memory(Memory& module) { memory.attach(module); }
  // A foreign memory module: target_socket.get_base_export()-> is such an interface.
  void use_debug_transport(tlm::tlm_fw_transport_if<>& module) { memory.attach(module); }

  const HostConfig& config() const { return config_; }
  base::Scheduler& scheduler() { return scheduler_; }
  base::Time now() const { return scheduler_.now(); }

  unsigned cpus() const { return static_cast<unsigned>(cpus_.size()); }
  Cpu& cpu(CpuId id) { return *cpus_[id.value()]; }
  // Whose slice's call-back is running; null in a thread.
  Cpu* current_cpu() const { return current_cpu_; }
  // The NUMA node of a processor.
  unsigned node_of(CpuId id) const { return nodes_[id.value()]; }
  // What the running processor pays more for a completion entry, which lies on the drive's node.
  base::Time completion_detour() const {
    return several_nodes_ && current_cpu_ != nullptr &&
                   node_of(current_cpu_->id()) != config_.drive_node
               ? std::chrono::nanoseconds(config_.remote_node_ns)
               : base::kTimeZero;
  }
  // Adds processor time behind the running call-back; nothing in a thread.
  void charge(base::Time cost) {
    if (current_cpu_ != nullptr) current_cpu_->charge(cost);
  }

  // Memory-mapped I/O by physical (bus) address. The writer's processor is charged for each write.
  // deferrable: nobody looks at it before a younger write of this direction (Tlp::deferrable).
  void writel(std::uint64_t address, std::uint32_t value, bool deferrable = false);
  void lo_hi_writeq(std::uint64_t address, std::uint64_t value);
  void hi_lo_writeq(std::uint64_t address, std::uint64_t value);
  // Up to 64 bytes in one posted write, as write combining makes of a copy into device memory.
  void memcpy_toio(std::uint64_t address, const void* from, std::size_t bytes);
  std::uint32_t readl(std::uint64_t address);
  std::uint64_t lo_hi_readq(std::uint64_t address);

  // Configuration space of a function; `offset` a multiple of the size.
  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override;
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override;
  std::uint16_t read16(pcie::RequesterId function, unsigned offset);
  void write16(pcie::RequesterId function, unsigned offset, std::uint16_t value);

  void message_interrupt(std::uint64_t address, std::uint32_t data) override;
  void pin_interrupt(unsigned line, bool asserted) override;

  void add_statistics(base::StatisticsRegistry& registry) const;
  // Nothing is waiting for a completion of MMIO or configuration.
  std::size_t requests_open() const { return tlps_.in_use(); }

 private:
  const HostConfig config_;
  base::Scheduler& scheduler_;
  Cpu* current_cpu_ = nullptr;
  std::vector<std::unique_ptr<Cpu>> cpus_;
  std::vector<std::uint16_t> nodes_;  // by processor
  const bool several_nodes_;
  const base::Time mmio_write_cost_;
  pcie::TlpPool tlps_;

 public:
  PhysicalMemory memory;
  DmaMapping dma;
  PageAllocator pages;
  KernelLog log;
  Threads threads;
  Interrupts interrupts;
  WorkQueue system_wq;  // the kernel's own: timeouts of the block layer and the like

 private:
  std::uint32_t access(pcie::TlpKind kind, tlm::tlm_command command, pcie::RequesterId function,
                       std::uint64_t address, std::uint32_t value, std::size_t bytes = 4);

  std::uint64_t mmio_writes_ = 0;
  std::uint64_t mmio_reads_ = 0;
};

}  // namespace nvmesim::host
