#include "pcie/msi.hpp"

#include <algorithm>
#include <bit>

#include "pcie/capabilities.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

// Control: enable, messages wanted (log2), messages enabled, 64-bit address, masks (7.7.1.2).
MsiCapability::MsiCapability(ConfigSpace& space, unsigned vectors, base::Callback changed)
    : Capability(space, kCapabilityMsi, 0x18,
                 static_cast<std::uint16_t>(static_cast<unsigned>(std::countr_zero(vectors)) << 1 |
                                            1U << 7 | 1U << 8),
                 0x0071),
      vectors_(vectors),
      changed_(changed) {
  NVMESIM_ASSERT(std::has_single_bit(vectors) && vectors <= 32, "MSI has 1 to 32 vectors");
  const std::uint32_t all = vectors == 32 ? ~std::uint32_t{0} : (1U << vectors) - 1;
  define(0x04, {0, ~std::uint32_t{3}, 0});
  define(0x08, {0, ~std::uint32_t{0}, 0});
  define(0x0C, {0, 0xFFFF, 0});
  define(0x10, {0, all, 0});
}

unsigned MsiCapability::enabled_vectors() const {
  return std::min(1U << (value(0) >> 20 & 7), vectors_);
}

std::uint32_t MsiCapability::data(unsigned message) const {
  const std::uint32_t low = enabled_vectors() - 1;
  return (value(0x0C) & ~low) | message;
}

void MsiCapability::set_pending(unsigned message, bool pending) {
  const std::uint32_t bit = 1U << message;
  set(0x14, pending ? value(0x14) | bit : value(0x14) & ~bit);
}

void MsiCapability::wrote(const Access& access) {
  if ((access.reg == 0 || access.reg == 0x10) && changed_) changed_();
}

}  // namespace nvmesim::pcie
