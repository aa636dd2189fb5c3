#include "pcie/link_faults.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;

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
    case TlpFaultKind::malformed:
      fault.malformed = true;
      break;
    case TlpFaultKind::link_down:
      fault.link_down = true;
      break;
  }
}

}  // namespace

void TlpFaultRules::add(const TlpFaultRule& rule) {
  if (rule.every == 0 || rule.count == 0 || rule.chance_ppm == 0 || rule.chance_ppm > kMillion) {
    throw base::UserError(
        "a link fault rule needs every and count of at least 1 and a chance_ppm of 1 to 1000000");
  }
  rules_.push_back({rule});
}

void TlpFaultRules::arm(LinkPoints& points) {
  points.tlp.arm([this](const TlpRecord& record, TlpFault& fault) { look(record, fault); });
}

void TlpFaultRules::look(const TlpRecord& record, TlpFault& fault) {
  for (State& state : rules_) {
    const TlpFaultRule& rule = state.rule;
    if (!fits(rule.direction, record.direction) || !fits(rule.traffic, record.traffic) ||
        !fits(rule.type, record.type) || (record.replayed && !rule.replays)) {
      continue;
    }
    const std::uint64_t number = state.matched++;
    if (number < rule.first || (number - rule.first) % rule.every != 0) continue;
    if (state.hits == rule.count) continue;
    if (rule.chance_ppm != kMillion && !random_.chance(rule.chance_ppm, kMillion)) continue;
    ++state.hits;
    set(fault, rule.what);
  }
}

}  // namespace nvmesim::pcie
