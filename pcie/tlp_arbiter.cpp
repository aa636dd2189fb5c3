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
  if (window_.size() + away_ < kWindow) {
    window_.push_back(&flow);
  } else {
    waiting_.push_back(&flow);
  }
}

// Some posted write that was sent before `flow` waits for credits. A long flow has no order with
// what its requester sends while it is being issued, but it does not starve the short ones either.
bool TlpArbiter::blocked_by_posted(const TlpFlow& flow) const {
  const bool posted = flow.transfer.traffic == TrafficClass::kPosted;
  return std::any_of(blocked_posted_.begin(), blocked_posted_.end(), [&](const TlpFlow* earlier) {
    return !may_pass(flow.order, earlier->order) || (posted && earlier->passed >= kMostPassed);
  });
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
  if (!waiting_.empty()) {
    window_.push_back(waiting_.front());
    waiting_.pop_front();
  }
  if (!flow.is_barrier()) return;
  NVMESIM_ASSERT(barriers_ != 0, "a barrier of the link ended twice");
  --barriers_;
  while (barriers_ == 0 && !held_.empty()) {
    TlpFlow* next = held_.front();
    held_.pop_front();
    add(*next);
  }
}

void TlpArbiter::clear() {
  shorts_.clear();
  window_.clear();
  waiting_.clear();
  held_.clear();
  away_ = 0;
  barriers_ = 0;
}

}  // namespace nvmesim::pcie
