// Interrupts of the endpoint: MSI-X, MSI or the pin, whichever software has enabled.
#include <algorithm>

#include "pcie/endpoint.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

bool Endpoint::interrupt_by_pin() const {
  return !(msix_ && msix_->enabled()) && !(msi_ && msi_->enabled());
}

bool Endpoint::interrupt_enabled(VectorId vector) const {
  if (msix_ && msix_->enabled()) [[likely]] {
    return !msix_->function_masked() && !msix_table_.masked(vector) && bus_master();
  }
  if (msi_ && msi_->enabled()) return !msi_->masked(msi_->message_of(vector)) && bus_master();
  return !header_.interrupt_disabled() && !pin_asserted_;
}

void Endpoint::interrupt(VectorId vector) {
  NVMESIM_ASSERT(vector.value() < pin_raised_.size(), "an interrupt of no vector");
  if (msix_ && msix_->enabled()) [[likely]] {
    if (!bus_master()) return;
    if (msix_->function_masked() || msix_table_.masked(vector)) {
      msix_table_.set_pending(vector, true);
    } else {
      const MsixTable::Message message = msix_table_.message(vector);
      send_message_interrupt(message.address, message.data);
    }
  } else if (msi_ && msi_->enabled()) {
    if (!bus_master()) return;
    const unsigned message = msi_->message_of(vector);
    if (msi_->masked(message)) {
      msi_->set_pending(message, true);
    } else {
      send_message_interrupt(msi_->address(), msi_->data(message));
    }
  } else if (pin_raised_[vector.value()] == 0) {
    pin_raised_[vector.value()] = 1;
    ++pin_raised_count_;
    update_pin();
  }
}

void Endpoint::interrupt_served(VectorId vector) {
  if (pin_raised_count_ == 0 || pin_raised_[vector.value()] == 0) return;
  pin_raised_[vector.value()] = 0;
  --pin_raised_count_;
  update_pin();
}

void Endpoint::send_message_interrupt(std::uint64_t address, std::uint32_t data) {
  TlpPayload* payload = start(tlm::TLM_WRITE_COMMAND, address, sizeof(data), {});
  payload->set_inline(&data, sizeof(data));
  launch(*payload);
}

// After a mask or an enable bit has changed.
void Endpoint::send_pending() {
  update_pin();
  if (msi_ && msi_->enabled() && msi_->any_pending()) {
    for (unsigned message = 0; message < msi_->enabled_vectors(); ++message) {
      if (!msi_->pending(message) || msi_->masked(message) || !bus_master()) continue;
      msi_->set_pending(message, false);
      send_message_interrupt(msi_->address(), msi_->data(message));
    }
  }
  if (!(msix_ && msix_->enabled()) || !msix_table_.any_pending()) return;
  for (std::uint16_t i = 0; i < msix_table_.vectors(); ++i) {
    const VectorId vector(i);
    if (!msix_table_.pending(vector) || !interrupt_enabled(vector)) continue;
    msix_table_.set_pending(vector, false);
    const MsixTable::Message message = msix_table_.message(vector);
    send_message_interrupt(message.address, message.data);
  }
}

// The pin is a level; its changes go up as messages (6.1.4, 2.2.8.1).
void Endpoint::update_pin() {
  const bool raised = pin_raised_count_ != 0;
  header_.set_interrupt_status(raised && interrupt_by_pin());
  const bool asserted = raised && interrupt_by_pin() && !header_.interrupt_disabled() &&
                        power_.power_state() == 0 && powered_;
  if (asserted == pin_asserted_) return;
  pin_asserted_ = asserted;
  send_message(asserted ? MessageCode::kAssertIntA : MessageCode::kDeassertIntA);
}

// The root port forgets the pin's level by itself if the link goes down; else it is told.
void Endpoint::reset_interrupts() {
  msix_table_.reset();
  release_pin();
  update_pin();
}

void Endpoint::release_pin() {
  if (pin_raised_count_ == 0) return;
  std::fill(pin_raised_.begin(), pin_raised_.end(), std::uint8_t{0});
  pin_raised_count_ = 0;
  update_pin();
}

}  // namespace nvmesim::pcie
