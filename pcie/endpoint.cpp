#include "pcie/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

void require(bool condition, std::string_view name, std::string_view rule) {
  if (!condition) throw base::UserError(fmt::format("endpoint.{} must {}", name, rule));
}

const EndpointConfig& validated(const EndpointConfig& config) {
  config.validate();
  return config;
}

Identity identity_of(const EndpointConfig& config) {
  return {static_cast<std::uint16_t>(config.vendor_id),
          static_cast<std::uint16_t>(config.device_id),
          static_cast<std::uint16_t>(config.subsystem_vendor_id),
          static_cast<std::uint16_t>(config.subsystem_id),
          config.class_code,
          static_cast<std::uint8_t>(config.revision)};
}

std::span<std::byte> data_of(base::GenericPayload& payload) {
  return {reinterpret_cast<std::byte*>(payload.get_data_ptr()), payload.get_data_length()};
}

void fill_ones(base::GenericPayload& payload) {
  std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
}

DmaStatus status_of(const base::GenericPayload& payload) {
  if (payload.is_response_ok()) return DmaStatus::kOk;
  return payload.get_response_status() == kStatusCompleterAbort ? DmaStatus::kCompleterAbort
                                                                : DmaStatus::kUnsupportedRequest;
}

}  // namespace

std::span<const base::ParamInfo> EndpointConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"vendor_id", "", 0, 0xFFFE, "PCI vendor"},
      {"device_id", "", 0, 0xFFFF, "PCI device"},
      {"subsystem_vendor_id", "", 0, 0xFFFF, "PCI subsystem vendor"},
      {"subsystem_id", "", 0, 0xFFFF, "PCI subsystem"},
      {"revision", "", 0, 0xFF, "PCI revision"},
      {"class_code", "", 0, 0xFFFFFF, "PCI base class, subclass and programming interface"},
      {"bar0_bytes", "bytes", 4096, 1 << 30, "size of BAR 0, a power of two"},
      {"msix_vectors", "1", 1, 2048, "MSI-X vectors"},
      {"msix_table_offset", "bytes", 0, 1 << 30, "MSI-X table in BAR 0, a multiple of 8"},
      {"msix_pba_offset", "bytes", 0, 1 << 30, "MSI-X pending bits in BAR 0, a multiple of 8"},
      {"register_latency_ns", "ns", 0, 1'000'000, "from a register read's arrival to its answer"},
  };
  return kParams;
}

void EndpointConfig::validate() const {
  require(std::has_single_bit(bar0_bytes) && bar0_bytes >= kPageBytes, "bar0_bytes",
          "be a power of two of at least 4096");
  require(msix_vectors >= 1 && msix_vectors <= 2048, "msix_vectors", "be 1 to 2048");
  const std::uint64_t table = msix_table_offset;
  const std::uint64_t table_end = table + std::uint64_t{msix_vectors} * MsixTable::kEntryBytes;
  const std::uint64_t pba = msix_pba_offset;
  const std::uint64_t pba_end = pba + base::ceil_div(msix_vectors, 64) * 8;
  require(table % 8 == 0 && table_end <= bar0_bytes, "msix_table_offset",
          "be a multiple of 8 and leave room for the table in BAR 0");
  require(pba % 8 == 0 && pba_end <= bar0_bytes, "msix_pba_offset",
          "be a multiple of 8 and leave room for the pending bits in BAR 0");
  require(pba_end <= table || table_end <= pba, "msix_pba_offset", "lie outside the MSI-X table");
}

Endpoint::Endpoint(sc_core::sc_module_name name, const EndpointConfig& config,
                   base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      from_link("from_link", this, scheduler),
      to_link("to_link", this, scheduler),
      config_(validated(config)),
      scheduler_(scheduler),
      header_(space_, identity_of(config),
              {BarSpec{config.bar0_bytes, true, false}, BarSpec{},
               BarSpec{config.bar2_bytes, true, true}, BarSpec{},
               BarSpec{config.bar4_bytes, true, true}}),
      power_(space_),
      express_(space_, PciExpressPort::kEndpoint,
               {LinkConfig{}.generation, LinkConfig{}.lanes, LinkConfig{}.max_payload_bytes},
               base::Callback::of<&Endpoint::function_level_reset>(this)),
      msix_(space_,
            {static_cast<std::uint16_t>(config.msix_vectors), 0, config.msix_table_offset, 0,
             config.msix_pba_offset},
            base::Callback::of<&Endpoint::send_pending>(this)),
      msix_table_(static_cast<std::uint16_t>(config.msix_vectors)) {}

void Endpoint::set_link(Link& link) {
  link_ = &link;
  express_.describe(
      {link.config().generation, link.config().lanes, link.config().max_payload_bytes});
}

void Endpoint::deliver_promptly(bool promptly) {
  if (link_ != nullptr) link_->deliver_promptly(Direction::kDown, promptly);
}

// Requests from above.

void Endpoint::request_from_link(base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  switch (tlp.kind) {
    case TlpKind::kMemory:
      payload.is_write() ? memory_write(payload) : memory_read(payload);
      break;
    case TlpKind::kConfig0:
    case TlpKind::kConfig1:
      configuration_access(payload, tlp);
      break;
    case TlpKind::kMessage:
      from_link.respond(payload);
      break;
  }
}

unsigned Endpoint::debug_from_link(base::GenericPayload&) {
  return 0;
}

void Endpoint::configuration_access(base::GenericPayload& payload, const Tlp& tlp) {
  const bool exists = (tlp.completer.value() & 0xFF) == 0;  // device 0, function 0
  const auto offset = static_cast<unsigned>(payload.get_address());
  const unsigned bytes = payload.get_data_length();
  const bool well_formed = (bytes == 1 || bytes == 2 || bytes == 4) && offset % 4 + bytes <= 4 &&
                           payload.get_address() < ConfigSpace::kBytes;
  if (!exists || !well_formed) {
    if (payload.is_read()) fill_ones(payload);
    answer(payload, kStatusUnsupportedRequest);
    return;
  }
  if (payload.is_write()) {
    id_ = tlp.completer;
    std::uint32_t value = 0;
    std::memcpy(&value, payload.get_data_ptr(), bytes);
    space_.write(offset, bytes, value);
  } else {
    const std::uint32_t value = space_.read(offset, bytes);
    std::memcpy(payload.get_data_ptr(), &value, bytes);
  }
  answer(payload, kStatusSuccessful);
}

void Endpoint::memory_write(base::GenericPayload& payload) {
  const auto data = data_of(payload);
  const auto hit = header_.decode(payload.get_address(), data.size());
  if (hit.bar == kBars || power_.power_state() != 0) {
    payload.set_response_status(kStatusUnsupportedRequest);
  } else {
    payload.set_response_status(kStatusSuccessful);
    const unsigned char* enables = payload.get_byte_enable_ptr();
    if (enables == nullptr) {
      write_bar(hit, data);
    } else {  // one write for each run of enabled bytes
      const unsigned period = payload.get_byte_enable_length();
      std::size_t begin = 0;
      for (std::size_t end = 0; end <= data.size(); ++end) {
        if (end < data.size() && enables[end % period] == TLM_BYTE_ENABLED) continue;
        if (end > begin) {
          write_bar({hit.bar, hit.offset + begin}, data.subspan(begin, end - begin));
        }
        begin = end + 1;
      }
    }
  }
  from_link.respond(payload);
}

void Endpoint::memory_read(base::GenericPayload& payload) {
  const auto data = data_of(payload);
  const auto hit = header_.decode(payload.get_address(), data.size());
  if (hit.bar == kBars || power_.power_state() != 0) {
    fill_ones(payload);
    answer(payload, kStatusUnsupportedRequest);
    return;
  }
  read_bar(hit, data);
  answer(payload, kStatusSuccessful);
}

bool Endpoint::in_msix_table(const Type0Header::Hit& hit) const {
  return hit.bar == 0 && hit.offset >= config_.msix_table_offset &&
         hit.offset - config_.msix_table_offset < msix_table_.table_bytes();
}

bool Endpoint::in_msix_pending(const Type0Header::Hit& hit) const {
  return hit.bar == 0 && hit.offset >= config_.msix_pba_offset &&
         hit.offset - config_.msix_pba_offset < msix_table_.pending_bytes();
}

void Endpoint::write_bar(const Type0Header::Hit& hit, std::span<const std::byte> data) {
  if (in_msix_table(hit)) [[unlikely]] {
    msix_table_.write_table(hit.offset - config_.msix_table_offset, data);
    send_pending();
  } else if (!in_msix_pending(hit)) {  // pending bits are read-only
    NVMESIM_ASSERT(device_ != nullptr, "an endpoint has no device attached");
    device_->bar_write(hit.bar, hit.offset, data);
  }
}

void Endpoint::read_bar(const Type0Header::Hit& hit, std::span<std::byte> data) {
  if (in_msix_table(hit)) {
    msix_table_.read_table(hit.offset - config_.msix_table_offset, data);
  } else if (in_msix_pending(hit)) {
    msix_table_.read_pending(hit.offset - config_.msix_pba_offset, data);
  } else {
    NVMESIM_ASSERT(device_ != nullptr, "an endpoint has no device attached");
    device_->bar_read(hit.bar, hit.offset, data);
  }
}

// Completes a non-posted request from above after the register latency.
void Endpoint::answer(base::GenericPayload& payload, tlm::tlm_response_status status) {
  payload.set_response_status(status);
  scheduler_.after<&Endpoint::answer_event>(std::chrono::nanoseconds(config_.register_latency_ns),
                                            this, reinterpret_cast<std::uint64_t>(&payload));
}

void Endpoint::answer_event(std::uint64_t payload) {
  from_link.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

// DMA.

TlpPayload* Endpoint::start(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                            base::Callback done) {
  NVMESIM_ASSERT(bytes != 0, "DMA of no bytes");
  TlpPayload* payload = pool_.take();
  base::set_access(*payload, command, address, nullptr, bytes);
  payload->extension.requester = id_;
  payload->on_response = done;
  payload->tag = in_flight_.size();
  in_flight_.push_back(payload);
  return payload;
}

void Endpoint::launch(TlpPayload& payload) {
  if (bus_master()) [[likely]] {
    to_link.request(payload);
  } else {
    scheduler_.at<&Endpoint::dropped_event>(scheduler_.now(), this,
                                            reinterpret_cast<std::uint64_t>(&payload));
  }
}

void Endpoint::dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                        base::Callback done) {
  NVMESIM_ASSERT(address % kPageBytes + into.size() <= kPageBytes,
                 "a DMA read crosses a 4 KiB boundary");
  TlpPayload* payload = start(tlm::TLM_READ_COMMAND, address, into.size(), done);
  payload->set_data_ptr(reinterpret_cast<unsigned char*>(into.data()));
  payload->buffer = std::move(keep);
  launch(*payload);
}

void Endpoint::dma_write(std::uint64_t address, std::span<const std::byte> from,
                         base::BufferRef keep, WriteOptions options, base::Callback sent) {
  TlpPayload* payload = start(tlm::TLM_WRITE_COMMAND, address, from.size(), sent);
  if (keep == nullptr && from.size() <= TlpPool::kInlineBytes) {
    payload->set_inline(from.data(), from.size());
  } else {
    payload->set_data_ptr(
        const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(from.data())));
    payload->buffer = std::move(keep);
  }
  Tlp& tlp = payload->extension;
  tlp.relaxed_ordering = options.relaxed_ordering;
  tlp.deferrable = options.deferrable;
  tlp.dataless = options.dataless;
  // A longer one without call-back too: until it is issued drop_requests() can take it back.
  tlp.sent_awaited = static_cast<bool>(sent) || from.size() > TlpPool::kInlineBytes;
  launch(*payload);
}

void Endpoint::response_from_link(base::GenericPayload& payload) {
  finish(static_cast<TlpPayload&>(payload),
         payload.is_read() ? status_of(payload) : DmaStatus::kOk);
}

void Endpoint::dropped_event(std::uint64_t payload) {
  finish(*reinterpret_cast<TlpPayload*>(payload), DmaStatus::kDropped);
}

void Endpoint::finish(TlpPayload& payload, DmaStatus status) {
  TlpPayload* last = in_flight_.back();
  in_flight_[payload.tag] = last;
  last->tag = payload.tag;
  in_flight_.pop_back();
  if (payload.on_response) {
    dma_status_ = status;
    payload.on_response();
  }
  payload.release();
}

void Endpoint::drop_requests() {
  for (TlpPayload* payload : in_flight_) {
    payload->on_response = {};
    // Short writes without call-back are on the wire already, and arrive.
    const bool issued = payload->is_write() && !payload->extension.sent_awaited;
    if (!issued) payload->extension.cancelled = true;
  }
}

// Interrupts.

bool Endpoint::interrupt_enabled(VectorId vector) const {
  return msix_.enabled() && !msix_.function_masked() && !msix_table_.masked(vector) && bus_master();
}

void Endpoint::interrupt(VectorId vector) {
  NVMESIM_ASSERT(vector.value() < msix_table_.vectors(), "an interrupt of no vector");
  if (!msix_.enabled() || !bus_master()) return;
  if (msix_.function_masked() || msix_table_.masked(vector)) {
    msix_table_.set_pending(vector, true);
  } else {
    send_message(vector);
  }
}

void Endpoint::send_message(VectorId vector) {
  const MsixTable::Message message = msix_table_.message(vector);
  TlpPayload* payload = start(tlm::TLM_WRITE_COMMAND, message.address, sizeof(message.data), {});
  payload->set_inline(&message.data, sizeof(message.data));
  launch(*payload);
}

// After a mask or the enable bit has changed.
void Endpoint::send_pending() {
  if (!msix_table_.any_pending()) return;
  for (std::uint16_t i = 0; i < msix_table_.vectors(); ++i) {
    const VectorId vector(i);
    if (!msix_table_.pending(vector) || !interrupt_enabled(vector)) continue;
    msix_table_.set_pending(vector, false);
    send_message(vector);
  }
}

// Everything of the function goes back to its initial state but its number and payload size; the
// link stays up (6.6.2).
void Endpoint::function_level_reset() {
  const std::uint32_t max_payload_bytes = express_.max_payload_bytes();
  drop_requests();
  space_.reset();
  express_.restore_max_payload(max_payload_bytes);
  msix_table_.reset();
  deliver_promptly(false);
  if (device_ != nullptr) device_->function_reset();
}

}  // namespace nvmesim::pcie
