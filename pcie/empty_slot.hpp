// What a port's sockets are bound to where nothing hangs below it: every request is answered with
// Unsupported Request (reads: all ones), as a port does whose link is down.
#pragma once

#include <cstring>

#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"

namespace nvmesim::pcie {

class EmptySlot : public sc_core::sc_module {
  void request(base::GenericPayload& payload) {
    payload.set_response_status(kStatusUnsupportedRequest);
    if (is_posted(payload)) {
      from_port.respond(payload);
      return;
    }
    if (payload.is_read()) std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
    scheduler_.at<&EmptySlot::answer>(scheduler_.now(), this,
                                      reinterpret_cast<std::uint64_t>(&payload));
  }
  void response(base::GenericPayload&) {}
  unsigned debug(base::GenericPayload&) { return 0; }

 public:
  base::TargetSocket<EmptySlot, &EmptySlot::request, &EmptySlot::debug> from_port;
  base::InitiatorSocket<EmptySlot, &EmptySlot::response> to_port;

  EmptySlot(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name),
        from_port("from_port", this, scheduler),
        to_port("to_port", this, scheduler),
        scheduler_(scheduler) {}

 private:
  void answer(std::uint64_t payload) {
    from_port.respond(*reinterpret_cast<base::GenericPayload*>(payload));
  }
  base::Scheduler& scheduler_;
};

}  // namespace nvmesim::pcie
