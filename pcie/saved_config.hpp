// What system software keeps of a port's or function's configuration, to write it back after
// something that loses it: a reset of its bus, D3cold. It has what Linux's PCI core saves: the
// header, the control registers of the PCI Express capability, power states of the link, latency
// tolerance and error masks. Interrupt messages are the interrupt code's. Blocking, as all
// configuration accesses.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pcie/enumerator.hpp"

namespace nvmesim::pcie {

class SavedConfig {
 public:
  void save(ConfigAccess& access, RequesterId id);
  // Nothing if nothing was saved. BARs and buses first, memory space and bus master last.
  void restore(ConfigAccess& access) const;
  bool saved() const { return saved_; }

 private:
  struct Register {
    unsigned offset = 0;
    std::uint32_t value = 0;
  };
  void keep(ConfigAccess& access, unsigned offset, std::uint32_t mask = ~std::uint32_t{0});
  void keep_express(ConfigAccess& access);
  void keep_extended(ConfigAccess& access);

  RequesterId id_;
  bool saved_ = false;
  std::array<std::uint32_t, 16> header_{};
  std::vector<Register> capabilities_;  // in the order in which they are written back
};

}  // namespace nvmesim::pcie
