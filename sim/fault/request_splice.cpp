#include "sim/fault/request_splice.hpp"

#include <cstring>

namespace nvmesim::fault {
namespace {

// Entries carry a payload in their argument.
std::uint64_t argument_of(tlm::tlm_generic_payload& payload) {
  return reinterpret_cast<std::uint64_t>(&payload);
}
tlm::tlm_generic_payload& payload_of(std::uint64_t argument) {
  return *reinterpret_cast<tlm::tlm_generic_payload*>(argument);
}

}  // namespace

tlm::tlm_sync_enum RequestSplice::forward(Lane& lane, tlm::tlm_generic_payload& payload,
                                          tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  if (phase != tlm::BEGIN_REQ || !applies(lane.direction(), payload)) {
    return lane.pass_forward(payload, phase, delay);
  }
  ++disturbed_;
  if (rule_.action == RequestRule::Action::kChange) {
    rule_.change(payload);
    return lane.pass_forward(payload, phase, delay);
  }
  disturb(lane, payload, base::from_sc_time(sc_core::sc_time_stamp()) + base::from_sc_time(delay));
  phase = tlm::END_REQ;
  return tlm::TLM_UPDATED;
}

bool RequestSplice::applies(Direction direction, const tlm::tlm_generic_payload& payload) {
  if (rule_.when && !rule_.when(direction, payload)) return false;
  ++matched_;
  return matched_ >= rule_.nth && matched_ - rule_.nth < rule_.count;
}

void RequestSplice::disturb(Lane& lane, tlm::tlm_generic_payload& payload, base::Time when) {
  if (lane.direction() == Direction::kDownstream) {
    disturb_in<Direction::kDownstream>(payload, when);
  } else {
    disturb_in<Direction::kUpstream>(payload, when);
  }
}

template <base::Splice::Direction kDirection>
void RequestSplice::disturb_in(tlm::tlm_generic_payload& payload, base::Time when) {
  using Action = RequestRule::Action;
  if (rule_.action == Action::kDrop && !pcie::is_posted(payload)) return;
  if (payload.has_mm()) payload.acquire();  // until the entry below has run
  if (rule_.action == Action::kDelay) {
    scheduler_.at<&RequestSplice::deliver<kDirection>>(when + rule_.delay, this,
                                                       argument_of(payload));
    return;
  }
  if (pcie::is_posted(payload)) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  } else {
    payload.set_response_status(rule_.status);
    if (payload.is_read() && payload.get_data_ptr() != nullptr) {
      std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
    }
  }
  scheduler_.at<&RequestSplice::give_back<kDirection>>(when, this, argument_of(payload));
}

template <base::Splice::Direction kDirection>
void RequestSplice::deliver(std::uint64_t argument) {
  tlm::tlm_generic_payload& payload = payload_of(argument);
  tlm::tlm_phase phase = tlm::BEGIN_REQ;
  sc_core::sc_time delay = scheduler_.ahead();
  const auto answer = lane_of(kDirection).pass_forward(payload, phase, delay);
  const bool ended =
      answer == tlm::TLM_COMPLETED || (answer == tlm::TLM_UPDATED && phase == tlm::BEGIN_RESP);
  if (ended) {  // a foreign target; the sender has its END_REQ and waits for a response
    scheduler_.at<&RequestSplice::give_back<kDirection>>(
        base::from_sc_time(sc_core::sc_time_stamp()) + base::from_sc_time(delay), this, argument);
  } else if (payload.has_mm()) {
    payload.release();
  }
}

template <base::Splice::Direction kDirection>
void RequestSplice::give_back(std::uint64_t argument) {
  tlm::tlm_generic_payload& payload = payload_of(argument);
  tlm::tlm_phase phase = tlm::BEGIN_RESP;
  sc_core::sc_time delay = scheduler_.ahead();
  lane_of(kDirection).pass_backward(payload, phase, delay);
  if (payload.has_mm()) payload.release();
}

}  // namespace nvmesim::fault
