// A PCIe endpoint with one function: configuration space, BAR decoding, MSI-X and DMA. It stands
// between the link's sockets and a FunctionDevice, to which it offers FunctionPort.
//
// What is not claimed by a BAR, and everything in memory space while that is off or the function
// is not in D0, is answered with Unsupported Request (reads: all ones). While bus master is off,
// DMA ends with DmaStatus::kDropped and interrupts are not sent.
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "pcie/capabilities.hpp"
#include "pcie/function.hpp"
#include "pcie/link.hpp"
#include "pcie/msix.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/config.hpp"
#include "sim/base/sockets.hpp"

namespace nvmesim::pcie {

struct EndpointConfig {
  std::uint32_t vendor_id = 0x8086;
  std::uint32_t device_id = 0x0B60;
  std::uint32_t subsystem_vendor_id = 0x8086;
  std::uint32_t subsystem_id = 0x8008;
  std::uint32_t revision = 0;
  std::uint32_t class_code = 0x010802;  // NVM Express
  std::uint32_t bar0_bytes = 16 * 1024;
  std::uint32_t msix_vectors = 129;
  std::uint32_t msix_table_offset = 0x2000;
  std::uint32_t msix_pba_offset = 0x3000;
  std::uint32_t register_latency_ns = 50;
  // Memory of the device, 64-bit and prefetchable, 0 or a power of two. Who builds the system sets
  // these two from the device behind the endpoint.
  std::uint64_t bar2_bytes = 0;
  std::uint64_t bar4_bytes = 0;

  static std::span<const base::ParamInfo> params();
  // Throws UserError if the values do not fit together.
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(EndpointConfig, (),
                      (vendor_id, device_id, subsystem_vendor_id, subsystem_id, revision,
                       class_code, bar0_bytes, msix_vectors, msix_table_offset, msix_pba_offset,
                       register_latency_ns))

class Endpoint : public sc_core::sc_module, public FunctionPort {
  void request_from_link(base::GenericPayload& payload);
  void response_from_link(base::GenericPayload& payload);
  unsigned debug_from_link(base::GenericPayload& payload);

 public:
  base::TargetSocket<Endpoint, &Endpoint::request_from_link, &Endpoint::debug_from_link> from_link;
  base::InitiatorSocket<Endpoint, &Endpoint::response_from_link> to_link;

  Endpoint(sc_core::sc_module_name name, const EndpointConfig& config, base::Scheduler& scheduler);

  // The device behind the function; once, before the simulation starts.
  void attach(FunctionDevice& device) { device_ = &device; }
  // The link it hangs on: the link registers follow it, deliver_promptly() goes to it. Without a
  // link between the sockets nothing is deferred. It binds nothing.
  void set_link(Link& link);

  void dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                base::Callback done) override;
  void dma_write(std::uint64_t address, std::span<const std::byte> from, base::BufferRef keep,
                 WriteOptions options, base::Callback sent) override;
  DmaStatus dma_status() const override { return dma_status_; }
  void interrupt(VectorId vector) override;
  bool interrupt_enabled(VectorId vector) const override;
  void drop_requests() override;
  bool bus_master() const override { return header_.bus_master() && power_.power_state() == 0; }
  void deliver_promptly(bool promptly) override;
  // Captured from configuration writes, as the specification has it; 0 before the first.
  RequesterId id() const override { return id_; }

  const EndpointConfig& config() const { return config_; }
  ConfigSpace& config_space() { return space_; }
  std::size_t requests_in_flight() const { return in_flight_.size(); }

 private:
  void configuration_access(base::GenericPayload& payload, const Tlp& tlp);
  void memory_write(base::GenericPayload& payload);
  void memory_read(base::GenericPayload& payload);
  void write_bar(const Type0Header::Hit& hit, std::span<const std::byte> data);
  void read_bar(const Type0Header::Hit& hit, std::span<std::byte> data);
  bool in_msix_table(const Type0Header::Hit& hit) const;
  bool in_msix_pending(const Type0Header::Hit& hit) const;
  void answer(base::GenericPayload& payload, tlm::tlm_response_status status);
  void answer_event(std::uint64_t payload);

  TlpPayload* start(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                    base::Callback done);
  void launch(TlpPayload& payload);
  void dropped_event(std::uint64_t payload);
  void finish(TlpPayload& payload, DmaStatus status);
  void send_message(VectorId vector);
  void send_pending();
  void function_level_reset();

  const EndpointConfig config_;
  base::Scheduler& scheduler_;
  FunctionDevice* device_ = nullptr;
  Link* link_ = nullptr;

  ConfigSpace space_;
  Type0Header header_;
  PowerManagementCapability power_;
  PciExpressCapability express_;
  MsixCapability msix_;
  MsixTable msix_table_;
  RequesterId id_{0};

  TlpPool pool_;
  std::vector<TlpPayload*> in_flight_;  // a payload's tag is its index here
  DmaStatus dma_status_ = DmaStatus::kOk;
};

}  // namespace nvmesim::pcie
