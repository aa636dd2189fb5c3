#include "host/kernel/machine.hpp"

#include <cstring>
#include <string>

namespace nvmesim::host {
namespace {

std::vector<std::unique_ptr<Cpu>> make_cpus(std::uint32_t count, base::Scheduler& scheduler,
                                            Cpu*& current) {
  std::vector<std::unique_ptr<Cpu>> cpus;
  for (std::uint32_t i = 0; i < count; ++i) {
    cpus.push_back(std::make_unique<Cpu>(CpuId(static_cast<std::uint16_t>(i)), scheduler, current));
  }
  return cpus;
}

// Who waits for a completion.
struct Waiter {
  Threads& threads;
  Threads::Sleeper& thread;
  bool answered = false;

  void answer() {
    answered = true;
    threads.wake(thread);
  }
};

}  // namespace

Machine::Machine(sc_core::sc_module_name name, const HostConfig& config, base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      bus("bus", this, scheduler),
      config_(config),
      scheduler_(scheduler),
      cpus_(make_cpus(config.cpus, scheduler, current_cpu_)),
      several_nodes_(config.numa_nodes > 1),
      mmio_write_cost_(std::chrono::nanoseconds(config.mmio_write_ns)),
      memory(config.memory_bytes),
      dma(*this),
      pages(memory, &dma),
      log(scheduler),
      threads(scheduler),
      interrupts(*this),
      system_wq("events", threads) {
  for (unsigned node = 0; node < config.numa_nodes; ++node) {
    nodes_.insert(nodes_.end(), node_size(node, config.cpus, config.numa_nodes),
                  static_cast<std::uint16_t>(node));
  }
}

Machine::~Machine() = default;

void Machine::writel(std::uint64_t address, std::uint32_t value, bool deferrable) {
  pcie::TlpPayload* payload = tlps_.take();
  payload->set_inline(&value, sizeof(value));
  payload->set_command(tlm::TLM_WRITE_COMMAND);
  payload->set_address(address);
  payload->set_streaming_width(sizeof(value));
  payload->extension.deferrable = deferrable;
  ++mmio_writes_;
  bus.request(*payload);
  charge(mmio_write_cost_);
}

void Machine::memcpy_toio(std::uint64_t address, const void* from, std::size_t bytes) {
  pcie::TlpPayload* payload = tlps_.take();
  payload->set_inline(from, bytes);
  payload->set_command(tlm::TLM_WRITE_COMMAND);
  payload->set_address(address);
  ++mmio_writes_;
  bus.request(*payload);
  charge(mmio_write_cost_);
}

void Machine::lo_hi_writeq(std::uint64_t address, std::uint64_t value) {
  writel(address, static_cast<std::uint32_t>(value));
  writel(address + 4, static_cast<std::uint32_t>(value >> 32));
}

void Machine::hi_lo_writeq(std::uint64_t address, std::uint64_t value) {
  writel(address + 4, static_cast<std::uint32_t>(value >> 32));
  writel(address, static_cast<std::uint32_t>(value));
}

std::uint32_t Machine::readl(std::uint64_t address) {
  ++mmio_reads_;
  return access(pcie::TlpKind::kMemory, tlm::TLM_READ_COMMAND, {}, address, 0);
}

std::uint64_t Machine::lo_hi_readq(std::uint64_t address) {
  const std::uint64_t low = readl(address);
  return low | (std::uint64_t{readl(address + 4)} << 32);
}

std::uint32_t Machine::read32(pcie::RequesterId function, unsigned offset) {
  return access(pcie::TlpKind::kConfig0, tlm::TLM_READ_COMMAND, function, offset, 0);
}

void Machine::write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) {
  access(pcie::TlpKind::kConfig0, tlm::TLM_WRITE_COMMAND, function, offset, value);
}

std::uint16_t Machine::read16(pcie::RequesterId function, unsigned offset) {
  return static_cast<std::uint16_t>(read32(function, offset & ~3u) >> (8 * (offset & 2)));
}

void Machine::write16(pcie::RequesterId function, unsigned offset, std::uint16_t value) {
  access(pcie::TlpKind::kConfig0, tlm::TLM_WRITE_COMMAND, function, offset, value, sizeof(value));
}

// A non-posted request of the running thread. What was refused reads as all ones.
std::uint32_t Machine::access(pcie::TlpKind kind, tlm::tlm_command command,
                              pcie::RequesterId function, std::uint64_t address,
                              std::uint32_t value, std::size_t bytes) {
  Waiter waiter{threads, threads.self()};
  pcie::TlpPayload* payload = tlps_.take();
  payload->set_inline(&value, bytes);
  payload->set_command(command);
  payload->set_address(address);
  payload->set_streaming_width(static_cast<unsigned>(bytes));
  payload->extension.kind = kind;
  payload->extension.completer = function;
  payload->on_response = base::Callback::of<&Waiter::answer>(&waiter);
  bus.request(*payload);
  while (!waiter.answered) threads.sleep();
  if (payload->get_response_status() != pcie::kStatusSuccessful) {
    value = ~std::uint32_t{0};
  } else if (command == tlm::TLM_READ_COMMAND) {
    std::memcpy(&value, payload->get_data_ptr(), bytes);
  }
  payload->release();
  return value;
}

void Machine::response(base::GenericPayload& payload) {
  auto& tlp = static_cast<pcie::TlpPayload&>(payload);
  if (tlp.on_response) {
    tlp.on_response();
  } else {
    tlp.release();
  }
}

void Machine::message_interrupt(std::uint64_t address, std::uint32_t data) {
  interrupts.message(address, data);
}

void Machine::pin_interrupt(unsigned line, bool asserted) {
  interrupts.pin(line, asserted);
}

void Machine::add_statistics(base::StatisticsRegistry& registry) const {
  const std::string prefix = std::string(name()) + ".";
  registry.add(prefix + "mmio_writes", "1", "Posted writes of processors to devices.",
               mmio_writes_);
  registry.add(prefix + "mmio_reads", "1", "Reads of processors from devices.", mmio_reads_);
  dma.add_statistics(registry, prefix + "dma");
  for (const auto& cpu : cpus_) {
    const Cpu* one = cpu.get();
    const std::string path = fmt::format("{}cpu{}", prefix, one->id());
    registry.add_utilisation(path, "cpu", [one] { return one->busy(); });
    registry.add(path + ".task_ps", "ps", "Time in task slices.",
                 [one] { return static_cast<std::uint64_t>(one->task_busy().count()); });
    registry.add(path + ".interrupt_ps", "ps", "Time in interrupt slices.",
                 [one] { return static_cast<std::uint64_t>(one->interrupt_busy().count()); });
    registry.add(path + ".preemptions", "1", "Task slices delayed by an interrupt.",
                 [one] { return one->preemptions(); });
  }
}

}  // namespace nvmesim::host
