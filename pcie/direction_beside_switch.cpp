// One direction of a link beside a switch, whole transfers: what goes ahead of a transfer's last
// TLP.
#include <algorithm>

#include "pcie/direction.hpp"

namespace nvmesim::pcie {

void LinkDirection::send_beside_switch(const Transfer& transfer) {
  if (transfer.announced_tlps != 0) {
    begin_announced(transfer);
  } else if (barriers_ != 0) {
    hold(transfer);
  } else {
    issue_beside_switch(transfer);
  }
}

void LinkDirection::issue_beside_switch(const Transfer& transfer) {
  if (Node* node = take_announced(*transfer.payload)) {
    end_announced(*node, transfer);
  } else if (reports_heads_ && transfer.segments.tlps > 1) {
    issue_head(transfer);
  } else {
    issue(transfer);
  }
}

// The first TLP goes at the next boundary, so that its end is known, and the others follow.
void LinkDirection::issue_head(const Transfer& transfer) {
  const auto payload = reinterpret_cast<std::uint64_t>(transfer.payload);
  const base::Time end = wire_.send_short(scheduler_.now(), transfer.segments.full_bytes);
  const base::Time arrival = end + delay_;
  switch (transfer.traffic) {
    case TrafficClass::kPosted:
      scheduler_.at<&LinkDirection::head_event<TrafficClass::kPosted>>(arrival, this, payload);
      break;
    case TrafficClass::kNonPosted:
      scheduler_.at<&LinkDirection::head_event<TrafficClass::kNonPosted>>(arrival, this, payload);
      break;
    case TrafficClass::kCompletion:
      scheduler_.at<&LinkDirection::head_event<TrafficClass::kCompletion>>(arrival, this, payload);
      break;
  }
  Transfer rest = transfer;
  --rest.segments.tlps;
  issue(rest);
}

template <TrafficClass kTraffic>
void LinkDirection::head_event(std::uint64_t payload) {
  ends_.coming(*reinterpret_cast<tlm::tlm_generic_payload*>(payload), kTraffic, kAllButLast);
}

// It is nobody's barrier: what must stay behind it comes after its last TLP.
void LinkDirection::begin_announced(const Transfer& transfer) {
  const bool known = std::any_of(announced_.begin(), announced_.end(), [&](const Node* node) {
    return node->transfer.payload == transfer.payload;
  });
  if (known) return;
  Node* node = take_node(transfer);
  announced_.push_back(node);
  node->announced = true;
  --node->segments.tlps;
  node->segments.last_bytes = node->segments.full_bytes;
  if (transfer.is_short) {
    wire_.send_short(scheduler_.now(), node->segments.wire_bytes());
    node->finished = true;
    if (forecast_ == nullptr) return;
  } else {
    wire_.send_long(scheduler_.now(), *node);
  }
  collect_finished();
  forecast();
}

// The last TLP. If others have not left yet, it goes behind them.
void LinkDirection::end_announced(Node& node, const Transfer& transfer) {
  wire_.advance(scheduler_.now());
  collect_finished();
  if (node.finished) {
    forecast();
    free_node(node);
    Transfer last = transfer;
    last.is_short = true;
    last.segments.tlps = 1;
    issue(last);
    return;
  }
  node.announced = false;
  node.transfer = transfer;
  wire_.extend(node, transfer.segments.last_bytes);
  if (transfer.traffic == TrafficClass::kPosted) ++long_posted_;
  if (is_barrier(transfer)) ++barriers_;
  forecast();
}

LinkDirection::Node* LinkDirection::take_announced(const tlm::tlm_generic_payload& payload) {
  const auto found = std::find_if(announced_.begin(), announced_.end(), [&](const Node* node) {
    return node->transfer.payload == &payload;
  });
  if (found == announced_.end()) return nullptr;
  Node* node = *found;
  announced_.erase(found);
  return node;
}

void LinkDirection::withdraw(const tlm::tlm_generic_payload& payload) {
  Node* node = take_announced(payload);
  if (node == nullptr) return;
  if (node->finished) {
    free_node(*node);
  } else {
    node->withdrawn = true;
  }
}

}  // namespace nvmesim::pcie
