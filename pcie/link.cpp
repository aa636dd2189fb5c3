#include "pcie/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

unsigned log2_of(std::uint32_t power) {
  return static_cast<unsigned>(std::countr_zero(power));
}

// Of a request.
TlpType type_of(const tlm::tlm_generic_payload& payload, const Tlp& tlp) {
  const bool write = payload.is_write();
  switch (tlp.kind) {
    case TlpKind::kConfig0:
      return write ? TlpType::kCfgWr0 : TlpType::kCfgRd0;
    case TlpKind::kConfig1:
      return write ? TlpType::kCfgWr1 : TlpType::kCfgRd1;
    case TlpKind::kMessage:
      return payload.get_data_length() != 0 ? TlpType::kMsgD : TlpType::kMsg;
    case TlpKind::kMemory:
      break;
  }
  if ((payload.get_address() >> 32) != 0) return write ? TlpType::kMWr64 : TlpType::kMRd64;
  return write ? TlpType::kMWr32 : TlpType::kMRd32;
}

// The bytes that a request is about: from the first that is enabled to the last.
struct Extent {
  std::uint64_t address = 0;
  std::uint32_t bytes = 0;
};

[[gnu::noinline]] Extent enabled_extent(const tlm::tlm_generic_payload& payload) {
  const unsigned char* enables = payload.get_byte_enable_ptr();
  const unsigned period = payload.get_byte_enable_length();
  const std::uint32_t bytes = payload.get_data_length();
  const auto enabled = [=](std::uint32_t i) { return enables[i % period] == TLM_BYTE_ENABLED; };
  std::uint32_t begin = 0;
  while (begin < bytes && !enabled(begin)) ++begin;
  std::uint32_t end = bytes;
  while (end > begin && !enabled(end - 1)) --end;
  return {payload.get_address() + begin, end - begin};
}

Extent extent_of(const tlm::tlm_generic_payload& payload) {
  if (payload.get_byte_enable_ptr() != nullptr) [[unlikely]]
    return enabled_extent(payload);
  return {payload.get_address(), payload.get_data_length()};
}

// On the wire. A message has no address.
std::uint32_t words_of(const tlm::tlm_generic_payload& payload, const Tlp& tlp) {
  const Extent extent = extent_of(payload);
  return formula::whole_words(tlp.kind == TlpKind::kMessage ? 0 : extent.address, extent.bytes);
}

const LinkConfig& validated(const LinkConfig& config) {
  config.validate();
  return config;
}

}  // namespace

Link::Link(sc_core::sc_module_name name, const LinkConfig& config, base::Scheduler& scheduler,
           std::uint64_t run_seed)
    : sc_core::sc_module(name),
      from_root("from_root", this, scheduler),
      to_endpoint("to_endpoint", this, scheduler),
      from_endpoint("from_endpoint", this, scheduler),
      to_root("to_root", this, scheduler),
      config_(validated(config)),
      scheduler_(scheduler),
      run_seed_(run_seed),
      headers_(formula::headers(config.generation)),
      payload_shift_(log2_of(config.max_payload_bytes)),
      request_shift_(log2_of(config.max_read_request_bytes)),
      completion_shift_(config.read_completion_boundary_bytes != 0
                            ? log2_of(config.read_completion_boundary_bytes)
                            : payload_shift_),
      training_(*this, scheduler, config.training, config.generation, config.lanes),
      pace_(formula::tlp_pace(config.generation, config.lanes, config.max_payload_bytes)),
      burst_{std::make_unique<Burst>(*this, Direction::kDown),
             std::make_unique<Burst>(*this, Direction::kUp)},
      power_(config.power),
      port_power_{PortPower::up_to(config.power.aspm), PortPower::up_to(config.power.aspm)} {
  if (config_.faults.any()) {
    faults_ = std::make_unique<TlpFaultRules>(
        run_seed, fmt::format("{}.faults.{}", Link::name(), config_.faults.seed));
    faults_->add(config_.faults);
  }
  if (config_.needs_tlps()) simulate_tlps();
  update_attention();
}

void Link::deliver_promptly(Direction direction, bool promptly) {
  promptly_[static_cast<std::size_t>(direction)] = promptly;
  burst_of(direction).direction.deliver_promptly(promptly);
}

void Link::request_from_root(base::GenericPayload& payload) {
  accept(Direction::kDown, payload);
}
void Link::request_from_endpoint(base::GenericPayload& payload) {
  accept(Direction::kUp, payload);
}
void Link::response_from_endpoint(base::GenericPayload& payload) {
  accept_response(Direction::kDown, payload);
}
void Link::response_from_root(base::GenericPayload& payload) {
  accept_response(Direction::kUp, payload);
}
unsigned Link::debug_from_root(base::GenericPayload& payload) {
  return to_endpoint->transport_dbg(payload);
}
unsigned Link::debug_from_endpoint(base::GenericPayload& payload) {
  return to_root->transport_dbg(payload);
}

// A request enters the wire of `direction`.
void Link::accept(Direction direction, base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  if (is_configuration(tlp)) [[unlikely]] {
    accept_configuration(direction, payload);
    return;
  }
  const bool message = tlp.kind == TlpKind::kMessage;
  const std::uint32_t header = message ? headers_.memory64 : headers_.memory(payload.get_address());
  const std::uint32_t words = words_of(payload, tlp);
  Transfer transfer;
  transfer.payload = &payload;
  if (payload.is_read() && !message) {
    transfer.traffic = TrafficClass::kNonPosted;
    transfer.segments = formula::read_request_segments(words, request_shift_, header);
    transfer.is_short = transfer.segments.wire_bytes() <= config_.max_payload_bytes;
    send(direction, transfer, 0);
    return;
  }
  transfer.segments = formula::data_segments(words, payload_shift_, header);
  transfer.is_short = transfer.segments.tlps == 1;
  transfer.relaxed_ordering = tlp.relaxed_ordering;
  transfer.deferrable = tlp.deferrable;
  transfer.report_sent = tlp.sent_awaited || !transfer.is_short;  // as answers_early()
  if (transfer.report_sent) payload.acquire();  // its initiator may let go before it arrives
  send(direction, transfer, payload.get_data_length());
}

void Link::accept_configuration(Direction direction, base::GenericPayload& payload) {
  const bool write = payload.is_write();
  const std::uint32_t words = write ? words_of(payload, tlp_of(payload)) : 0;
  Transfer transfer;
  transfer.payload = &payload;
  transfer.traffic = TrafficClass::kNonPosted;
  transfer.segments = formula::data_segments(words, payload_shift_, headers_.config);
  send(direction, transfer, write ? payload.get_data_length() : 0);
}

bool Link::answers_early(const base::GenericPayload& payload, const Tlp& tlp) const {
  return tlp.sent_awaited || words_of(payload, tlp) > config_.max_payload_bytes;
}

// What the far end answered to a request that came through `request_direction`.
void Link::accept_response(Direction request_direction, base::GenericPayload& payload) {
  if (is_posted(payload)) {
    end_posted(request_direction, payload);
    return;
  }
  const bool has_data = payload.is_read() && payload.is_response_ok();
  const Extent extent = has_data ? extent_of(payload) : Extent{};
  const std::uint32_t bytes = extent.bytes;
  Transfer transfer;
  transfer.payload = &payload;
  transfer.traffic = TrafficClass::kCompletion;
  transfer.segments = formula::completion_segments(extent.address, bytes, completion_shift_,
                                                   request_shift_, headers_.completion);
  transfer.is_short = bytes <= config_.max_payload_bytes;
  send(opposite(request_direction), transfer, bytes);
}

// A posted request is over: delivered and answered, or dropped.
void Link::end_posted(Direction direction, base::GenericPayload& payload) {
  if (answers_early(payload, tlp_of(payload))) {
    payload.release();
  } else {
    answer(direction, payload);
  }
}

void Link::send(Direction direction, const Transfer& transfer, std::uint32_t payload_bytes) {
  Counters& counters =
      counters_[static_cast<std::size_t>(direction)][static_cast<std::size_t>(transfer.traffic)];
  counters.tlps += transfer.segments.tlps;
  counters.payload_bytes += payload_bytes;
  counters.wire_bytes += transfer.segments.wire_bytes();
  if (attention_ || points_.tlp.armed()) [[unlikely]] {
    send_specially(direction, transfer);
  } else {
    burst_of(direction).direction.send(transfer);
  }
}

TlpRecord Link::describe(Direction direction, const Transfer& transfer, std::uint32_t index) const {
  const tlm::tlm_generic_payload& payload = *transfer.payload;
  const Tlp& tlp = tlp_of(payload);
  const bool completion = transfer.traffic == TrafficClass::kCompletion;
  const bool has_data = completion ? payload.is_read() && payload.is_response_ok()
                                   : payload.is_write() && payload.get_data_length() != 0;
  const Extent extent = extent_of(payload);
  formula::Piece piece;
  if (has_data && completion) {
    piece = formula::completion_piece(extent.address, extent.bytes, completion_shift_,
                                      request_shift_, index);
  } else if (!completion) {
    const std::uint32_t total = words_of(payload, tlp);
    const unsigned shift = payload.is_read() ? request_shift_ : payload_shift_;
    piece.begin = std::min(index << shift, total);
    piece.bytes = std::min(total - piece.begin, std::uint32_t{1} << shift);
  }
  TlpRecord record;
  record.when = scheduler_.now();
  record.direction = direction;
  record.traffic = transfer.traffic;
  record.type = completion ? (has_data ? TlpType::kCplD : TlpType::kCpl) : type_of(payload, tlp);
  record.address =
      piece.begin == 0 ? extent.address : (extent.address & ~std::uint64_t{3}) + piece.begin;
  record.bytes = piece.bytes;
  record.requester = tlp.requester;
  record.tag = tlp.tag;
  record.relaxed_ordering = tlp.relaxed_ordering;
  record.id_based_ordering = tlp.id_based_ordering;
  record.no_snoop = tlp.no_snoop;
  record.poisoned = tlp.poisoned && has_data;
  record.successful = !completion || payload.is_response_ok();
  record.index = index;
  record.count = transfer.segments.tlps;
  return record;
}

// BEGIN_RESP to whoever sent a request through `request_direction`.
void Link::answer(Direction request_direction, base::GenericPayload& payload) {
  if (request_direction == Direction::kDown) {
    from_root.respond(payload);
  } else {
    from_endpoint.respond(payload);
  }
}

void Link::Ends::sent(tlm::tlm_generic_payload& payload) {
  link_.answer(direction_, payload);
}

void Link::Ends::arrived(tlm::tlm_generic_payload& payload, TrafficClass traffic) {
  if (cut_) [[unlikely]] {
    arrived_cut(payload, traffic);
  } else if (traffic == TrafficClass::kCompletion) {
    link_.answer(opposite(direction_), payload);
  } else if (tlp_of(payload).cancelled) [[unlikely]] {
    payload.set_response_status(kStatusUnsupportedRequest);
    if (traffic == TrafficClass::kPosted) {
      link_.end_posted(direction_, payload);
    } else {
      link_.answer(direction_, payload);
    }
  } else if (direction_ == Direction::kDown) {
    link_.to_endpoint.request(payload);
  } else {
    link_.to_root.request(payload);
  }
}

}  // namespace nvmesim::pcie
