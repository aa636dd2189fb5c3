#include "pcie/direction.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::size_t kFirstRing = 64;  // a power of two

std::uint64_t argument_of(tlm::tlm_generic_payload& payload) {
  return reinterpret_cast<std::uint64_t>(&payload);
}
tlm::tlm_generic_payload& payload_of(std::uint64_t argument) {
  return *reinterpret_cast<tlm::tlm_generic_payload*>(argument);
}

}  // namespace

LinkDirection::LinkDirection(DirectionEnds& ends, base::Scheduler& scheduler, base::Pace pace,
                             base::Time delay, base::Time deferral_limit)
    : ends_(ends),
      scheduler_(scheduler),
      delay_(delay),
      deferral_limit_(deferral_limit),
      wire_(pace),
      ring_(kFirstRing) {}

void LinkDirection::send(const Transfer& transfer) {
  if (barriers_ == 0) [[likely]] {
    issue(transfer);
    return;
  }
  Node* node = take_node(transfer);
  (held_ == nullptr ? held_ : held_tail_->next_held) = node;
  held_tail_ = node;
}

void LinkDirection::issue(const Transfer& transfer) {
  if (!transfer.is_short) {
    issue_long(transfer);
    return;
  }
  const base::Time end = wire_.send_short(scheduler_.now(), transfer.segments.wire_bytes());
  if (transfer.report_sent) {
    scheduler_.at<&LinkDirection::sent_event>(end, this, argument_of(*transfer.payload));
  }
  if (forecast_ == nullptr) {
    book_arrival(transfer, end + delay_);
    return;
  }
  collect_finished();
  book_arrival(transfer, end + delay_);
  forecast();
}

void LinkDirection::issue_long(const Transfer& transfer) {
  Node* node = take_node(transfer);
  if (transfer.traffic == TrafficClass::kPosted) ++long_posted_;
  if (is_barrier(transfer)) ++barriers_;
  wire_.send_long(scheduler_.now(), *node);
  collect_finished();
  forecast();
}

// When its last byte leaves is known: everything that happens afterwards is fixed now.
void LinkDirection::book_arrival(const Transfer& transfer, base::Time arrival) {
  const std::uint64_t payload = argument_of(*transfer.payload);
  switch (transfer.traffic) {
    case TrafficClass::kPosted:
      if (transfer.deferrable && !promptly_) {
        defer(*transfer.payload, arrival);
      } else {
        scheduler_.at<&LinkDirection::arrival_event<TrafficClass::kPosted>>(arrival, this, payload);
      }
      break;
    case TrafficClass::kNonPosted:
      scheduler_.at<&LinkDirection::arrival_event<TrafficClass::kNonPosted>>(arrival, this,
                                                                             payload);
      break;
    case TrafficClass::kCompletion:
      scheduler_.at<&LinkDirection::arrival_event<TrafficClass::kCompletion>>(arrival, this,
                                                                              payload);
      break;
  }
}

// A finished long transfer goes on by itself. A posted one needs an entry at its end, for sent();
// the others one at their arrival. The one that was forecast has its entry already.
void LinkDirection::collect_finished() {
  while (LongTransfer* finished = wire_.take_finished()) {
    auto* node = static_cast<Node*>(finished);
    const bool posted = node->transfer.traffic == TrafficClass::kPosted;
    node->finished = true;
    node->arrival = node->end + delay_;
    if (posted) {
      --long_posted_;
      book_arrival(node->transfer, node->arrival);
    }
    if (node == forecast_) {
      forecast_ = nullptr;
    } else {
      node->entry = scheduler_.at<&LinkDirection::issue_event>(
          posted ? node->end : node->arrival, this, reinterpret_cast<std::uint64_t>(node));
    }
  }
}

// One movable entry stands for all long transfers that have not finished: that of the first one.
// It runs when that ends, or, as no other can have anything to report before, when it arrives.
void LinkDirection::forecast() {
  const Wire::Forecast first = wire_.first_to_finish();
  auto* node = static_cast<Node*>(first.transfer);
  if (node != forecast_ && forecast_ != nullptr) scheduler_.cancel(forecast_->entry);
  if (node == nullptr) {
    forecast_ = nullptr;
    return;
  }
  const base::Time when = long_posted_ != 0 ? first.end : first.end + delay_;
  if (node != forecast_) {
    node->entry = scheduler_.at<&LinkDirection::issue_event>(when, this,
                                                             reinterpret_cast<std::uint64_t>(node));
    forecast_ = node;
  } else if (scheduler_.when(node->entry) != when) {
    scheduler_.move(node->entry, when);
  }
}

void LinkDirection::issue_event(std::uint64_t argument) {
  auto& node = *reinterpret_cast<Node*>(argument);
  const base::Time now = scheduler_.now();
  if (!node.finished) {
    wire_.advance(now);
    collect_finished();
    NVMESIM_ASSERT(node.finished, "a long transfer did not end when it was due");
    forecast();
  }
  const Transfer transfer = node.transfer;
  const base::Time arrival = node.arrival;
  node.next_held = free_;
  free_ = &node;
  if (transfer.traffic != TrafficClass::kPosted) {
    if (now == arrival) {
      deliver(*transfer.payload, transfer.traffic);
    } else {
      book_arrival(transfer, arrival);
    }
    return;
  }
  if (is_barrier(transfer)) {
    --barriers_;
    release_held();
  }
  ends_.sent(*transfer.payload);
}

void LinkDirection::sent_event(std::uint64_t payload) {
  ends_.sent(payload_of(payload));
}

template <TrafficClass kTraffic>
void LinkDirection::arrival_event(std::uint64_t payload) {
  deliver(payload_of(payload), kTraffic);
}

void LinkDirection::deliver(tlm::tlm_generic_payload& payload, TrafficClass traffic) {
  if (ring_count_ != 0) deliver_deferred();
  ends_.arrived(payload, traffic);
}

void LinkDirection::defer(tlm::tlm_generic_payload& payload, base::Time arrival) {
  if (ring_count_ == ring_.size()) [[unlikely]]
    grow_ring();
  ring_[(ring_first_ + ring_count_) & (ring_.size() - 1)] = {&payload, arrival};
  ++ring_count_;
  ++deferred_count_;
  // Left pending when the ring runs empty: it costs one entry per limit at most.
  if (!scheduler_.pending(limit_entry_)) {
    limit_entry_ = scheduler_.at<&LinkDirection::limit_event>(arrival + deferral_limit_, this);
  }
}

void LinkDirection::grow_ring() {
  std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(ring_first_), ring_.end());
  ring_first_ = 0;
  ring_.resize(2 * ring_.size());
}

void LinkDirection::deliver_deferred() {
  const base::Time now = scheduler_.now();
  while (ring_count_ != 0 && ring_[ring_first_].arrival <= now) {
    tlm::tlm_generic_payload& payload = *ring_[ring_first_].payload;
    ring_first_ = (ring_first_ + 1) & (ring_.size() - 1);
    --ring_count_;
    ends_.arrived(payload, TrafficClass::kPosted);
  }
}

void LinkDirection::deliver_promptly(bool promptly) {
  promptly_ = promptly;
  if (!promptly || ring_count_ == 0 || scheduler_.pending(prompt_entry_)) return;
  prompt_entry_ = scheduler_.at<&LinkDirection::prompt_event>(
      std::max(scheduler_.now(), ring_[ring_first_].arrival), this);
}

void LinkDirection::prompt_event() {
  deliver_deferred();
  deliver_promptly(promptly_);
}

void LinkDirection::limit_event() {
  deliver_deferred();
  if (ring_count_ != 0 && !scheduler_.pending(limit_entry_)) {
    limit_entry_ = scheduler_.at<&LinkDirection::limit_event>(
        ring_[ring_first_].arrival + deferral_limit_, this);
  }
}

base::Time LinkDirection::drained_at() const {
  std::uint64_t held = 0;
  for (const Node* node = held_; node != nullptr; node = node->next_held) {
    held += node->transfer.segments.wire_bytes();
  }
  return wire_.drained_at(held);
}

void LinkDirection::set_timing(base::Pace pace, base::Time delay) {
  wire_.advance(scheduler_.now());
  collect_finished();
  forecast();
  wire_.set_pace(pace);
  delay_ = delay;
}

void LinkDirection::release_held() {
  while (held_ != nullptr && barriers_ == 0) {
    Node* node = held_;
    held_ = node->next_held;
    const Transfer transfer = node->transfer;
    node->next_held = free_;
    free_ = node;
    issue(transfer);
  }
}

LinkDirection::Node* LinkDirection::take_node(const Transfer& transfer) {
  Node* node = free_;
  if (node == nullptr) {
    node = &storage_.emplace_back();
  } else {
    free_ = node->next_held;
  }
  node->segments = transfer.segments;
  node->transfer = transfer;
  node->finished = false;
  node->next_held = nullptr;
  return node;
}

}  // namespace nvmesim::pcie
