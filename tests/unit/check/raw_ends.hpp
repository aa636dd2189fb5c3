// Bare TLM ends for what is spliced between them: they do what a test tells them, right or wrong,
// without the manners of base::TargetSocket and base::InitiatorSocket.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "pcie/tlp.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::tests {

using Payload = tlm::tlm_generic_payload;

struct RawInitiator : sc_core::sc_module, private tlm::tlm_bw_transport_if<> {
  tlm::tlm_initiator_socket<64> socket{"socket"};
  // By default a response is taken and the payload released.
  std::function<tlm::tlm_sync_enum(Payload&, tlm::tlm_phase&, sc_core::sc_time&)> backward =
      [](Payload& payload, tlm::tlm_phase&, sc_core::sc_time&) {
        payload.release();
        return tlm::TLM_COMPLETED;
      };

  RawInitiator(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), scheduler_(scheduler) {
    socket.bind(static_cast<tlm::tlm_bw_transport_if<>&>(*this));
  }

  tlm::tlm_sync_enum send(Payload& payload, tlm::tlm_phase phase = tlm::BEGIN_REQ) {
    sc_core::sc_time delay = scheduler_.ahead();
    return socket->nb_transport_fw(payload, phase, delay);
  }

 private:
  tlm::tlm_sync_enum nb_transport_bw(Payload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) override {
    return backward(payload, phase, delay);
  }
  void invalidate_direct_mem_ptr(sc_dt::uint64, sc_dt::uint64) override {}
  base::Scheduler& scheduler_;
};

struct RawTarget : sc_core::sc_module, private tlm::tlm_fw_transport_if<> {
  tlm::tlm_target_socket<64> socket{"socket"};
  // By default a request is accepted and answered with success after 100 ns.
  std::function<tlm::tlm_sync_enum(Payload&, tlm::tlm_phase&, sc_core::sc_time&)> forward =
      [this](Payload& payload, tlm::tlm_phase& phase, sc_core::sc_time&) {
        answer(payload, 100ns);
        phase = tlm::END_REQ;
        return tlm::TLM_UPDATED;
      };
  // Done to a payload just before its response.
  std::function<void(Payload&)> before_response = [](Payload& payload) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  };

  RawTarget(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), scheduler_(scheduler) {
    socket.bind(static_cast<tlm::tlm_fw_transport_if<>&>(*this));
  }

  void answer(Payload& payload, base::Time delay) {
    scheduler_.at<&RawTarget::respond_entry>(scheduler_.now() + delay, this,
                                             reinterpret_cast<std::uint64_t>(&payload));
  }
  void respond(Payload& payload) {
    before_response(payload);
    back(payload, tlm::BEGIN_RESP);
  }
  tlm::tlm_sync_enum back(Payload& payload, tlm::tlm_phase phase) {
    sc_core::sc_time delay = scheduler_.ahead();
    return socket->nb_transport_bw(payload, phase, delay);
  }

 private:
  void respond_entry(std::uint64_t payload) { respond(*reinterpret_cast<Payload*>(payload)); }
  tlm::tlm_sync_enum nb_transport_fw(Payload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) override {
    return forward(payload, phase, delay);
  }
  void b_transport(Payload& payload, sc_core::sc_time&) override {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  bool get_direct_mem_ptr(Payload&, tlm::tlm_dmi&) override { return true; }
  unsigned transport_dbg(Payload& payload) override { return payload.get_data_length(); }
  base::Scheduler& scheduler_;
};

// Runs functions at given times.
class Script {
 public:
  explicit Script(base::Scheduler& scheduler) : scheduler_(scheduler) {}
  void at(base::Time when, std::function<void()> step) {
    steps_.push_back(std::move(step));
    scheduler_.at<&Script::run>(when, this, steps_.size() - 1);
  }

 private:
  void run(std::uint64_t step) { steps_[step](); }
  base::Scheduler& scheduler_;
  std::deque<std::function<void()>> steps_;
};

// A request whose data lies in the payload itself (at most 64 bytes) or in `data`.
inline pcie::TlpPayload& make_request(pcie::TlpPool& pool, tlm::tlm_command command,
                                      std::uint64_t address, std::size_t bytes,
                                      unsigned char* data = nullptr) {
  pcie::TlpPayload& payload = *pool.take();
  if (data == nullptr) {
    payload.inline_data.fill(0);
    data = payload.inline_data.data();
  }
  base::set_access(payload, command, address, data, bytes);
  return payload;
}

}  // namespace nvmesim::tests
