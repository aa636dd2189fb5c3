// A PCIe endpoint with one function: configuration space, BAR decoding, interrupts, DMA, errors and
// power. It stands between the link's sockets and a FunctionDevice, to which it offers
// FunctionPort.
//
// What is not claimed by a BAR, and everything in memory space while that is off or the function
// is not in D0, is answered with Unsupported Request (reads: all ones). While bus master is off,
// DMA ends with DmaStatus::kDropped and interrupt messages are not sent. A read takes a tag for
// each of its requests (MRRS); when they run out it is cut, and the rest waits in the order of the
// calls.
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "pcie/aer.hpp"
#include "pcie/below_port.hpp"
#include "pcie/capabilities.hpp"
#include "pcie/function.hpp"
#include "pcie/l1_substates.hpp"
#include "pcie/link.hpp"
#include "pcie/link_events.hpp"
#include "pcie/msi.hpp"
#include "pcie/msix.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/config.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

struct EndpointConfig {
  std::uint32_t vendor_id = 0x8086;
  std::uint32_t device_id = 0x0B60;
  std::uint32_t subsystem_vendor_id = 0x8086;
  std::uint32_t subsystem_id = 0x8008;
  std::uint32_t revision = 0;
  std::uint32_t class_code = 0x010802;  // NVM Express
  std::uint32_t bar0_bytes = 16 * 1024;
  bool bar0_64bit = true;
  bool bar0_prefetchable = false;
  std::uint32_t msix_vectors = 129;
  std::uint32_t msix_table_offset = 0x2000;
  std::uint32_t msix_pba_offset = 0x3000;
  std::uint32_t msi_vectors = 32;
  std::uint32_t register_latency_ns = 50;
  std::uint32_t tag_bits = 8;
  std::uint32_t outstanding_reads = 0;
  std::uint64_t serial_number = 0x5CD2'E400'0000'0001;
  std::uint32_t latency_tolerance_ns = 0;
  // Memory of the device, 64-bit and prefetchable, 0 or a power of two. Who builds the system sets
  // these two from the device behind the endpoint.
  std::uint64_t bar2_bytes = 0;
  std::uint64_t bar4_bytes = 0;

  // Interrupts that the device may tell apart, by whatever mechanism.
  std::uint32_t vectors() const;

  static std::span<const base::ParamInfo> params();
  // Throws UserError if the values do not fit together.
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(EndpointConfig, (),
                      (vendor_id, device_id, subsystem_vendor_id, subsystem_id, revision,
                       class_code, bar0_bytes, bar0_64bit, bar0_prefetchable, msix_vectors,
                       msix_table_offset, msix_pba_offset, msi_vectors, register_latency_ns,
                       tag_bits, outstanding_reads, serial_number, latency_tolerance_ns))

class Switch;

class Endpoint : public sc_core::sc_module,
                 public FunctionPort,
                 public LinkListener,
                 public BelowPort {
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
  // The switch above that link, if there is one: deliver_promptly() goes to its uplink too.
  void set_switch(Switch& above) { switch_ = &above; }

  void dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                base::Callback done) override;
  void dma_write(std::uint64_t address, std::span<const std::byte> from, base::BufferRef keep,
                 WriteOptions options, base::Callback sent) override;
  DmaStatus dma_status() const override { return dma_status_; }
  void interrupt(VectorId vector) override;
  void interrupt_served(VectorId vector) override;
  bool interrupt_by_pin() const override;
  bool interrupt_by_table() const override { return msix_ && msix_->enabled(); }
  bool interrupt_enabled(VectorId vector) const override;
  void drop_requests() override;
  bool bus_master() const final {
    return header_.bus_master() && power_.power_state() == 0 && powered_;
  }
  void deliver_promptly(bool promptly) override;
  // Captured from configuration writes, as the specification has it; 0 before the first.
  RequesterId id() const override { return id_; }

  // D3cold: nothing is answered, everything is forgotten. Power comes back to D0 uninitialised.
  void set_power(bool on) override;
  bool powered() const { return powered_; }
  // Hot reset (6.6.1): like FLR, the number and the payload size too; sticky bits stay.
  void hot_reset() override;

  void link_down(LinkDownCause cause) override;
  void link_up() override;
  void link_error(LinkError error, Direction direction) override;

  // Interrupts that the device may tell apart.
  std::uint32_t vectors() const { return static_cast<std::uint32_t>(pin_raised_.size()); }
  const EndpointConfig& config() const { return config_; }
  ConfigSpace& config_space() { return space_; }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;
  std::uint64_t timeouts() const { return counters_.timeouts; }
  std::size_t requests_in_flight() const { return in_flight_.size(); }

 private:
  struct Flight {
    TlpPayload* payload = nullptr;
    std::uint32_t tags = 0;  // 0: not a read
    base::Time since{0};
  };
  // A read that is sent in parts, because tags are short.
  struct CutRead {
    base::Callback done;
    std::uint32_t open = 0;  // parts sent and not ended
    bool sent = false;       // all of it
    DmaStatus status = DmaStatus::kOk;
  };
  struct WaitingRead {
    std::uint64_t address = 0;
    std::span<std::byte> into;
    base::BufferRef keep;
    std::size_t cut = 0;  // index of its CutRead
  };

  // endpoint.cpp: accesses from above
  void configuration_access(base::GenericPayload& payload, const Tlp& tlp);
  void memory_write(base::GenericPayload& payload);
  [[gnu::noinline]] void write_enabled(const Type0Header::Hit& hit, base::GenericPayload& payload);
  void memory_read(base::GenericPayload& payload);
  void write_bar(const Type0Header::Hit& hit, std::span<const std::byte> data);
  void read_bar(const Type0Header::Hit& hit, std::span<std::byte> data);
  bool in_msix_table(const Type0Header::Hit& hit) const;
  bool in_msix_pending(const Type0Header::Hit& hit) const;
  void answer(base::GenericPayload& payload, tlm::tlm_response_status status);
  void answer_event(std::uint64_t payload);

  // endpoint_dma.cpp
  TlpPayload* start(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                    const base::Callback& done);
  void launch(TlpPayload& payload);
  void dropped_event(std::uint64_t payload);
  void finish(TlpPayload& payload, DmaStatus status);
  Flight take_from_flight(TlpPayload& payload);
  DmaStatus status_of(base::GenericPayload& payload);
  // Read requests ask for whole double words.
  std::uint32_t requests_for(std::uint64_t address, std::size_t bytes) const {
    return static_cast<std::uint32_t>(((bytes + (address & 3) - 1) >> request_shift_) + 1);
  }
  void read_now(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                base::Callback done, std::uint32_t tags);
  void queue_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                  base::Callback done);
  void send_waiting();
  void part_ended(std::uint64_t cut);
  void watch_timeout();
  void check_timeout();
  void control_written();
  void link_control_written() { port_power_.update(); }

  // endpoint_interrupts.cpp
  void send_message_interrupt(std::uint64_t address, std::uint32_t data);
  void send_pending();
  void update_pin();
  void reset_interrupts();
  void release_pin();

  // endpoint_events.cpp: errors, messages, power, resets
  void unsupported(const base::GenericPayload& payload, bool posted);
  void report(UncorrectableError error, const base::GenericPayload& payload, bool advisory);
  void send_message(MessageCode code, std::uint64_t words = 0);
  void tell_latency_tolerance();
  void power_changed();
  void function_level_reset();

  const EndpointConfig config_;
  base::Scheduler& scheduler_;
  FunctionDevice* device_ = nullptr;
  Link* link_ = nullptr;
  Switch* switch_ = nullptr;
  bool prompt_ = false;

  ConfigSpace space_;
  Type0Header header_;
  PowerManagementCapability power_;
  PciExpressCapability express_;
  PortPowerControl port_power_{space_, express_};
  std::optional<MsixCapability> msix_;
  MsixTable msix_table_;
  std::optional<MsiCapability> msi_;
  AdvancedErrorCapability advanced_error_;
  std::optional<SerialNumberCapability> serial_number_;
  std::optional<LatencyToleranceCapability> latency_tolerance_;
  ErrorReporter errors_;
  RequesterId id_{0};
  bool powered_ = true;
  bool tolerance_told_ = false;

  TlpPool pool_;
  std::vector<Flight> in_flight_;  // a payload's tag is its index here
  DmaStatus dma_status_ = DmaStatus::kOk;
  unsigned request_shift_ = 9;    // log2 of MRRS
  bool relaxed_ordering_ = true;  // as Device Control allows
  bool id_based_ordering_ = false;
  std::uint32_t tag_limit_ = 32;
  std::uint32_t tags_used_ = 0;
  std::vector<WaitingRead> waiting_;  // from waiting_head_ on
  std::size_t waiting_head_ = 0;
  std::vector<CutRead> cuts_;
  std::vector<std::size_t> free_cuts_;
  base::Scheduler::Handle timeout_;
  bool timeout_watched_ = false;

  std::vector<std::uint8_t> pin_raised_;  // by vector, 0 or 1
  std::size_t pin_raised_count_ = 0;
  bool pin_asserted_ = false;  // the last message said so

  struct Counters {
    std::uint64_t timeouts = 0;
    std::uint64_t waited_for_tag = 0;
    std::uint64_t unsupported = 0;
    std::uint64_t unexpected_completions = 0;
    std::uint64_t poisoned = 0;
  };
  Counters counters_;
};

}  // namespace nvmesim::pcie
