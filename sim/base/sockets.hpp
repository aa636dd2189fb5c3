// TLM-2.0 sockets as every room uses them: the non-blocking transport of the base protocol, with
// member functions named at compile time. Blocking transport and DMI are refused.
//
//   class Link : public sc_core::sc_module {
//     void request_from_root(base::GenericPayload&);    // declared before the sockets that name
//     them unsigned debug_from_root(base::GenericPayload&);
//    public:
//     base::TargetSocket<Link, &Link::request_from_root, &Link::debug_from_root> from_root;
//   };                                                  // from_root("from_root", this, scheduler)
//
// A request handler returns nothing: the socket has answered END_REQ for it. Rules of the seam:
//   request():  BEGIN_REQ at the instant of its effect; back comes exactly one response: of a
//   posted
//               write perhaps inside the call (it only gives the payload back), else later.
//   respond():  BEGIN_RESP when the last byte arrived; answered with TLM_COMPLETED.
// The delay argument says how far Scheduler::now() is ahead of SystemC's clock. A call that comes
// from a foreign process (not from inside an entry) is turned into an entry at its instant; those
// of one instant in the order of the requests, whatever order SystemC ran the processes in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/assert.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/systemc.hpp"

namespace nvmesim::base {

using GenericPayload = tlm::tlm_generic_payload;

// What tells our own targets from foreign ones: ours call back from entries. It derives from the
// interface that an initiator is bound to, so that the initiator can ask for it.
class OwnTarget : public tlm::tlm_fw_transport_if<> {
 public:
  // A splice answers for what is bound behind it.
  virtual bool answers_in_entries() const { return true; }

 protected:
  OwnTarget() = default;
  ~OwnTarget() override = default;
};

// Two sockets of this file that are bound to each other, with nothing between them that wants to
// see phases and delays: inside an entry these are always the same, and the call goes straight to
// the owner.
class DirectTarget : public OwnTarget {
 public:
  virtual void take_request(GenericPayload& payload) = 0;
};
class DirectInitiator : public tlm::tlm_bw_transport_if<> {
 public:
  virtual void take_response(GenericPayload& payload) = 0;

 protected:
  DirectInitiator() = default;
  ~DirectInitiator() override = default;
};

enum class BoundTo : std::uint8_t { kUnknown, kOwn, kForeign };

template <class Owner, void (Owner::*Request)(GenericPayload&),
          unsigned (Owner::*Debug)(GenericPayload&)>
class TargetSocket : public tlm::tlm_target_socket<64>, private DirectTarget {
 public:
  TargetSocket(const char* name, Owner* owner, Scheduler& scheduler)
      : tlm::tlm_target_socket<64>(name),
        owner_(owner),
        scheduler_(scheduler),
        rank_(scheduler.new_rank()) {
    this->bind(static_cast<tlm::tlm_fw_transport_if<>&>(*this));
  }

  // Ends the transaction: BEGIN_RESP towards the initiator, at now().
  void respond(GenericPayload& payload) {
    if (direct_ != nullptr && scheduler_.in_entry()) [[likely]] {
      direct_->take_response(payload);
    } else {
      respond_by_transport(payload);
    }
  }

 private:
  [[gnu::cold, gnu::noinline]] void respond_by_transport(GenericPayload& payload) {
    if (!looked_) look_at_initiator();
    scheduler_.calls_foreign();  // a splice between may have something done by SystemC
    tlm::tlm_phase phase = tlm::BEGIN_RESP;
    sc_core::sc_time delay = scheduler_.ahead();
    const auto answer = (*this)->nb_transport_bw(payload, phase, delay);
    // A foreign initiator may send END_RESP later instead; nothing waits for it.
    NVMESIM_ASSERT(answer != tlm::TLM_UPDATED || phase == tlm::END_RESP,
                   "an initiator answered a response with something else than END_RESP");
  }
  void take_request(GenericPayload& payload) override { (owner_->*Request)(payload); }
  tlm::tlm_sync_enum nb_transport_fw(GenericPayload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) override {
    if (phase == tlm::BEGIN_REQ && scheduler_.in_entry() && delay == scheduler_.ahead()) {
      phase = tlm::END_REQ;
      (owner_->*Request)(payload);
      return tlm::TLM_UPDATED;
    }
    return take_foreign(payload, phase, delay);
  }
  tlm::tlm_sync_enum take_foreign(GenericPayload& payload, tlm::tlm_phase& phase,
                                  const sc_core::sc_time& delay) {
    if (phase == tlm::END_RESP) return tlm::TLM_COMPLETED;
    NVMESIM_ASSERT(phase == tlm::BEGIN_REQ, "a target was sent something else than BEGIN_REQ");
    phase = tlm::END_REQ;
    if (payload.has_mm()) payload.acquire();
    scheduler_.at_ranked(from_sc_time(sc_core::sc_time_stamp() + delay),
                         {call_owner, this, reinterpret_cast<std::uint64_t>(&payload)}, rank_);
    return tlm::TLM_UPDATED;
  }
  static void call_owner(void* self, std::uint64_t argument) {
    auto& payload = *reinterpret_cast<GenericPayload*>(argument);
    (static_cast<TargetSocket*>(self)->owner_->*Request)(payload);
    if (payload.has_mm()) payload.release();
  }
  void look_at_initiator() {
    looked_ = true;
    direct_ = dynamic_cast<DirectInitiator*>((*this).operator->());
  }
  void b_transport(GenericPayload& payload, sc_core::sc_time&) override {
    payload.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
  }
  bool get_direct_mem_ptr(GenericPayload&, tlm::tlm_dmi&) override { return false; }
  unsigned transport_dbg(GenericPayload& payload) override { return (owner_->*Debug)(payload); }

  Owner* owner_;
  Scheduler& scheduler_;
  std::uint64_t rank_;
  DirectInitiator* direct_ = nullptr;  // what is bound, if it is one
  bool looked_ = false;
};

template <class Owner, void (Owner::*Response)(GenericPayload&)>
class InitiatorSocket : public tlm::tlm_initiator_socket<64>, private DirectInitiator {
 public:
  InitiatorSocket(const char* name, Owner* owner, Scheduler& scheduler)
      : tlm::tlm_initiator_socket<64>(name), owner_(owner), scheduler_(scheduler) {
    this->bind(static_cast<tlm::tlm_bw_transport_if<>&>(*this));
  }

  // Begins a transaction at now(). The response comes as a call of Response, always later.
  void request(GenericPayload& payload) {
    if (direct_ != nullptr && scheduler_.in_entry()) [[likely]] {
      direct_->take_request(payload);
    } else {
      request_by_transport(payload);
    }
  }

 private:
  struct Open {
    GenericPayload* payload;
    std::uint64_t rank;
  };

  [[gnu::cold, gnu::noinline]] void request_by_transport(GenericPayload& payload) {
    if (target_ != BoundTo::kOwn) remember(payload);
    scheduler_.calls_foreign();  // as respond_by_transport()
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay = scheduler_.ahead();
    const auto answer = (*this)->nb_transport_fw(payload, phase, delay);
    if (answer == tlm::TLM_COMPLETED) {  // a foreign target may finish early
      respond_at(payload, delay, &InitiatorSocket::call_owner);
    } else if (answer == tlm::TLM_UPDATED && phase == tlm::BEGIN_RESP) {
      respond_at(payload, delay, &InitiatorSocket::end_response);
    }
  }
  void take_response(GenericPayload& payload) override { (owner_->*Response)(payload); }

  // Requests to a foreign target are ranked, so that its responses of one instant are taken in the
  // order of the requests: its processes may run in any order.
  void remember(GenericPayload& payload) {
    if (target_ == BoundTo::kUnknown) {
      auto* bound = dynamic_cast<OwnTarget*>((*this).operator->());
      direct_ = dynamic_cast<DirectTarget*>(bound);
      const bool own = bound != nullptr && bound->answers_in_entries();
      target_ = own ? BoundTo::kOwn : BoundTo::kForeign;
      if (own) return;
    }
    open_.push_back({&payload, scheduler_.new_rank()});
  }
  std::uint64_t forget(GenericPayload& payload) {
    const auto found = std::find_if(open_.begin(), open_.end(),
                                    [&](const Open& open) { return open.payload == &payload; });
    if (found == open_.end()) return 0;
    const std::uint64_t rank = found->rank;
    open_.erase(found);
    return rank;
  }

  // A response that did not come from inside an entry, or came early, becomes an entry.
  void respond_at(GenericPayload& payload, const sc_core::sc_time& delay,
                  Callback::Function function) {
    scheduler_.at_ranked(from_sc_time(sc_core::sc_time_stamp() + delay),
                         {function, this, reinterpret_cast<std::uint64_t>(&payload)},
                         forget(payload));
  }
  static void call_owner(void* self, std::uint64_t argument) {
    auto* socket = static_cast<InitiatorSocket*>(self);
    (socket->owner_->*Response)(*reinterpret_cast<GenericPayload*>(argument));
  }
  // BEGIN_RESP came as the answer of a request: the target waits for END_RESP.
  static void end_response(void* self, std::uint64_t argument) {
    auto* socket = static_cast<InitiatorSocket*>(self);
    tlm::tlm_phase phase = tlm::END_RESP;
    sc_core::sc_time delay = socket->scheduler_.ahead();
    socket->scheduler_.calls_foreign();
    (*socket)->nb_transport_fw(*reinterpret_cast<GenericPayload*>(argument), phase, delay);
    call_owner(self, argument);
  }

  tlm::tlm_sync_enum nb_transport_bw(GenericPayload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) override {
    if (phase == tlm::BEGIN_RESP && target_ == BoundTo::kOwn && scheduler_.in_entry() &&
        delay == scheduler_.ahead()) {
      (owner_->*Response)(payload);
      return tlm::TLM_COMPLETED;
    }
    return take_foreign(payload, phase, delay);
  }
  tlm::tlm_sync_enum take_foreign(GenericPayload& payload, const tlm::tlm_phase& phase,
                                  const sc_core::sc_time& delay) {
    if (phase == tlm::END_REQ) return tlm::TLM_ACCEPTED;  // a foreign target accepted late
    NVMESIM_ASSERT(phase == tlm::BEGIN_RESP,
                   "an initiator was sent something else than a response");
    respond_at(payload, delay, &InitiatorSocket::call_owner);
    return tlm::TLM_COMPLETED;
  }
  void invalidate_direct_mem_ptr(sc_dt::uint64, sc_dt::uint64) override {}

  Owner* owner_;
  Scheduler& scheduler_;
  DirectTarget* direct_ = nullptr;  // what is bound, if it is one
  BoundTo target_ = BoundTo::kUnknown;
  std::vector<Open> open_;  // requests to a foreign target, oldest first
};

}  // namespace nvmesim::base
