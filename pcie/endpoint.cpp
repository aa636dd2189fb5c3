#include "pcie/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "pcie/switch.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kLeastBarBytes = 4096;

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

}  // namespace

std::uint32_t EndpointConfig::vectors() const {
  return std::max({msix_vectors, msi_vectors, std::uint32_t{1}});
}

std::span<const base::ParamInfo> EndpointConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"vendor_id", "", 0, 0xFFFE, "PCI vendor"},
      {"device_id", "", 0, 0xFFFF, "PCI device"},
      {"subsystem_vendor_id", "", 0, 0xFFFF, "PCI subsystem vendor"},
      {"subsystem_id", "", 0, 0xFFFF, "PCI subsystem"},
      {"revision", "", 0, 0xFF, "PCI revision"},
      {"class_code", "", 0, 0xFFFFFF, "PCI base class, subclass and programming interface"},
      {"bar0_bytes", "bytes", 4096, 1 << 30, "size of BAR 0, a power of two"},
      {"bar0_64bit", "", 0, 1, "BAR 0 takes 64-bit addresses"},
      {"bar0_prefetchable", "", 0, 1,
       "BAR 0 is prefetchable; such a one of 64 bits may lie above 4 GiB"},
      {"msix_vectors", "1", 0, 2048, "MSI-X vectors; 0: no MSI-X capability"},
      {"msix_table_offset", "bytes", 0, 1 << 30, "MSI-X table in BAR 0, a multiple of 8"},
      {"msix_pba_offset", "bytes", 0, 1 << 30, "MSI-X pending bits in BAR 0, a multiple of 8"},
      {"msi_vectors", "1", 0, 32, "MSI messages, a power of two; 0: no MSI capability"},
      {"register_latency_ns", "ns", 0, 1'000'000, "from a register read's arrival to its answer"},
      {"tag_bits", "bits", 5, 10,
       "5, 8 or 10: tags that the function supports (32, 256, 768); software may enable fewer"},
      {"outstanding_reads", "1", 0, 768,
       "read requests that the DMA engine keeps open; 0: as many as there are tags"},
      {"serial_number", "", 0, base::kNoLimit,
       "device serial number (EUI-64); 0: without the capability"},
      {"latency_tolerance_ns", "ns", 0, 1'000'000'000,
       "latency that LTR messages tell the root port; 0: LTR is not supported"},
  };
  return kParams;
}

void EndpointConfig::validate() const {
  require(std::has_single_bit(bar0_bytes) && bar0_bytes >= kLeastBarBytes, "bar0_bytes",
          "be a power of two of at least 4096");
  require(msix_vectors <= 2048, "msix_vectors", "be 0 to 2048");
  require(msi_vectors == 0 || (std::has_single_bit(msi_vectors) && msi_vectors <= 32),
          "msi_vectors", "be 0 or a power of two up to 32");
  require(tag_bits == 5 || tag_bits == 8 || tag_bits == 10, "tag_bits", "be 5, 8 or 10");
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
              {BarSpec{config.bar0_bytes, config.bar0_64bit, config.bar0_prefetchable}, BarSpec{},
               BarSpec{config.bar2_bytes, true, true}, BarSpec{},
               BarSpec{config.bar4_bytes, true, true}},
              base::Callback::of<&Endpoint::update_pin>(this)),
      power_(space_, base::Callback::of<&Endpoint::power_changed>(this)),
      express_(space_, PciExpressPort::kEndpoint,
               {LinkConfig{}.generation,
                LinkConfig{}.lanes,
                LinkConfig{}.max_payload_bytes,
                {AspmLimit::none, AspmLimit::none}},
               {base::Callback::of<&Endpoint::function_level_reset>(this),
                base::Callback::of<&Endpoint::control_written>(this),
                {},
                base::Callback::of<&Endpoint::link_control_written>(this)},
               config.tag_bits, config.latency_tolerance_ns != 0),
      msix_table_(static_cast<std::uint16_t>(config.msix_vectors)),
      advanced_error_(space_, false),
      errors_(express_, advanced_error_),
      pin_raised_(config.vectors()) {
  if (config_.msix_vectors != 0) {
    msix_.emplace(space_,
                  MsixCapability::Layout{static_cast<std::uint16_t>(config.msix_vectors), 0,
                                         config.msix_table_offset, 0, config.msix_pba_offset},
                  base::Callback::of<&Endpoint::send_pending>(this));
  }
  if (config_.msi_vectors != 0) {
    msi_.emplace(space_, config_.msi_vectors, base::Callback::of<&Endpoint::send_pending>(this));
  }
  if (config_.serial_number != 0) serial_number_.emplace(space_, config_.serial_number);
  if (config_.latency_tolerance_ns != 0) latency_tolerance_.emplace(space_);
  control_written();
}

void Endpoint::set_link(Link& link) {
  link_ = &link;
  link.add_listener(*this);
  express_.describe({link.config().generation, link.config().lanes, link.config().max_payload_bytes,
                     link.config().power});
  port_power_.attach(link, Direction::kUp);
}

void Endpoint::deliver_promptly(bool promptly) {
  if (link_ != nullptr) link_->deliver_promptly(Direction::kDown, promptly);
  if (switch_ != nullptr && promptly != prompt_) switch_->deliver_promptly(promptly);
  prompt_ = promptly;
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
      payload.set_response_status(kStatusSuccessful);
      from_link.respond(payload);
      break;
  }
}

unsigned Endpoint::debug_from_link(base::GenericPayload&) {
  return 0;
}

void Endpoint::configuration_access(base::GenericPayload& payload, const Tlp& tlp) {
  // Device 0, function 0; a request of type 1 is for buses behind a bridge.
  const bool exists =
      (tlp.completer.value() & 0xFF) == 0 && tlp.kind == TlpKind::kConfig0 && powered_;
  const auto offset = static_cast<unsigned>(payload.get_address());
  const unsigned bytes = payload.get_data_length();
  const bool well_formed = (bytes == 1 || bytes == 2 || bytes == 4) && offset % 4 + bytes <= 4 &&
                           payload.get_address() < ConfigSpace::kBytes;
  if (!exists || !well_formed) {
    if (payload.is_read()) fill_ones(payload);
    if (powered_) unsupported(payload, false);
    answer(payload, kStatusUnsupportedRequest);
    return;
  }
  if (payload.is_write()) {
    id_ = tlp.completer;
    std::uint32_t value = 0;
    std::memcpy(&value, payload.get_data_ptr(), bytes);
    space_.write(offset, bytes, value);
  } else {
    express_.set_transactions_pending(tags_used_ != 0);
    const std::uint32_t value = space_.read(offset, bytes);
    std::memcpy(payload.get_data_ptr(), &value, bytes);
  }
  answer(payload, kStatusSuccessful);
}

void Endpoint::memory_write(base::GenericPayload& payload) {
  const auto data = data_of(payload);
  const auto hit = header_.decode(payload.get_address(), data.size());
  if (hit.bar == kBars || power_.power_state() != 0 || !powered_) [[unlikely]] {
    payload.set_response_status(kStatusUnsupportedRequest);
    unsupported(payload, true);
  } else if (tlp_of(payload).poisoned) [[unlikely]] {
    payload.set_response_status(kStatusSuccessful);
    ++counters_.poisoned;
    report(UncorrectableError::kPoisonedTlp, payload, false);
  } else {
    payload.set_response_status(kStatusSuccessful);
    if (payload.get_byte_enable_ptr() == nullptr) [[likely]] {
      write_bar(hit, data);
    } else {
      write_enabled(hit, payload);
    }
  }
  from_link.respond(payload);
}

// One write for each run of enabled bytes.
void Endpoint::write_enabled(const Type0Header::Hit& hit, base::GenericPayload& payload) {
  const auto data = data_of(payload);
  const unsigned char* enables = payload.get_byte_enable_ptr();
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

void Endpoint::memory_read(base::GenericPayload& payload) {
  const auto data = data_of(payload);
  const auto hit = header_.decode(payload.get_address(), data.size());
  if (hit.bar == kBars || power_.power_state() != 0 || !powered_) {
    fill_ones(payload);
    unsupported(payload, false);
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

void Endpoint::register_statistics(base::StatisticsRegistry& registry,
                                   std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".completion_timeouts", "1", "reads that were given up", counters_.timeouts);
  registry.add(name + ".tag_waits", "1", "reads that found too few tags free",
               counters_.waited_for_tag);
  registry.add(name + ".unsupported_requests", "1", "requests from above that were refused",
               counters_.unsupported);
  registry.add(name + ".unexpected_completions", "1", "completions that nobody waited for",
               counters_.unexpected_completions);
  registry.add(name + ".poisoned", "1", "poisoned data that arrived", counters_.poisoned);
  errors_.register_statistics(registry, prefix);
}

}  // namespace nvmesim::pcie
