#include "pcie/root_port.hpp"

#include "pcie/root_complex.hpp"

namespace nvmesim::pcie {
namespace {

constexpr Identity kIdentity{0x8086, 0x2030, 0, 0, 0x060400, 0};
// What the port could do; the link in front of it decides.
constexpr PciExpressCapability::Link kWidest{5, 16, 4096};

}  // namespace

RootPort::RootPort(sc_core::sc_module_name name, RootComplex& root, base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      to_link("to_link", this, scheduler),
      from_link("from_link", this, scheduler),
      root_(root),
      scheduler_(scheduler),
      header_(space_, kIdentity),
      express_(space_, PciExpressPort::kRootPort, kWidest, {}) {}

void RootPort::request_from_link(base::GenericPayload& payload) {
  root_.request_from_port(*this, payload);
}
void RootPort::response_from_link(base::GenericPayload& payload) {
  root_.response_from_port(payload);
}
unsigned RootPort::debug_from_link(base::GenericPayload& payload) {
  return root_.debug_from_port(payload);
}

void RootPort::refuse(base::GenericPayload& payload) {
  payload.set_response_status(kStatusUnsupportedRequest);
  if (is_posted(payload)) {
    from_link.respond(payload);
  } else {
    scheduler_.at<&RootPort::refuse_event>(scheduler_.now(), this,
                                           reinterpret_cast<std::uint64_t>(&payload));
  }
}

void RootPort::refuse_event(std::uint64_t payload) {
  from_link.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

}  // namespace nvmesim::pcie
