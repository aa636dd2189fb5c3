#include "pcie/root_port.hpp"

#include <algorithm>

#include "pcie/root_complex.hpp"

namespace nvmesim::pcie {
namespace {

constexpr Identity kRootPortIdentity{0x8086, 0x2030, 0, 0, 0x060400, 0};
// What the port could do; the link in front of it decides.
constexpr PciExpressCapability::Link kRootPortWidest{5, 16, 4096};

}  // namespace

RootPort::RootPort(sc_core::sc_module_name name, unsigned index, RootComplex& root,
                   base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      to_link("to_link", this, scheduler),
      from_link("from_link", this, scheduler),
      index_(index),
      root_(root),
      scheduler_(scheduler),
      header_(space_, kRootPortIdentity,
              base::Callback::of<&RootPort::bridge_control_written>(this)),
      express_(space_, PciExpressPort::kRootPort, kRootPortWidest,
               {{},
                {},
                base::Callback::of<&RootPort::slot_control_written>(this),
                base::Callback::of<&RootPort::link_control_written>(this)},
               10),
      msi_(space_, 1, {}),
      advanced_error_(space_, true),
      errors_(express_, advanced_error_) {}

void RootPort::request_from_link(base::GenericPayload& payload) {
  root_.request_from_port(*this, payload);
}
void RootPort::response_from_link(base::GenericPayload& payload) {
  root_.response_from_port(*this, payload);
}
unsigned RootPort::debug_from_link(base::GenericPayload& payload) {
  return root_.debug_from_port(payload);
}

void RootPort::refuse(base::GenericPayload& payload) {
  const bool posted = is_posted(payload);
  report(UncorrectableError::kUnsupportedRequest, header_of(payload), !posted);
  payload.set_response_status(kStatusUnsupportedRequest);
  if (posted) {
    from_link.respond(payload);
  } else {
    scheduler_.at<&RootPort::refuse_event>(scheduler_.now(), this,
                                           reinterpret_cast<std::uint64_t>(&payload));
  }
}

void RootPort::refuse_event(std::uint64_t payload) {
  from_link.respond(*reinterpret_cast<base::GenericPayload*>(payload));
}

// Messages from below.

void RootPort::message(base::GenericPayload& payload) {
  const Tlp& tlp = tlp_of(payload);
  const auto code = static_cast<unsigned>(tlp.message);
  const auto assert_a = static_cast<unsigned>(MessageCode::kAssertIntA);
  switch (tlp.message) {
    case MessageCode::kErrorCorrectable:
    case MessageCode::kErrorNonFatal:
    case MessageCode::kErrorFatal:
      if (header_.forwards_errors()) error_received(tlp.message, tlp.requester);
      break;
    case MessageCode::kLatencyTolerance:
      latency_tolerance_ = static_cast<std::uint32_t>(payload.get_address());
      power_.set_tolerance_ns(told_tolerance_ns(latency_tolerance_));
      break;
    default:
      if (code >= assert_a && code < assert_a + 8) {
        pin(code % 4, tlp.requester, code < assert_a + 4);
      }
      break;
  }
  payload.set_response_status(kStatusSuccessful);
  from_link.respond(payload);
}

void RootPort::pin(unsigned pin, RequesterId source, bool asserted) {
  auto& sources = pins_[pin];
  const bool before = !sources.empty();
  std::erase(sources, source);
  if (asserted) sources.push_back(source);
  if (before == !sources.empty()) return;
  root_.host_.pin_interrupt(4 * index_ + pin, asserted);
}

void RootPort::error_received(MessageCode code, RequesterId source) {
  ++error_messages_;
  if (!advanced_error_.root_received(code, source) || !msi_.enabled()) return;
  root_.host_.message_interrupt(msi_.address(), msi_.data(0));
}

void RootPort::register_statistics(base::StatisticsRegistry& registry,
                                   std::string_view prefix) const {
  registry.add(std::string(prefix) + ".error_messages", "1",
               "errors that the port has met, or was told of from below", error_messages_);
  errors_.register_statistics(registry, prefix);
}

// The link.

void RootPort::set_link(Link& link) {
  link_ = &link;
  link.add_listener(*this);
  express_.describe({link.config().generation, link.config().lanes,
                     kRootPortWidest.max_payload_bytes, link.config().power});
  express_.set_link_status(link.generation(), link.lanes(), link.up());
  power_.attach(link, Direction::kDown);
}

void RootPort::link_up() {
  if (link_ != nullptr) express_.set_link_status(link_->generation(), link_->lanes(), true);
}

void RootPort::link_control_written() {
  if (link_ == nullptr) return;
  power_.update();
  link_->obey(express_);
}

void RootPort::link_down(LinkDownCause cause) {
  if (link_ != nullptr) express_.set_link_status(link_->generation(), link_->lanes(), false);
  latency_tolerance_ = 0;
  power_.set_tolerance_ns({});
  for (unsigned pin = 0; pin < pins_.size(); ++pin) {
    if (pins_[pin].empty()) continue;
    pins_[pin].clear();
    root_.host_.pin_interrupt(4 * index_ + pin, false);
  }
  if (cause != LinkDownCause::kSurprise) return;
  report(UncorrectableError::kSurpriseDown, TlpHeader{}, false);
}

void RootPort::link_error(LinkError error, Direction direction) {
  const auto message =
      errors_.link_error(error, direction == Direction::kUp, header_.system_errors());
  if (message) error_received(*message, id());
}

void RootPort::report(UncorrectableError error, const TlpHeader& header, bool advisory) {
  const auto message = errors_.report(error, header, advisory, header_.system_errors());
  if (message) error_received(*message, id());
}

// What software does to what hangs below.

void RootPort::bridge_control_written() {
  const bool before = in_reset_;
  in_reset_ = header_.secondary_reset();
  if (!in_reset_ || before) return;
  link_down(LinkDownCause::kHotReset);
  if (below_ != nullptr) below_->hot_reset();
}

void RootPort::slot_control_written() {
  const bool on = !express_.slot_power_off();
  if (on == powered_) return;
  powered_ = on;
  if (!on) link_down(LinkDownCause::kDisabled);
  if (below_ != nullptr) below_->set_power(on);
}

}  // namespace nvmesim::pcie
