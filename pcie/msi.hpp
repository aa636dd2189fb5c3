// MSI: address, data, mask and pending bits in configuration space. Up to 32 messages that differ
// in the low bits of their data. Whoever owns it sends them: this file decides only whether and
// with what data.
#pragma once

#include <cstdint>

#include "pcie/config_space.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/callback.hpp"

namespace nvmesim::pcie {

class MsiCapability final : public Capability {
 public:
  // vectors: a power of two from 1 to 32. `changed` is called after a write to the enable bit or
  // the masks.
  MsiCapability(ConfigSpace& space, unsigned vectors, base::Callback changed);

  bool enabled() const { return (value(0) & 1U << 16) != 0; }
  // As many as software has enabled; vectors beyond share the last bits of the data (6.1.4.5).
  unsigned enabled_vectors() const;
  // The message that stands for an interrupt of the device.
  unsigned message_of(VectorId vector) const { return vector.value() % enabled_vectors(); }

  std::uint64_t address() const { return std::uint64_t{value(8)} << 32 | value(4); }
  std::uint32_t data(unsigned message) const;
  bool masked(unsigned message) const { return (value(0x10) >> message & 1) != 0; }
  bool pending(unsigned message) const { return (value(0x14) >> message & 1) != 0; }
  bool any_pending() const { return value(0x14) != 0; }
  void set_pending(unsigned message, bool pending);

 private:
  void wrote(const Access& access) override;

  const unsigned vectors_;
  base::Callback changed_;
};

}  // namespace nvmesim::pcie
