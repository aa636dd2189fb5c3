// Rules for the point of a link (pcie/link_points.hpp): which TLPs meet which fault, by counting or
// by chance. A rule set is armed on one link; its draws come from its own seeded stream.
//
//   TlpFaultRules rules(run_seed, "faults");
//   rules.add({.what = TlpFaultKind::drop, .traffic = TrafficClass::kCompletion, .first = 100});
//   rules.add({.what = TlpFaultKind::corrupt, .chance_ppb = 50'000});
//   rules.arm(link.points());      // the rules must outlive the link's traffic
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pcie/link_config.hpp"
#include "pcie/link_points.hpp"
#include "sim/base/random.hpp"

namespace nvmesim::pcie {

enum class TlpFaultKind : std::uint8_t {
  corrupt,
  drop,
  poison,
  unsupported_request,
  completer_abort,
  malformed,
  surprise_down
};

struct TlpFaultRule {
  TlpFaultKind what = TlpFaultKind::corrupt;
  // Of the TLPs that match these...
  std::optional<Direction> direction;
  std::optional<TrafficClass> traffic;
  std::optional<TlpType> type;
  bool replays = false;  // also those that are sent again
  // ...from the first-th on (counted from 0) each every-th, at most `count` of them...
  std::uint64_t first = 0;
  std::uint64_t every = 1;
  std::uint64_t count = ~std::uint64_t{0};
  // ...from that time on, with this chance.
  base::Time from{0};
  std::uint32_t chance_ppb = 1'000'000'000;
};

class TlpFaultRules {
 public:
  TlpFaultRules(std::uint64_t run_seed, std::string_view user) : random_(run_seed, user) {}
  TlpFaultRules(const TlpFaultRules&) = delete;
  TlpFaultRules& operator=(const TlpFaultRules&) = delete;

  // A rule that could never act is the user's mistake (UserError).
  void add(const TlpFaultRule& rule);
  // What a configuration asks for: a rule for each of its kinds.
  void add(const LinkFaults& rates);
  void arm(LinkPoints& points);
  // What a TLP meets.
  void examine(const TlpRecord& record, TlpFault& fault);
  // How often the rule, in the order of add(), has acted.
  std::uint64_t hits(std::size_t rule) const { return rules_.at(rule).hits; }
  // As the configuration calls it.
  std::string_view name(std::size_t rule) const;
  std::size_t size() const { return rules_.size(); }

 private:
  struct State {
    TlpFaultRule rule;
    std::uint64_t matched = 0;
    std::uint64_t hits = 0;
  };
  base::Random random_;
  std::vector<State> rules_;
};

}  // namespace nvmesim::pcie
