#include "sim/check/base_protocol_checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "pcie/tlp.hpp"

namespace nvmesim::check {
namespace {

struct RuleText {
  std::string_view name;
  std::string_view description;
};
constexpr std::array<RuleText, kRuleCount> kRules = {{
    {"phase", "only BEGIN_REQ goes forward and only BEGIN_RESP comes back"},
    {"request_answer", "a request is answered at once with TLM_UPDATED and END_REQ"},
    {"response_answer", "a response is answered with TLM_COMPLETED"},
    {"response_later", "a response never comes inside the call of its request"},
    {"one_response", "every response belongs to an open request"},
    {"no_reuse", "a payload is not sent again while its request is open"},
    {"released", "a payload has an owner until its response"},
    {"no_response", "every request is answered in the end"},
    {"delay", "the delay is how far the Scheduler is ahead of SystemC's clock"},
    {"unchanged", "a request and the data of a write stay as they were sent"},
    {"status", "the status is incomplete in a request and set in a response"},
    {"size", "a request has a size that its kind may have, and does not stream"},
    {"boundary", "a memory request stays within 4 KiB"},
    {"blocking", "nobody uses blocking transport"},
}};

constexpr std::uint64_t kBoundary = 4096;

// FNV-1a over words of eight bytes, and over bytes for the rest. A multiplication moves bits up
// only: the fold brings the upper ones down, so that every bit of a word matters.
std::uint64_t hash(const unsigned char* data, std::size_t bytes) {
  constexpr std::uint64_t kPrime = 0x100'0000'01B3;
  std::uint64_t result = 0xCBF2'9CE4'8422'2325;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    result = (result ^ word) * kPrime;
    result ^= result >> 32;
  }
  for (std::size_t i = 0; i < bytes; ++i) result = (result ^ data[i]) * kPrime;
  return result;
}

std::uint64_t content_of(const tlm::tlm_generic_payload& payload) {
  if (!payload.is_write() || payload.get_data_ptr() == nullptr) return 0;
  if (pcie::tlp_of(payload).dataless) return 0;
  return hash(payload.get_data_ptr(), payload.get_data_length());
}

std::string_view answer_name(tlm::tlm_sync_enum answer) {
  switch (answer) {
    case tlm::TLM_ACCEPTED:
      return "TLM_ACCEPTED";
    case tlm::TLM_UPDATED:
      return "TLM_UPDATED";
    case tlm::TLM_COMPLETED:
      return "TLM_COMPLETED";
  }
  return "?";
}

// "write of 64 bytes at 0x1000"
std::string words(tlm::tlm_command command, std::uint64_t address, unsigned bytes) {
  const std::string_view verb = command == tlm::TLM_READ_COMMAND    ? "read"
                                : command == tlm::TLM_WRITE_COMMAND ? "write"
                                                                    : "ignored command";
  return fmt::format("{} of {} bytes at {:#x}", verb, bytes, address);
}
std::string words(const tlm::tlm_generic_payload& payload) {
  return words(payload.get_command(), payload.get_address(), payload.get_data_length());
}

}  // namespace

std::string_view name(Rule rule) {
  return kRules[static_cast<std::size_t>(rule)].name;
}
std::string_view description(Rule rule) {
  return kRules[static_cast<std::size_t>(rule)].description;
}

BaseProtocolChecker::BaseProtocolChecker(sc_core::sc_module_name name,
                                         const base::Scheduler& scheduler, CheckerOptions options)
    : base::Splice(name), scheduler_(scheduler), options_(options) {}

tlm::tlm_sync_enum BaseProtocolChecker::forward(Lane& lane, tlm::tlm_generic_payload& payload,
                                                tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  check_delay(lane, delay);
  if (phase != tlm::BEGIN_REQ) {
    if (!(options_.foreign && phase == tlm::END_RESP)) {
      violate(lane.direction(), Rule::kPhase, "a call forward that is not BEGIN_REQ");
    }
    return lane.pass_forward(payload, phase, delay);
  }
  request(lane, payload);
  const std::uint64_t sequence = next_sequence_;
  const tlm::tlm_sync_enum answer = lane.pass_forward(payload, phase, delay);
  // The payload may be gone by now if a rule was broken: only its address is used.
  request_answered(lane, &payload, sequence, answer, phase);
  return answer;
}

void BaseProtocolChecker::request(Lane& lane, const tlm::tlm_generic_payload& payload) {
  ++requests_;
  check_shape(lane, payload);
  if (payload.get_response_status() != tlm::TLM_INCOMPLETE_RESPONSE) {
    violate(lane.direction(), Rule::kStatus, words(payload) + " was sent with a response status");
  }
  if (payload.has_mm() && payload.get_ref_count() < 1) {
    violate(lane.direction(), Rule::kReleased, words(payload) + " was sent without an owner");
  }
  Open sent;
  sent.sequence = ++next_sequence_;
  sent.direction = lane.direction();
  sent.sent = scheduler_.now();
  sent.command = payload.get_command();
  sent.address = payload.get_address();
  sent.data = payload.get_data_ptr();
  sent.bytes = payload.get_data_length();
  sent.enables = payload.get_byte_enable_ptr();
  sent.enable_bytes = payload.get_byte_enable_length();
  sent.content = content_of(payload);
  sent.posted = pcie::is_posted(payload);
  sent.calling = true;
  const auto [at, fresh] = open_.insert_or_assign(&payload, sent);
  if (!fresh) {
    violate(lane.direction(), Rule::kNoReuse,
            words(payload) + " was sent in a payload whose last request is still open");
  }
}

void BaseProtocolChecker::request_answered(Lane& lane, const tlm::tlm_generic_payload* payload,
                                           std::uint64_t sequence, tlm::tlm_sync_enum answer,
                                           const tlm::tlm_phase& phase) {
  const auto found = open_.find(payload);
  const bool ours = found != open_.end() && found->second.sequence == sequence;
  if (ours) found->second.calling = false;
  if (answer == tlm::TLM_UPDATED && phase == tlm::END_REQ) return;
  if (!options_.foreign) {
    violate(lane.direction(), Rule::kRequestAnswer,
            fmt::format("a request was answered with {}", answer_name(answer)));
  }
  // Answered for good in the same call; the initiator's socket makes a response of it.
  const bool ended =
      answer == tlm::TLM_COMPLETED || (answer == tlm::TLM_UPDATED && phase == tlm::BEGIN_RESP);
  if (ours && ended) open_.erase(found);
}

tlm::tlm_sync_enum BaseProtocolChecker::backward(Lane& lane, tlm::tlm_generic_payload& payload,
                                                 tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  check_delay(lane, delay);
  if (phase != tlm::BEGIN_RESP) {
    if (!(options_.foreign && phase == tlm::END_REQ)) {
      violate(lane.direction(), Rule::kPhase, "a call back that is not BEGIN_RESP");
    }
    return lane.pass_backward(payload, phase, delay);
  }
  response(lane, payload);
  const tlm::tlm_sync_enum answer = lane.pass_backward(payload, phase, delay);
  if (answer != tlm::TLM_COMPLETED) {
    violate(lane.direction(), Rule::kResponseAnswer,
            fmt::format("a response was answered with {}", answer_name(answer)));
  }
  return answer;
}

void BaseProtocolChecker::response(Lane& lane, const tlm::tlm_generic_payload& payload) {
  const auto found = open_.find(&payload);
  if (found == open_.end() || found->second.direction != lane.direction()) {
    violate(lane.direction(), Rule::kOneResponse, "a response without an open request");
    return;
  }
  const Open sent = found->second;
  open_.erase(found);
  if (sent.calling && !(sent.posted && options_.posted_in_call)) {
    violate(lane.direction(), Rule::kResponseLater,
            words(payload) + " got its response inside its own call");
  }
  if (payload.has_mm() && payload.get_ref_count() < 1) {
    violate(lane.direction(), Rule::kReleased,
            words(payload) + " was released before its response");
  }
  if (!sent.posted && payload.get_response_status() == tlm::TLM_INCOMPLETE_RESPONSE) {
    violate(lane.direction(), Rule::kStatus, words(payload) + " came back without a status");
  }
  check_unchanged(lane, payload, sent);
}

void BaseProtocolChecker::check_shape(Lane& lane, const tlm::tlm_generic_payload& payload) {
  const std::uint64_t address = payload.get_address();
  const std::uint64_t bytes = payload.get_data_length();
  const auto wrong = [&](Rule rule, std::string_view why) {
    violate(lane.direction(), rule, fmt::format("{}: {}", words(payload), why));
  };
  if (!payload.is_read() && !payload.is_write()) wrong(Rule::kSize, "neither read nor write");
  if (payload.get_streaming_width() < bytes) wrong(Rule::kSize, "streams");
  if (options_.any_size) return;
  if (is_configuration(pcie::tlp_of(payload))) {
    if (bytes != 1 && bytes != 2 && bytes != 4) wrong(Rule::kSize, "not 1, 2 or 4 bytes");
    if (address % 4 + bytes > 4) wrong(Rule::kSize, "crosses a configuration register");
    if (address + bytes > kBoundary) wrong(Rule::kSize, "beyond configuration space");
    return;
  }
  if (pcie::tlp_of(payload).kind == pcie::TlpKind::kMessage) return;
  if (bytes == 0 || bytes > kBoundary) {
    wrong(Rule::kSize, "not 1 to 4096 bytes");
  } else if (address % kBoundary + bytes > kBoundary) {
    wrong(Rule::kBoundary, "crosses a 4 KiB boundary");
  }
  if (payload.get_data_ptr() == nullptr && !pcie::tlp_of(payload).dataless) {
    wrong(Rule::kSize, "has no data");
  }
}

void BaseProtocolChecker::check_unchanged(Lane& lane, const tlm::tlm_generic_payload& payload,
                                          const Open& sent) {
  std::string_view what;
  if (payload.get_command() != sent.command)
    what = "command";
  else if (payload.get_address() != sent.address)
    what = "address";
  else if (payload.get_data_length() != sent.bytes)
    what = "length";
  else if (payload.get_data_ptr() != sent.data)
    what = "data pointer";
  else if (payload.get_byte_enable_ptr() != sent.enables ||
           payload.get_byte_enable_length() != sent.enable_bytes)
    what = "byte enables";
  else if (content_of(payload) != sent.content)
    what = "written data";
  if (what.empty()) return;
  violate(lane.direction(), Rule::kUnchanged,
          fmt::format("{} came back with another {}", words(sent.command, sent.address, sent.bytes),
                      what));
}

void BaseProtocolChecker::check_delay(Lane& lane, const sc_core::sc_time& delay) {
  if (options_.foreign || delay == scheduler_.ahead()) return;
  violate(lane.direction(), Rule::kDelay,
          fmt::format("the delay is {} ps and should be {} ps", base::from_sc_time(delay).count(),
                      base::from_sc_time(scheduler_.ahead()).count()));
}

void BaseProtocolChecker::blocking(Lane& lane, tlm::tlm_generic_payload& payload,
                                   sc_core::sc_time& delay) {
  violate(lane.direction(), Rule::kBlocking, words(payload) + " by b_transport");
  base::Splice::blocking(lane, payload, delay);
}

void BaseProtocolChecker::finish() {
  std::vector<Open> lost;
  for (const auto& [payload, sent] : open_) lost.push_back(sent);
  // The table is in the order of addresses, which mean nothing.
  std::sort(lost.begin(), lost.end(),
            [](const Open& a, const Open& b) { return a.sequence < b.sequence; });
  for (const Open& sent : lost) {
    violate(sent.direction, Rule::kNoResponse,
            fmt::format("{}, sent at {} ps, was never answered",
                        words(sent.command, sent.address, sent.bytes), sent.sent.count()));
  }
  open_.clear();
}

void BaseProtocolChecker::violate(Direction direction, Rule rule, const std::string& what) {
  ++count_;
  if (violations_.size() >= options_.keep) return;
  const base::Time now = scheduler_.now();
  violations_.push_back(
      {now, direction, rule,
       fmt::format("{}: {} ps, {}, {}: {}", sc_core::sc_module::name(), now.count(),
                   direction == Direction::kDownstream ? "downstream" : "upstream",
                   check::name(rule), what)});
}

}  // namespace nvmesim::check
