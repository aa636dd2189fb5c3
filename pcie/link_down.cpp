// A link that goes down and comes up, and what it loses; what a fault refuses.
#include <algorithm>
#include <cstring>

#include "pcie/link.hpp"

namespace nvmesim::pcie {
namespace {

// A CPU that reads what is not there sees all ones.
void fill_refused(Direction request_direction, base::GenericPayload& payload) {
  if (request_direction == Direction::kDown && payload.is_read()) {
    std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
  }
}

}  // namespace

void Link::Ends::arrived_cut(tlm::tlm_generic_payload& payload, TrafficClass traffic) {
  Transfer transfer;
  transfer.payload = &payload;
  transfer.traffic = traffic;
  transfer.report_sent =
      traffic == TrafficClass::kPosted && link_.answers_early(payload, tlp_of(payload));
  link_.end_lost({direction_, transfer, true, true});
}

// Call-backs come from an entry, never inside the call that sent.
void Link::lose(const Lost& lost) {
  lost_.push_back(lost);
  scheduler_.at<&Link::lost_event>(scheduler_.now(), this);
}

void Link::lost_event() {
  const Lost lost = lost_.front();
  lost_.pop_front();
  end_lost(lost);
}

void Link::end_lost(const Lost& lost) {
  base::GenericPayload& payload = *lost.transfer.payload;
  withdraw_forwarded(lost.direction, payload);
  if (lost.transfer.traffic == TrafficClass::kPosted) {
    payload.set_response_status(kStatusUnsupportedRequest);
    if (!lost.reported) answer(lost.direction, payload);
    end_posted(lost.direction, payload);
    return;
  }
  ++events_.lost_requests;
  if (!lost.link_down || config_.lost_requests == LostRequests::unanswered) return;
  refuse(lost.transfer.traffic == TrafficClass::kCompletion ? opposite(lost.direction)
                                                            : lost.direction,
         payload);
}

// The receiver answers, in no time, by the other direction.
void Link::Ends::refused(const Transfer& transfer, bool abort) {
  base::GenericPayload& payload = *transfer.payload;
  error(abort ? LinkError::kCompleterAbort : LinkError::kUnsupportedRequest);
  link_.withdraw_forwarded(direction_, payload);
  payload.set_response_status(abort ? kStatusCompleterAbort : kStatusUnsupportedRequest);
  fill_refused(direction_, payload);
  link_.accept_response(direction_, payload);
}

void Link::refuse(Direction request_direction, base::GenericPayload& payload) {
  payload.set_response_status(kStatusUnsupportedRequest);
  fill_refused(request_direction, payload);
  answer(request_direction, payload);
}

// What has arrived is delivered; the rest runs to its end for itself, and is lost there.
void Link::cut_burst(Direction direction) {
  const std::size_t d = index_of(direction);
  std::unique_ptr<Burst>& burst = burst_[d];
  burst->direction.deliver_arrived();
  burst->direction.deliver_promptly(true);
  burst->ends.cut();
  burst->over = std::max(scheduler_.now(), burst->direction.drained_at()) + one_way_delay() +
                2 * deferral_limit();
  events_.deferred_before[d] += burst->direction.deferred_count();
  cut_.push_back(std::move(burst));
  burst = std::make_unique<Burst>(*this, direction);
  burst->direction.deliver_promptly(promptly_[d]);
  if (forwarders_[d] != nullptr) burst->direction.report_heads();
}

void Link::surprise_event() {
  training_.surprise_down();
}

void Link::trained_down(LinkDownCause cause) {
  ++events_.downs;
  recovering_ = holding_ = false;
  scheduler_.cancel(recovery_);
  scheduler_.cancel(switch_);
  update_attention();
  std::erase_if(cut_, [now = scheduler_.now()](const auto& burst) { return burst->over < now; });
  for (const Direction direction : kBothDirections) {
    const std::size_t d = index_of(direction);
    cut_burst(direction);
    scheduler_.cancel(release_[d]);
  }
  for (LinkListener* listener : listeners_) listener->link_down(cause);
  for (const Direction direction : kBothDirections) {
    const std::size_t d = index_of(direction);
    if (tlp_[d] != nullptr) tlp_[d]->reset();
    for (const Transfer& transfer : held_[d]) {
      if (transfer.announced_tlps == 0) lose({direction, transfer, !transfer.report_sent, true});
    }
    held_[d].clear();
  }
}

void Link::trained_up() {
  apply_timing();
  update_attention();
  for (LinkListener* listener : listeners_) listener->link_up();
}

void Link::disable() {
  training_.disable();
}
void Link::enable() {
  training_.enable();
}
void Link::hot_reset() {
  training_.hot_reset();
}
void Link::surprise_down() {
  training_.surprise_down();
}

}  // namespace nvmesim::pcie
