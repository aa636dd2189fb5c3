#include "pcie/tlp_arbiter.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

void TlpArbiter::add(TlpFlow& flow) {
  if (barriers_ != 0) {
    held_.push_back(&flow);
    return;
  }
  if (flow.transfer.is_short) {
    shorts_.push_back(&flow);
    return;
  }
  if (flow.is_barrier()) ++barriers_;
  if (window_.size() + away_ < kWindow + extra_) {
    window_.push_back(&flow);
  } else {
    waiting_.push_back(&flow);
  }
}

void TlpArbiter::add_announced(TlpFlow& flow) {
  if (flow.transfer.is_short) {
    shorts_.push_back(&flow);
  } else {
    window_.push_back(&flow);
    ++extra_;
  }
}

void TlpArbiter::complete(TlpFlow& flow) {
  if (barriers_ != 0) {
    held_.push_back(&flow);
    return;
  }
  flow.announced = false;
  flow.available = flow.transfer.segments.tlps;
  if (flow.is_barrier()) ++barriers_;
}

TlpFlow* TlpArbiter::next(const CreditAccounts& credits) {
  Blocked blocked;
  TlpFlow* chosen = nullptr;
  for (TlpFlow* flow : shorts_) {
    if (may_go(*flow, blocked, credits)) {
      chosen = flow;
      break;
    }
    if (flow->transfer.traffic != TrafficClass::kPosted) continue;
    if (blocked.oldest == nullptr) blocked.oldest = flow;
    blocked.several_senders |= flow->order.id != blocked.oldest->order.id;
  }
  for (std::size_t i = 0; chosen == nullptr && i < window_.size(); ++i) {
    if (may_go(*window_[i], blocked, credits)) chosen = window_[i];
  }
  if (chosen != nullptr && blocked.oldest != nullptr &&
      chosen->transfer.traffic == TrafficClass::kPosted) {
    ++blocked.oldest->passed;
  }
  return chosen;
}

bool TlpArbiter::may_go(const TlpFlow& flow, const Blocked& blocked,
                        const CreditAccounts& credits) {
  if (flow.issued == flow.available) return false;
  if (credits.infinite()) return true;
  return (blocked.oldest == nullptr || may_pass_blocked(flow, blocked)) &&
         credits.has(flow.transfer.traffic, flow.need);
}

// A long flow has no order with what its requester sends while it is being issued, but it does not
// starve the short ones either. The sender's name helps past one sender only: there is no list.
bool TlpArbiter::may_pass_blocked(const TlpFlow& flow, const Blocked& blocked) {
  if (flow.transfer.traffic == TrafficClass::kPosted && blocked.oldest->passed >= kMostPassed) {
    return false;
  }
  OrderKey order = flow.order;
  order.id_based_ordering = order.id_based_ordering && !blocked.several_senders;
  return may_pass(order, blocked.oldest->order);
}

void TlpArbiter::begin(TlpFlow& flow) {
  if (flow.transfer.is_short) {
    // Several TLPs of a short one follow each other.
    if (flow.issued + 1 != flow.transfer.segments.tlps) return;
    shorts_.erase(std::find(shorts_.begin(), shorts_.end(), &flow));
  } else {
    window_.erase(std::find(window_.begin(), window_.end(), &flow));
    ++away_;
  }
}

void TlpArbiter::end(TlpFlow& flow) {
  if (flow.transfer.is_short) return;
  --away_;
  if (!flow.last_issued()) {
    window_.push_back(&flow);
    return;
  }
  if (flow.kept) {
    --extra_;
  } else if (!waiting_.empty()) {
    window_.push_back(waiting_.front());
    waiting_.pop_front();
  }
  if (!flow.is_barrier()) return;
  NVMESIM_ASSERT(barriers_ != 0, "a barrier of the link ended twice");
  --barriers_;
  while (barriers_ == 0 && !held_.empty()) {
    TlpFlow* next = held_.front();
    held_.pop_front();
    next->announced ? complete(*next) : add(*next);
  }
}

void TlpArbiter::clear() {
  shorts_.clear();
  window_.clear();
  waiting_.clear();
  held_.clear();
  away_ = extra_ = 0;
  barriers_ = 0;
}

}  // namespace nvmesim::pcie
