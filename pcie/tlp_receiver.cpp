// The receiver of pcie/tlp_direction.hpp: data link layer, receive buffer, delivery.
#include <algorithm>

#include "pcie/tlp_direction.hpp"

namespace nvmesim::pcie {
namespace {

// Credits are repeated at least so often (2.6.1.2), which is how a lost update is made good.
constexpr base::Time kCreditRefresh = 30us;

}  // namespace

void TlpDirection::arrival(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  const Flight flight = flights_.front();
  flights_.pop_front();
  // Without a delay it has left the wire in this instant: who waits for that hears of it first.
  if (scheduler_.now() >= free_at_) end_running();
  if (flight.fault.corrupt) {
    ++counters_.bad_tlps;
    ends_.error(LinkError::kBadTlp);
    ask_for_replay();
  } else if (flight.sequence == expected_) {
    ++expected_;
    nak_scheduled_ = false;
    ack_due_ = true;
    accept(flight);
    want_dllp();
  } else if (flight.sequence < expected_) {
    ++counters_.duplicates;
    ack_due_ = true;
    want_dllp();
  } else {
    ask_for_replay();
  }
}

// One NAK until a TLP arrives in sequence: those behind the bad one are thrown away in silence.
void TlpDirection::ask_for_replay() {
  if (nak_scheduled_) return;
  nak_scheduled_ = true;
  nak_due_ = true;
  want_dllp();
}

void TlpDirection::accept(const Flight& flight) {
  TlpFlow& flow = *flight.flow;
  if (!credits_.infinite()) {
    credits_.receive(flow.transfer.traffic, flight.credits);
    const Released released{flow.transfer.traffic, flight.credits};
    if (timing_.credit_update_latency == base::kTimeZero) {
      release(released);
    } else {
      released_.push_back(released);
      scheduler_.after<&TlpDirection::release_event>(timing_.credit_update_latency, this, epoch_);
    }
  }
  if (flight.fault.malformed) {
    ++counters_.malformed;
    flow.lost = true;
    ends_.error(LinkError::kMalformedTlp);
  } else if (flight.fault.drop) {
    ++counters_.dropped;
    flow.lost = true;
  } else if (flight.fault.poison) {
    Tlp* tlp = nullptr;
    flow.transfer.payload->get_extension(tlp);
    if (tlp != nullptr && flight.credits.data != 0) tlp->poisoned = true;
  }
  if (flow.transfer.traffic == TrafficClass::kNonPosted) {
    flow.refused |= flight.fault.unsupported;
    flow.aborted |= flight.fault.abort;
  }
  const std::uint32_t tlps = flow.transfer.segments.tlps;
  if (++flow.arrived == tlps) {
    finish(flow);
  } else if (!flow.lost) {
    ends_.coming(*flow.transfer.payload, flow.transfer.traffic, {flow.arrived, tlps});
  }
}

void TlpDirection::finish(TlpFlow& flow) {
  const Transfer transfer = flow.transfer;
  const bool lost = flow.lost;
  const bool refused = flow.refused || flow.aborted;
  const bool aborted = flow.aborted;
  const bool withdrawn = flow.withdrawn;
  const bool kept = flow.kept;
  free_flow(flow);
  if (withdrawn) {
    // Its sender knows.
  } else if (lost) {
    ends_.lost(transfer, true);
  } else if (refused) [[unlikely]] {
    ++counters_.refused;
    ends_.refused(transfer, aborted);
  } else {
    ends_.arrived(*transfer.payload, transfer.traffic);
  }
  if (kept) transfer.payload->release();
}

void TlpDirection::release_event(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  const Released released = released_.front();
  released_.pop_front();
  release(released);
}

void TlpDirection::release(const Released& released) {
  credits_urgent_ |= credits_.release(released.traffic, released.credits);
  credits_due_ = true;
  want_dllp();
}

void TlpDirection::refresh_credits(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  credits_urgent_ = true;
  want_dllp();
}

void TlpDirection::carry_dllp(const Dllp& dllp, base::Time end) {
  dllps_.push_back(dllp);
  scheduler_.at<&TlpDirection::dllp_event>(end + timing_.delay, this, epoch_);
  if (dllp.corrupt && dllp.has_credits && !credits_.infinite()) {
    scheduler_.at<&TlpDirection::refresh_credits>(end + kCreditRefresh, this, epoch_);
  }
}

}  // namespace nvmesim::pcie
