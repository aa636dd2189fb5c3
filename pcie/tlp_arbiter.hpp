// Which TLP goes on the wire next, where each is simulated: the same policy as pcie/direction.hpp
// (short transfers in the order of send(), long ones take turns, nothing behind a long posted write
// without relaxed ordering), with credits. What lacks credits is passed by what may pass it
// (pcie/ordering.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "pcie/credits.hpp"
#include "pcie/direction.hpp"
#include "pcie/ordering.hpp"

namespace nvmesim::pcie {

// A transfer on its way, until all of its TLPs have arrived or were lost.
struct TlpFlow {
  Transfer transfer;
  OrderKey order;
  std::uint64_t number = 0;   // in the order of send()
  std::uint32_t issued = 0;   // TLPs that have been on the wire
  std::uint32_t arrived = 0;  // TLPs that the receiver has taken or discarded for good
  std::uint32_t passed = 0;   // how often a younger one was preferred for want of credits
  bool lost = false;          // a TLP was
  bool reported = false;      // as sent, or nobody waits for that
  bool in_use = false;
  bool is_barrier() const {
    return !transfer.is_short && transfer.traffic == TrafficClass::kPosted &&
           !transfer.relaxed_ordering;
  }
  bool last_issued() const { return issued == transfer.segments.tlps; }
};

class TlpArbiter {
 public:
  // A posted write that waits for credits is passed by so many of its class at most.
  static constexpr std::uint32_t kMostPassed = 64;

  void add(TlpFlow& flow);
  // The flow whose next TLP may go now; nullptr if there is none. `need` tells the credits of a
  // flow's next TLP.
  template <class Need>
  TlpFlow* next(const CreditAccounts& credits, const Need& need);
  // The next TLP of `flow`, from next(), has begun, or has ended: then a long one goes to the end
  // of the line.
  void begin(TlpFlow& flow);
  void end(TlpFlow& flow);
  void clear();

  // Nothing waits, credits or not.
  bool empty() const { return shorts_.empty() && window_.empty() && held_.empty(); }

 private:
  bool blocked_by_posted(const TlpFlow& flow) const;

  static constexpr std::size_t kWindow = Wire::kWindow;
  std::deque<TlpFlow*> shorts_;
  std::vector<TlpFlow*> window_;  // in the order of their turns
  std::size_t away_ = 0;          // of the window: its TLP is on the wire
  std::deque<TlpFlow*> waiting_;  // for a place in the window
  std::deque<TlpFlow*> held_;     // behind the barrier
  std::uint32_t barriers_ = 0;
  std::vector<TlpFlow*> blocked_posted_;  // used inside next()
};

template <class Need>
TlpFlow* TlpArbiter::next(const CreditAccounts& credits, const Need& need) {
  blocked_posted_.clear();
  const auto may_go = [&](TlpFlow& flow) {
    if (credits.infinite()) return true;
    if (!blocked_posted_.empty() && blocked_by_posted(flow)) return false;
    return credits.has(flow.transfer.traffic, need(flow));
  };
  TlpFlow* chosen = nullptr;
  for (TlpFlow* flow : shorts_) {
    if (may_go(*flow)) {
      chosen = flow;
      break;
    }
    if (flow->transfer.traffic == TrafficClass::kPosted) blocked_posted_.push_back(flow);
  }
  for (std::size_t i = 0; chosen == nullptr && i < window_.size(); ++i) {
    if (may_go(*window_[i])) chosen = window_[i];
  }
  if (chosen != nullptr && chosen->transfer.traffic == TrafficClass::kPosted) {
    for (TlpFlow* flow : blocked_posted_) ++flow->passed;
  }
  return chosen;
}

}  // namespace nvmesim::pcie
