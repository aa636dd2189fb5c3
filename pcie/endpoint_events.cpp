// What happens to an endpoint besides traffic: errors, messages, power, resets.
#include "pcie/endpoint.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

// Errors.

void Endpoint::unsupported(const base::GenericPayload& payload, bool posted) {
  ++counters_.unsupported;
  // Of a non-posted request the requester is told by the completion (6.2.3.2.4.1).
  if (powered_) report(UncorrectableError::kUnsupportedRequest, payload, !posted);
}

void Endpoint::report(UncorrectableError error, const base::GenericPayload& payload,
                      bool advisory) {
  const auto message = errors_.report(error, header_of(payload), advisory, header_.system_errors());
  if (message) send_message(*message);
}

void Endpoint::link_error(LinkError error, Direction direction) {
  const bool received = direction == Direction::kDown;
  if (received && error == LinkError::kUnsupportedRequest) ++counters_.unsupported;
  const auto message = errors_.link_error(error, received, header_.system_errors());
  if (message) send_message(*message);
}

// Messages go up whatever bus master says.
void Endpoint::send_message(MessageCode code, std::uint64_t words) {
  if (!powered_) return;
  TlpPayload* payload = start(tlm::TLM_WRITE_COMMAND, words, 0, {});
  payload->extension.kind = TlpKind::kMessage;
  payload->extension.message = code;
  to_link.request(*payload);
}

// Once when software has enabled it, and when the power state changes (6.18).
void Endpoint::tell_latency_tolerance() {
  if (!latency_tolerance_ || !powered_) return;
  const bool wanted = express_.latency_tolerance_enabled() && power_.power_state() == 0;
  if (wanted == tolerance_told_) return;
  tolerance_told_ = wanted;
  const std::uint16_t latency = wanted ? latency_tolerance(config_.latency_tolerance_ns) : 0;
  send_message(MessageCode::kLatencyTolerance, std::uint64_t{latency} << 16 | latency);
}

// Power.

void Endpoint::power_changed() {
  tell_latency_tolerance();
  update_pin();
  if (link_ != nullptr) link_->device_sleeps(power_.power_state() != 0);
  if (power_.power_state() == 0) send_pending();
}

void Endpoint::set_power(bool on) {
  if (on == powered_) return;
  powered_ = on;
  if (on) return;
  drop_requests();
  space_.power_cycle();
  id_ = RequesterId(0);
  tolerance_told_ = false;
  control_written();
  pin_asserted_ = false;
  reset_interrupts();
  deliver_promptly(false);
  if (device_ != nullptr) device_->function_reset();
}

// Resets.

// Everything of the function goes back to its initial state but its number, its payload size and
// what belongs to the link, which stays up (6.6.2).
void Endpoint::function_level_reset() {
  const PciExpressCapability::Kept kept = express_.keep();
  drop_requests();
  space_.reset();
  express_.restore(kept);
  tolerance_told_ = false;
  control_written();
  reset_interrupts();
  deliver_promptly(false);
  if (device_ != nullptr) device_->function_reset();
}

void Endpoint::hot_reset() {
  if (!powered_) return;
  drop_requests();
  space_.reset();
  id_ = RequesterId(0);
  tolerance_told_ = false;
  control_written();
  pin_asserted_ = false;  // nothing can be told: the link is down
  reset_interrupts();
  deliver_promptly(false);
  if (device_ != nullptr) device_->function_reset();
}

void Endpoint::link_down(LinkDownCause) {
  hot_reset();
}

void Endpoint::link_up() {
  if (link_ != nullptr) express_.set_link_status(link_->generation(), link_->lanes(), false);
}

}  // namespace nvmesim::pcie
