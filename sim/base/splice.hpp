// A module that sits between bound sockets and passes every call of the base protocol on as it is:
// same payload, phase, delay and answer, no time, no Scheduler entry. What watches or disturbs the
// traffic derives from it and overrides forward() or backward().
//
//   link.to_endpoint.bind(splice.downstream.in);   splice.downstream.out.bind(endpoint.from_link);
//   endpoint.to_link.bind(splice.upstream.in);     splice.upstream.out.bind(link.from_endpoint);
//
// A lane whose two sockets are left unbound is not there: one direction may be spliced alone.
#pragma once

#include <string>

#include "sim/base/sockets.hpp"
#include "sim/base/systemc.hpp"

namespace nvmesim::base {

class Splice : public sc_core::sc_module {
 public:
  // kDownstream: requests towards the device. kUpstream: requests from it.
  enum class Direction : unsigned char { kDownstream, kUpstream };

  class Lane : private OwnTarget, private tlm::tlm_bw_transport_if<> {
   public:
    using In =
        tlm::tlm_target_socket<64, tlm::tlm_base_protocol_types, 1, sc_core::SC_ZERO_OR_MORE_BOUND>;
    using Out = tlm::tlm_initiator_socket<64, tlm::tlm_base_protocol_types, 1,
                                          sc_core::SC_ZERO_OR_MORE_BOUND>;
    In in;    // takes requests
    Out out;  // passes them on

    Lane(const char* name, Splice& splice, Direction direction)
        : in((std::string(name) + "_in").c_str()),
          out((std::string(name) + "_out").c_str()),
          splice_(splice),
          direction_(direction) {
      in.bind(static_cast<tlm::tlm_fw_transport_if<>&>(*this));
      out.bind(static_cast<tlm::tlm_bw_transport_if<>&>(*this));
    }

    Direction direction() const { return direction_; }
    tlm::tlm_sync_enum pass_forward(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                    sc_core::sc_time& delay) {
      return out->nb_transport_fw(payload, phase, delay);
    }
    tlm::tlm_sync_enum pass_backward(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) {
      return in->nb_transport_bw(payload, phase, delay);
    }

   private:
    bool answers_in_entries() const override {
      const auto* behind = dynamic_cast<const OwnTarget*>(out.operator->());
      return behind != nullptr && behind->answers_in_entries();
    }
    tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                       sc_core::sc_time& delay) override {
      return splice_.forward(*this, payload, phase, delay);
    }
    tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                       sc_core::sc_time& delay) override {
      return splice_.backward(*this, payload, phase, delay);
    }
    void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) override {
      splice_.blocking(*this, payload, delay);
    }
    unsigned transport_dbg(tlm::tlm_generic_payload& payload) override {
      return out->transport_dbg(payload);
    }
    // Refused: accesses by pointer would pass by whoever watches.
    bool get_direct_mem_ptr(tlm::tlm_generic_payload&, tlm::tlm_dmi&) override { return false; }
    void invalidate_direct_mem_ptr(sc_dt::uint64 first, sc_dt::uint64 last) override {
      in->invalidate_direct_mem_ptr(first, last);
    }

    Splice& splice_;
    Direction direction_;
  };

  explicit Splice(sc_core::sc_module_name name)
      : sc_core::sc_module(name),
        downstream("downstream", *this, Direction::kDownstream),
        upstream("upstream", *this, Direction::kUpstream) {}

  Lane downstream;
  Lane upstream;

 protected:
  // A call on the request path; the one who overrides passes it on with lane.pass_forward().
  virtual tlm::tlm_sync_enum forward(Lane& lane, tlm::tlm_generic_payload& payload,
                                     tlm::tlm_phase& phase, sc_core::sc_time& delay) {
    return lane.pass_forward(payload, phase, delay);
  }
  virtual tlm::tlm_sync_enum backward(Lane& lane, tlm::tlm_generic_payload& payload,
                                      tlm::tlm_phase& phase, sc_core::sc_time& delay) {
    return lane.pass_backward(payload, phase, delay);
  }
  virtual void blocking(Lane& lane, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    lane.out->b_transport(payload, delay);
  }
};

}  // namespace nvmesim::base
