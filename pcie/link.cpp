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

void require(bool condition, std::string_view name, std::uint64_t value, std::string_view allowed) {
  if (!condition) {
    throw base::UserError(fmt::format("link.{} is {}; it must be {}", name, value, allowed));
  }
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

const LinkConfig& validated(const LinkConfig& config) {
  config.validate();
  return config;
}

}  // namespace

std::span<const base::ParamInfo> LinkConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"generation", "", 1, 5, "PCIe generation: 2.5, 5, 8, 16, 32 GT/s"},
      {"lanes", "lanes", 1, 16, "width: 1, 2, 4, 8 or 16"},
      {"max_payload_bytes", "bytes", 128, 4096, "MPS: longest payload of one TLP, a power of two"},
      {"max_read_request_bytes", "bytes", 128, 4096,
       "MRRS: most that one read request asks for, a power of two"},
      {"read_completion_boundary_bytes", "bytes", 0, 128,
       "RCB: 64 or 128 if completions are cut at it; 0: they are cut at MPS"},
      {"propagation_ns", "ns", 0, 100'000, "flight time over the wire"},
      {"stack_latency_ns", "ns", 0, 100'000,
       "physical and data link layers of both ends together, per direction"},
      {"deferral_limit_us", "us", 1, 1'000'000,
       "a deferrable write is delivered at latest so long after its arrival"},
  };
  return kParams;
}

void LinkConfig::validate() const {
  require(generation >= 1 && generation <= 5, "generation", generation, "1 to 5");
  require(std::has_single_bit(lanes) && lanes <= 16, "lanes", lanes, "1, 2, 4, 8 or 16");
  require(std::has_single_bit(max_payload_bytes) && max_payload_bytes >= 128 &&
              max_payload_bytes <= 4096,
          "max_payload_bytes", max_payload_bytes, "a power of two from 128 to 4096");
  require(std::has_single_bit(max_read_request_bytes) && max_read_request_bytes >= 128 &&
              max_read_request_bytes <= 4096,
          "max_read_request_bytes", max_read_request_bytes, "a power of two from 128 to 4096");
  require(read_completion_boundary_bytes == 0 || read_completion_boundary_bytes == 64 ||
              read_completion_boundary_bytes == 128,
          "read_completion_boundary_bytes", read_completion_boundary_bytes, "0, 64 or 128");
}

Link::Link(sc_core::sc_module_name name, const LinkConfig& config, base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      from_root("from_root", this, scheduler),
      to_endpoint("to_endpoint", this, scheduler),
      from_endpoint("from_endpoint", this, scheduler),
      to_root("to_root", this, scheduler),
      config_(validated(config)),
      scheduler_(scheduler),
      pace_(formula::tlp_pace(config.generation, config.lanes, config.max_payload_bytes)),
      payload_shift_(log2_of(config.max_payload_bytes)),
      request_shift_(log2_of(config.max_read_request_bytes)),
      completion_shift_(config.read_completion_boundary_bytes != 0
                            ? log2_of(config.read_completion_boundary_bytes)
                            : payload_shift_),
      down_(down_ends_, scheduler, pace_, one_way_delay(), deferral_limit()),
      up_(up_ends_, scheduler, pace_, one_way_delay(), deferral_limit()) {}

base::Time Link::one_way_delay() const {
  return std::chrono::nanoseconds(config_.propagation_ns) +
         std::chrono::nanoseconds(config_.stack_latency_ns);
}

base::Time Link::deferral_limit() const {
  return std::chrono::microseconds(config_.deferral_limit_us);
}

void Link::deliver_promptly(Direction direction, bool promptly) {
  wire_of(direction).deliver_promptly(promptly);
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
  const std::uint32_t bytes = payload.get_data_length();
  Transfer transfer;
  transfer.payload = &payload;
  if (tlp.kind == TlpKind::kMemory && payload.is_read()) {
    transfer.traffic = TrafficClass::kNonPosted;
    transfer.segments = formula::read_request_segments(
        bytes, request_shift_, formula::memory_header(payload.get_address()));
    transfer.is_short = transfer.segments.wire_bytes() <= config_.max_payload_bytes;
    send(direction, transfer, 0);
    return;
  }
  if (tlp.kind == TlpKind::kConfig0 || tlp.kind == TlpKind::kConfig1) {
    transfer.traffic = TrafficClass::kNonPosted;
    const std::uint32_t data = payload.is_write() ? bytes : 0;
    transfer.segments = formula::data_segments(data, payload_shift_, formula::kHeaderConfig);
    send(direction, transfer, data);
    return;
  }
  const std::uint32_t header = tlp.kind == TlpKind::kMessage
                                   ? formula::kHeader64
                                   : formula::memory_header(payload.get_address());
  transfer.segments = formula::data_segments(bytes, payload_shift_, header);
  transfer.is_short = bytes <= config_.max_payload_bytes;
  transfer.relaxed_ordering = tlp.relaxed_ordering;
  transfer.deferrable = tlp.deferrable;
  transfer.report_sent = answers_early(payload, tlp);
  if (transfer.report_sent) payload.acquire();  // its initiator may let go before it arrives
  send(direction, transfer, bytes);
}

// What the far end answered to a request that came through `request_direction`.
void Link::accept_response(Direction request_direction, base::GenericPayload& payload) {
  if (is_posted(payload)) {
    end_posted(request_direction, payload);
    return;
  }
  const bool has_data = payload.is_read() && payload.is_response_ok();
  const std::uint32_t bytes = has_data ? payload.get_data_length() : 0;
  Transfer transfer;
  transfer.payload = &payload;
  transfer.traffic = TrafficClass::kCompletion;
  transfer.segments = formula::data_segments(bytes, completion_shift_, formula::kHeaderCompletion);
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
  if (log_) [[unlikely]]
    log_transfer(direction, transfer);
  wire_of(direction).send(transfer);
}

void Link::log_transfer(Direction direction, const Transfer& transfer) const {
  for (std::uint32_t i = 0; i < transfer.segments.tlps; ++i) {
    log_(describe(direction, transfer, i));
  }
}

TlpRecord Link::describe(Direction direction, const Transfer& transfer, std::uint32_t index) const {
  const tlm::tlm_generic_payload& payload = *transfer.payload;
  const Tlp& tlp = tlp_of(payload);
  const bool completion = transfer.traffic == TrafficClass::kCompletion;
  const bool has_data = completion ? payload.is_read() && payload.is_response_ok()
                                   : payload.is_write() && payload.get_data_length() != 0;
  const unsigned shift =
      completion ? completion_shift_ : (payload.is_read() ? request_shift_ : payload_shift_);
  const std::uint32_t total = payload.get_data_length();
  const std::uint32_t begin = index << shift;
  TlpRecord record;
  record.when = scheduler_.now();
  record.direction = direction;
  record.traffic = transfer.traffic;
  record.type = completion ? (has_data ? TlpType::kCplD : TlpType::kCpl) : type_of(payload, tlp);
  record.address = payload.get_address() + begin;
  record.bytes = std::min(total - std::min(begin, total), std::uint32_t{1} << shift);
  if (completion && !has_data) record.bytes = 0;
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
  if (traffic == TrafficClass::kCompletion) {
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

base::Time Link::busy(Direction direction) const {
  std::uint64_t bytes = 0;
  for (const Counters& of_class : counters_[static_cast<std::size_t>(direction)]) {
    bytes += of_class.wire_bytes;
  }
  return pace_(bytes);
}

void Link::register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  static constexpr std::string_view kDirections[] = {"down", "up"};
  static constexpr std::string_view kClasses[] = {"posted", "non_posted", "completion"};
  for (const Direction direction : {Direction::kDown, Direction::kUp}) {
    const auto d = static_cast<std::size_t>(direction);
    const std::string path = fmt::format("{}.{}", prefix, kDirections[d]);
    registry.add_utilisation(path, "link", [this, direction] { return busy(direction); });
    registry.add(path + ".deferred", "1", "posted writes that waited for the next delivery",
                 [this, direction] {
                   return (direction == Direction::kDown ? down_ : up_).deferred_count();
                 });
    for (std::size_t c = 0; c < kTrafficClasses; ++c) {
      const Counters& of_class = counters_[d][c];
      const std::string name = fmt::format("{}.{}", path, kClasses[c]);
      registry.add(name + "_tlps", "1", "TLPs sent", of_class.tlps);
      registry.add(name + "_payload_bytes", "bytes", "payload sent", of_class.payload_bytes);
      registry.add(name + "_wire_bytes", "bytes", "TLPs with their headers and framing",
                   of_class.wire_bytes);
    }
  }
}

}  // namespace nvmesim::pcie
