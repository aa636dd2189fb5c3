#include "pcie/root_complex.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kLowMemoryLimit = 2 * base::kGiB;
constexpr std::uint64_t kHighMemoryBase = 4 * base::kGiB;
// An address that nobody claims: what a faulted request is given.
constexpr std::uint64_t kNowhere = ~std::uint64_t{0xFFF};

bool in_message_window(std::uint64_t address) {
  return address - kMsiWindowBase < kMsiWindowBytes;
}

// Before a request that was translated goes back to whoever sent it.
void restore_address(base::GenericPayload& payload) {
  Tlp* tlp = nullptr;
  payload.get_extension(tlp);
  if (tlp != nullptr) payload.set_address(tlp->untranslated);
}

const RootComplexConfig& validated(const RootComplexConfig& config) {
  config.validate();
  return config;
}

}  // namespace

std::span<const base::ParamInfo> RootComplexConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"mmio_base", "bytes", std::int64_t{1} << 31, 0xFFF0'0000,
       "start of the addresses for BARs, a multiple of 1 MiB between 2 and 4 GiB"},
      {"mmio_bytes", "bytes", 1 << 20, std::int64_t{1} << 31,
       "size of the addresses for BARs, a multiple of 1 MiB"},
      {"mmio_high_base", "bytes", std::int64_t{1} << 32, std::int64_t{1} << 51,
       "start of the addresses for prefetchable 64-bit BARs, a multiple of 1 MiB above the memory"},
      {"mmio_high_bytes", "bytes", 0, std::int64_t{1} << 51,
       "size of these; 0: such BARs get addresses below 4 GiB too"},
      {"remote_memory_bytes", "bytes", 0, std::int64_t{1} << 50,
       "how much of the host memory, from its end, belongs to another NUMA node than the link"},
      {"remote_latency_ns", "ns", 0, 1'000'000, "what a DMA read from there takes longer"},
      {"peer_to_peer", "", 0, 1,
       "requests of a function to the BAR of another are routed, not refused"},
  };
  return kParams;
}

void RootComplexConfig::validate() const {
  if (ports < 1 || ports > 32) {
    throw base::UserError(fmt::format("root_complex.ports is {}; it must be 1 to 32", ports));
  }
  const std::uint64_t end = mmio_base + mmio_bytes;
  if (mmio_base % base::kMiB != 0 || mmio_bytes % base::kMiB != 0 || mmio_bytes == 0 ||
      mmio_base < kLowMemoryLimit || end < mmio_base || end > kMsiWindowBase) {
    throw base::UserError(fmt::format(
        "root_complex.mmio_base and mmio_bytes give {:#x} to {:#x}; the window must be whole MiB "
        "between {:#x} and {:#x}",
        mmio_base, end, kLowMemoryLimit, kMsiWindowBase));
  }
  if (mmio_high_base % base::kMiB != 0 || mmio_high_bytes % base::kMiB != 0 ||
      (mmio_high_bytes != 0 && mmio_high_base < kHighMemoryBase + memory_bytes)) {
    throw base::UserError(fmt::format(
        "root_complex.mmio_high_base and mmio_high_bytes are {:#x} and {:#x}; they must be whole "
        "MiB above the memory, which ends at {:#x}",
        mmio_high_base, mmio_high_bytes, kHighMemoryBase + memory_bytes));
  }
  iommu.validate();
}

RootComplex::RootComplex(sc_core::sc_module_name name, const RootComplexConfig& config,
                         base::Scheduler& scheduler, HostPort& host)
    : sc_core::sc_module(name),
      cpu("cpu", this, scheduler),
      memory("memory", this, scheduler),
      ports("ports"),
      config_(validated(config)),
      scheduler_(scheduler),
      host_(host) {
  ports.init(config_.ports, [this, &scheduler](const char* port_name, std::size_t index) {
    return new RootPort(port_name, static_cast<unsigned>(index), *this, scheduler);
  });
  if (config_.iommu.enabled) iommu_ = std::make_unique<Iommu>(config_.iommu);
}

// Downwards.

void RootComplex::request_from_cpu(base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  RootPort* port = nullptr;
  if (is_configuration(tlp)) {
    const unsigned bus = tlp.completer.value() >> 8;
    const unsigned device = (tlp.completer.value() >> 3) & 31;
    const bool first_function = (tlp.completer.value() & 7) == 0;
    if (bus == 0 && first_function && device < ports.size()) {
      local_configuration(payload, device);
      return;
    }
    port = port_of_bus(bus);
    if (port != nullptr) {
      Tlp* writable = nullptr;
      payload.get_extension(writable);
      writable->kind = port->header().below(bus);
      // The other end of a link is device 0; the port answers for the rest.
      if (device != 0 && writable->kind == TlpKind::kConfig0) port = nullptr;
    }
  } else {
    port = port_of_address(payload.get_address());
  }
  if (port != nullptr) {
    if (!is_posted(payload)) wait_for_completion(*port, payload);
    port->to_link.request(payload);
    return;
  }
  ++unsupported_requests_;
  if (payload.is_read()) std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
  answer_cpu(payload, kStatusUnsupportedRequest);
}

unsigned RootComplex::debug_from_cpu(base::GenericPayload& payload) {
  RootPort* port = port_of_address(payload.get_address());
  return port != nullptr ? port->to_link->transport_dbg(payload) : 0;
}

void RootComplex::local_configuration(base::GenericPayload& payload, unsigned device) {
  ConfigSpace& space = ports[device].config_space();
  const auto offset = static_cast<unsigned>(payload.get_address() % ConfigSpace::kBytes);
  const unsigned bytes = payload.get_data_length();
  std::uint32_t value = 0;
  if (payload.is_write()) {
    std::memcpy(&value, payload.get_data_ptr(), bytes);
    space.write(offset, bytes, value);
  } else {
    value = space.read(offset, bytes);
    std::memcpy(payload.get_data_ptr(), &value, bytes);
  }
  answer_cpu(payload, kStatusSuccessful);
}

void RootComplex::answer_cpu(base::GenericPayload& payload, tlm::tlm_response_status status) {
  payload.set_response_status(status);
  if (is_posted(payload)) {
    cpu.respond(payload);
  } else {
    scheduler_.at<&RootComplex::answer_cpu_event>(scheduler_.now(), this,
                                                  reinterpret_cast<std::uint64_t>(&payload));
  }
}

void RootComplex::answer_cpu_event(std::uint64_t payload) {
  cpu.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

RootPort* RootComplex::port_of_bus(unsigned bus) {
  for (RootPort& port : ports) {
    if (port.owns_bus(bus)) return &port;
  }
  return nullptr;
}

RootPort* RootComplex::port_of_address(std::uint64_t address) {
  for (RootPort& port : ports) {
    if (port.forwards(address)) return &port;
  }
  return nullptr;
}

// Upwards.

void RootComplex::request_from_port(RootPort& port, base::GenericPayload& payload) {
  if (iommu_ != nullptr) [[unlikely]] {
    translate(port, payload);
  } else {
    route_up(port, payload);
  }
}

// A request with its physical address.
void RootComplex::route_up(RootPort& port, base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  const std::uint64_t address = payload.get_address();
  const bool memory_access = tlp.kind == TlpKind::kMemory;
  // Answers find their way by requester: a port may not send under another one's name.
  const bool own_name = &port_of_requester(tlp.requester) == &port;
  if (memory_access && own_name && in_memory(address, payload.get_data_length())) [[likely]] {
    Traffic& traffic = payload.is_read() ? dma_reads_ : dma_writes_;
    ++traffic.requests;
    traffic.bytes += payload.get_data_length();
    if (tlp.poisoned) [[unlikely]]
      poisoned_write(port, payload);
    memory.request(payload);
    return;
  }
  if (memory_access && in_message_window(address) && payload.is_write()) {
    message_interrupt(port, payload);
    return;
  }
  if (tlp.kind == TlpKind::kMessage) {
    port.message(payload);
    return;
  }
  RootPort* peer =
      memory_access && own_name && config_.peer_to_peer ? port_of_address(address) : nullptr;
  if (peer != nullptr && peer != &port) {
    ++peer_requests_;
    peer->to_link.request(payload);
    return;
  }
  ++unsupported_requests_;
  if (iommu_ != nullptr) {
    restore_address(payload);
    if (memory_access && address != kNowhere) {  // else it has been logged
      iommu_->log_fault(
          {scheduler_.now(), tlp.requester, payload.get_address(), payload.is_write()});
    }
  }
  port.refuse(payload);
}

void RootComplex::message_interrupt(RootPort& port, base::GenericPayload& payload) {
  std::uint32_t data = 0;
  std::memcpy(&data, payload.get_data_ptr(),
              std::min<std::size_t>(sizeof(data), payload.get_data_length()));
  payload.set_response_status(kStatusSuccessful);
  ++messages_;
  host_.message_interrupt(payload.get_address(), data);
  port.from_link.respond(payload);
}

void RootComplex::response_from_memory(base::GenericPayload& payload) {
  if (config_.remote_memory_bytes != 0 && payload.is_read() && is_remote(payload.get_address()))
      [[unlikely]] {
    ++remote_reads_;
    scheduler_.after<&RootComplex::remote_event>(
        std::chrono::nanoseconds(config_.remote_latency_ns), this,
        reinterpret_cast<std::uint64_t>(&payload));
    return;
  }
  answer_from_memory(payload);
}

void RootComplex::remote_event(std::uint64_t payload) {
  answer_from_memory(*reinterpret_cast<base::GenericPayload*>(payload));
}

void RootComplex::answer_from_memory(base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  if (iommu_ != nullptr) [[unlikely]]
    restore_address(payload);
  port_of_requester(tlp.requester).from_link.respond(payload);
}

// What a port answered: to the processors, or to the peer that asked.
void RootComplex::response_from_port(RootPort& port, base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  if (tlp.requester.value() != 0) [[unlikely]] {
    if (iommu_ != nullptr) restore_address(payload);
    port_of_requester(tlp.requester).from_link.respond(payload);
    return;
  }
  if (!is_posted(payload) && !completion_expected(port, payload)) return;
  if (port.held_ != 0 && !is_posted(payload)) [[unlikely]] {
    // A completion does not pass a posted write that waits for its translation.
    scheduler_.at<&RootComplex::answer_cpu_event>(std::max(scheduler_.now(), port.posted_until_),
                                                  this, reinterpret_cast<std::uint64_t>(&payload));
  } else {
    cpu.respond(payload);
  }
}

// Translation. A posted request that waits for a walk holds up the posted ones and the completions
// behind it, and reads; a read holds up nobody (2.4.1).

void RootComplex::translate(RootPort& port, base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  const base::Time now = scheduler_.now();
  base::Time ready = now;
  Tlp* writable = nullptr;
  payload.get_extension(writable);
  const bool translated = tlp.kind == TlpKind::kMemory && writable != nullptr &&
                          !in_message_window(payload.get_address());
  if (writable != nullptr) writable->untranslated = payload.get_address();
  if (translated) {
    const auto to =
        iommu_->translate(tlp.requester, payload.get_address(), payload.is_write(), now);
    ready = to.ready;
    // Where no memory is nobody claims it, and the fault has been logged.
    payload.set_address(to.fault ? kNowhere : to.address);
  }
  ready = std::max(ready, port.posted_until_);
  if (is_posted(payload)) port.posted_until_ = ready;
  if (ready == now && port.held_ == 0) {
    route_up(port, payload);
  } else {
    hold(port, payload, ready);
  }
}

void RootComplex::hold(RootPort& port, base::GenericPayload& payload, base::Time until) {
  ++port.held_;
  scheduler_.at<&RootComplex::held_event>(until, this, reinterpret_cast<std::uint64_t>(&payload));
}

void RootComplex::held_event(std::uint64_t which) {
  auto& payload = *reinterpret_cast<base::GenericPayload*>(which);
  RootPort& port = port_of_requester(tlp_of(payload).requester);
  --port.held_;
  route_up(port, payload);
}

bool RootComplex::is_remote(std::uint64_t address) const {
  const std::uint64_t low_bytes = std::min(config_.memory_bytes, kLowMemoryLimit);
  const std::uint64_t offset =
      address < kHighMemoryBase ? address : address - kHighMemoryBase + low_bytes;
  return offset + config_.remote_memory_bytes >= config_.memory_bytes;
}

bool RootComplex::in_memory(std::uint64_t address, std::uint64_t bytes) const {
  const std::uint64_t low_bytes = std::min(config_.memory_bytes, kLowMemoryLimit);
  if (address < low_bytes) return bytes <= low_bytes - address;
  const std::uint64_t high_bytes = config_.memory_bytes - low_bytes;
  const std::uint64_t offset = address - kHighMemoryBase;
  return address >= kHighMemoryBase && offset < high_bytes && bytes <= high_bytes - offset;
}

// Requester 0 is a plain initiator that says nothing of itself: it hangs at port 0.
RootPort& RootComplex::port_of_requester(RequesterId requester) {
  if (ports.size() == 1) return ports[0];
  RootPort* port = port_of_bus(requester.value() >> 8);
  return port != nullptr ? *port : ports[0];
}

void RootComplex::register_statistics(base::StatisticsRegistry& registry,
                                      std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".dma_reads", "1", "reads of host memory by functions", dma_reads_.requests);
  registry.add(name + ".dma_read_bytes", "bytes", "bytes of these", dma_reads_.bytes);
  registry.add(name + ".dma_writes", "1", "writes to host memory by functions",
               dma_writes_.requests);
  registry.add(name + ".dma_write_bytes", "bytes", "bytes of these", dma_writes_.bytes);
  registry.add(name + ".messages", "1", "message-signalled interrupts", messages_);
  registry.add(name + ".remote_reads", "1", "reads from the memory of another NUMA node",
               remote_reads_);
  registry.add(name + ".peer_requests", "1", "requests of functions to functions", peer_requests_);
  if (iommu_ != nullptr) iommu_->register_statistics(registry, name + ".iommu");
  registry.add(name + ".unsupported_requests", "1", "requests that nobody claimed",
               unsupported_requests_);
  registry.add(name + ".completion_timeouts", "1", "requests of processors that were given up",
               timeouts_);
  registry.add(name + ".poisoned", "1", "poisoned writes and completions that arrived", poisoned_);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    ports[i].register_statistics(registry, fmt::format("{}.port{}", name, i));
  }
}

}  // namespace nvmesim::pcie
