#include "pcie/link_faults.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kBillion = 1'000'000'000;

template <class Value>
bool fits(const std::optional<Value>& wanted, Value value) {
  return !wanted || *wanted == value;
}

void set(TlpFault& fault, TlpFaultKind what) {
  switch (what) {
    case TlpFaultKind::corrupt:
      fault.corrupt = true;
      break;
    case TlpFaultKind::drop:
      fault.drop = true;
      break;
    case TlpFaultKind::poison:
      fault.poison = true;
      break;
    case TlpFaultKind::unsupported_request:
      fault.unsupported = true;
      break;
    case TlpFaultKind::completer_abort:
      fault.abort = true;
      break;
    case TlpFaultKind::malformed:
      fault.malformed = true;
      break;
    case TlpFaultKind::surprise_down:
      fault.link_down = true;
      break;
  }
}

// Whether a TLP can meet the fault at all: others do not count.
bool applies(TlpFaultKind what, const TlpRecord& record) {
  switch (what) {
    case TlpFaultKind::unsupported_request:
    case TlpFaultKind::completer_abort:
      return record.traffic == TrafficClass::kNonPosted;
    case TlpFaultKind::poison:
      return record.has_data() && record.bytes != 0;
    default:
      return true;
  }
}

}  // namespace

void TlpFaultRules::add(const LinkFaults& rates) {
  TlpFaultRule rule;
  rule.from = std::chrono::microseconds(rates.from_us);
  if (rates.most_of_each != 0) rule.count = rates.most_of_each;
  if (rates.direction == FaultDirection::down) rule.direction = Direction::kDown;
  if (rates.direction == FaultDirection::up) rule.direction = Direction::kUp;
  const auto add_kind = [&](TlpFaultKind what, std::uint32_t chance_ppb) {
    if (chance_ppb == 0) return;
    rule.what = what;
    rule.chance_ppb = chance_ppb;
    rule.traffic = {};
    if (what == TlpFaultKind::drop) rule.traffic = TrafficClass::kCompletion;
    add(rule);
  };
  add_kind(TlpFaultKind::corrupt, rates.corrupt_ppb);
  add_kind(TlpFaultKind::drop, rates.drop_completion_ppb);
  add_kind(TlpFaultKind::poison, rates.poison_ppb);
  add_kind(TlpFaultKind::unsupported_request, rates.unsupported_request_ppb);
  add_kind(TlpFaultKind::completer_abort, rates.completer_abort_ppb);
  add_kind(TlpFaultKind::malformed, rates.malformed_ppb);
  add_kind(TlpFaultKind::surprise_down, rates.surprise_down_ppb);
}

std::string_view TlpFaultRules::name(std::size_t rule) const {
  constexpr std::string_view kNames[] = {
      "corrupt",         "drop_completion", "poison",        "unsupported_request",
      "completer_abort", "malformed",       "surprise_down",
  };
  static_assert(std::size(kNames) == std::size_t(TlpFaultKind::surprise_down) + 1);
  return kNames[static_cast<std::size_t>(rules_.at(rule).rule.what)];
}

void TlpFaultRules::add(const TlpFaultRule& rule) {
  if (rule.every == 0 || rule.count == 0 || rule.chance_ppb == 0 || rule.chance_ppb > kBillion) {
    throw base::UserError(
        "a link fault rule needs every and count of at least 1 and a chance_ppb of 1 to "
        "1000000000");
  }
  rules_.push_back({rule});
}

void TlpFaultRules::arm(LinkPoints& points) {
  points.tlp.arm([this](const TlpRecord& record, TlpFault& fault) { examine(record, fault); });
}

void TlpFaultRules::examine(const TlpRecord& record, TlpFault& fault) {
  for (State& state : rules_) {
    const TlpFaultRule& rule = state.rule;
    if (!fits(rule.direction, record.direction) || !fits(rule.traffic, record.traffic) ||
        !fits(rule.type, record.type) || (record.replayed && !rule.replays) ||
        record.when < rule.from || !applies(rule.what, record)) {
      continue;
    }
    const std::uint64_t number = state.matched++;
    if (number < rule.first || (number - rule.first) % rule.every != 0) continue;
    if (state.hits == rule.count) continue;
    if (rule.chance_ppb != kBillion && !random_.chance(rule.chance_ppb, kBillion)) continue;
    ++state.hits;
    set(fault, rule.what);
  }
}

}  // namespace nvmesim::pcie
