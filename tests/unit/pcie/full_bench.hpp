// A host thread, root complex, links, endpoints with logging devices, and a memory that keeps
// bytes. A protocol checker sits in every socket, and what it finds fails the test.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/sockets.hpp"
#include "sim/check/checked_sockets.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {

using base::GenericPayload;
using base::Time;

// Runs `body` in a thread; configuration and MMIO accesses block it.
class HostThread : public sc_core::sc_module, public pcie::HostPort, public pcie::ConfigAccess {
  void response(GenericPayload& payload) {
    if (pcie::is_posted(payload)) {
      payload.release();
    } else {
      scheduler_.wake(answered_);
    }
  }

 public:
  base::InitiatorSocket<HostThread, &HostThread::response> out;
  std::function<void()> body;
  struct Interrupt {
    std::uint64_t address;
    std::uint32_t data;
    Time when;
  };
  std::vector<Interrupt> interrupts;
  struct Pin {
    unsigned line;
    bool asserted;
    bool operator==(const Pin&) const = default;
  };
  std::vector<Pin> pins;
  bool finished = false;
  tlm::tlm_response_status last_status = tlm::TLM_INCOMPLETE_RESPONSE;

  HostThread(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), out("out", this, scheduler), scheduler_(scheduler) {
    NVMESIM_HAS_PROCESS(HostThread);
    SC_THREAD(run);
  }

  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override {
    return access(pcie::TlpKind::kConfig0, tlm::TLM_READ_COMMAND, function, offset, 0);
  }
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override {
    access(pcie::TlpKind::kConfig0, tlm::TLM_WRITE_COMMAND, function, offset, value);
  }
  std::uint32_t readl(std::uint64_t address) {
    return access(pcie::TlpKind::kMemory, tlm::TLM_READ_COMMAND, {}, address, 0);
  }
  void writel(std::uint64_t address, std::uint32_t value) {
    auto* payload = pool.take();
    payload->set_inline(&value, 4);
    payload->set_command(tlm::TLM_WRITE_COMMAND);
    payload->set_address(address);
    out.request(*payload);
  }
  void message_interrupt(std::uint64_t address, std::uint32_t data) override {
    interrupts.push_back({address, data, scheduler_.now()});
  }
  void pin_interrupt(unsigned line, bool asserted) override { pins.push_back({line, asserted}); }
  void sleep(Time time) { scheduler_.sleep(time); }

  pcie::TlpPool pool;

 private:
  void run() {
    body();
    finished = true;
  }
  std::uint32_t access(pcie::TlpKind kind, tlm::tlm_command command, pcie::RequesterId function,
                       std::uint64_t address, std::uint32_t value) {
    auto* payload = pool.take();
    payload->set_inline(&value, 4);
    payload->set_command(command);
    payload->set_address(address);
    payload->extension.kind = kind;
    payload->extension.completer = function;
    out.request(*payload);
    sc_core::wait(answered_);
    std::memcpy(&value, payload->get_data_ptr(), 4);
    last_status = payload->get_response_status();
    payload->release();
    return value;
  }
  base::Scheduler& scheduler_;
  sc_core::sc_event answered_;
};

class Memory : public sc_core::sc_module {
  void request(GenericPayload& payload) {
    accesses.push_back({payload.get_address(), scheduler_.now()});
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (payload.is_write()) {
      std::memcpy(&bytes[payload.get_address()], payload.get_data_ptr(), payload.get_data_length());
      in.respond(payload);
      return;
    }
    std::memcpy(payload.get_data_ptr(), &bytes[payload.get_address()], payload.get_data_length());
    if (poison) {
      pcie::Tlp* tlp = nullptr;
      payload.get_extension(tlp);
      tlp->poisoned = true;
    }
    if (lost != 0) {  // never answered
      --lost;
      return;
    }
    scheduler_.after<&Memory::answer>(latency, this, reinterpret_cast<std::uint64_t>(&payload));
  }
  unsigned debug(GenericPayload&) { return 0; }
  void answer(std::uint64_t payload) { in.respond(*reinterpret_cast<GenericPayload*>(payload)); }

 public:
  base::TargetSocket<Memory, &Memory::request, &Memory::debug> in;
  std::vector<unsigned char> bytes = std::vector<unsigned char>(1 << 20);
  Time latency{290ns};
  unsigned lost = 0;    // reads that will have no answer
  bool poison = false;  // what is read is poisoned
  struct Access {
    std::uint64_t address;
    Time when;
  };
  std::vector<Access> accesses;

  Memory(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), in("in", this, scheduler), scheduler_(scheduler) {}

 private:
  base::Scheduler& scheduler_;
};

class Device : public pcie::FunctionDevice {
 public:
  struct Write {
    unsigned bar;
    std::uint64_t offset;
    std::vector<std::byte> data;
  };
  std::vector<Write> writes;
  int resets = 0;
  std::function<void()> on_reset;

  void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override {
    writes.push_back({bar, offset, {data.begin(), data.end()}});
  }
  void bar_read(unsigned, std::uint64_t offset, std::span<std::byte> data) override {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(offset / 4 + i);
  }
  void function_reset() override {
    ++resets;
    if (on_reset) on_reset();
  }
};

// A call-back that logs the time and the status of a DMA request.
struct Finished {
  base::Scheduler& scheduler;
  pcie::FunctionPort& port;
  std::vector<Time> times;
  std::vector<pcie::DmaStatus> statuses;
  void done() {
    times.push_back(scheduler.now());
    statuses.push_back(port.dma_status());
  }
  base::Callback callback() { return base::Callback::of<&Finished::done>(this); }
};

struct Drive {
  pcie::Link link;
  pcie::Endpoint endpoint;
  Device device;
  Finished finished;
  Drive(const std::string& name, const pcie::LinkConfig& link_config,
        const pcie::EndpointConfig& endpoint_config, base::Scheduler& scheduler,
        check::CheckedSockets& sockets)
      : link((name + "_link").c_str(), link_config, scheduler),
        endpoint((name + "_endpoint").c_str(), endpoint_config, scheduler),
        finished{scheduler, endpoint, {}, {}} {
    sockets.bind(name + "_device_down", link.to_endpoint, endpoint.from_link);
    sockets.bind(name + "_device_up", endpoint.to_link, link.from_endpoint,
                 base::Splice::Direction::kUpstream);
    endpoint.attach(device);
    endpoint.set_link(link);
  }
};

struct FullBench {
  base::Scheduler scheduler;
  HostThread host{"host", scheduler};
  pcie::RootComplex root;
  check::CheckedSockets sockets;
  std::unique_ptr<Memory> memory;  // null: somebody else's is bound
  std::deque<Drive> drives;
  std::vector<pcie::FunctionInfo> functions;
  pcie::EnumerationOptions options;

  explicit FullBench(std::uint32_t ports = 1, const pcie::LinkConfig& link_config = {},
                     const pcie::EndpointConfig& endpoint_config = {}, Time quantum = 1s,
                     bool own_memory = true)
      : FullBench(root_config(ports), link_config, endpoint_config, quantum, own_memory) {}

  explicit FullBench(const pcie::RootComplexConfig& config,
                     const pcie::LinkConfig& link_config = {},
                     const pcie::EndpointConfig& endpoint_config = {}, Time quantum = 1s,
                     bool own_memory = true)
      : scheduler("scheduler", quantum),
        root("root", config, scheduler, host),
        sockets(true, scheduler) {
    constexpr auto kUp = base::Splice::Direction::kUpstream;
    sockets.bind("cpu", host.out, root.cpu);
    if (own_memory) {
      memory = std::make_unique<Memory>("memory", scheduler);
      sockets.bind("memory", root.memory, memory->in, kUp);
    }
    for (std::uint32_t i = 0; i < config.ports; ++i) {
      const std::string name = "drive" + std::to_string(i);
      Drive& drive = drives.emplace_back(name, link_config, endpoint_config, scheduler, sockets);
      sockets.bind(name + "_root_down", root.ports[i].to_link, drive.link.from_root);
      sockets.bind(name + "_root_up", drive.link.to_root, root.ports[i].from_link, kUp);
      root.ports[i].attach_below(drive.endpoint);
    }
  }

  static pcie::RootComplexConfig root_config(std::uint32_t ports) {
    pcie::RootComplexConfig config;
    config.ports = ports;
    config.memory_bytes = 1 << 20;
    return config;
  }

  // Enumerates, switches memory space and bus master on, then runs `test` in the host's thread.
  void run(std::function<void()> test) {
    host.body = [this, test = std::move(test)] {
      functions = pcie::enumerate(host, root.config().window(), options);
      for (const auto& function : functions) {
        host.write32(function.id, 4, pcie::kCommandMemorySpace | pcie::kCommandBusMaster);
      }
      test();
    };
    sc_core::sc_start();
    CHECK(sockets.violations(!expects_lost) == std::vector<std::string>());
  }
  bool expects_lost = false;  // some requests are never answered: no violation
  unsigned char& memory_byte(std::size_t address) { return memory->bytes[address]; }
  // Runs `step` in an entry at now(), before this returns.
  void scheduler_step(std::function<void()> step) {
    step_ = std::move(step);
    scheduler.at(
        scheduler.now(),
        base::Callback([](void* bench, std::uint64_t) { static_cast<FullBench*>(bench)->step_(); },
                       this, 0));
    host.sleep(0ns);
  }
  std::uint64_t bar(std::size_t drive = 0) const { return functions.at(drive).bars[0].address; }
  void enable_msix(std::size_t drive = 0, std::uint32_t bits = 0x8000'0000) {
    host.write32(functions[drive].id, functions[drive].msix.capability, bits);
  }
  void set_vector(std::uint32_t vector, std::uint32_t data, bool masked, std::size_t drive = 0) {
    const std::uint64_t entry = bar(drive) + functions[drive].msix.table_offset + 16 * vector;
    host.writel(entry, 0xFEE0'1000);
    host.writel(entry + 4, 0);
    host.writel(entry + 8, data);
    host.writel(entry + 12, masked ? 1 : 0);
  }

 private:
  std::function<void()> step_;
};

inline std::span<std::byte> bytes_of(std::vector<unsigned char>& data) {
  return {reinterpret_cast<std::byte*>(data.data()), data.size()};
}

}  // namespace nvmesim::test
