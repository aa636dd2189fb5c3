#include "pcie/config_space.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr unsigned kCapabilityPointer = 0x34;
constexpr unsigned kStatusCommand = 0x04;
constexpr std::uint32_t kStatusHasCapabilities = 1U << 20;

std::uint32_t enabled_bits(unsigned offset, unsigned bytes) {
  NVMESIM_ASSERT((bytes == 1 || bytes == 2 || bytes == 4) && offset % 4 + bytes <= 4 &&
                     offset < ConfigSpace::kBytes,
                 "a configuration access crosses a register");
  const std::uint32_t bits = bytes == 4 ? ~std::uint32_t{0} : (std::uint32_t{1} << 8 * bytes) - 1;
  return bits << 8 * (offset % 4);
}

}  // namespace

ConfigBlock::ConfigBlock(ConfigSpace& space, unsigned offset, unsigned bytes)
    : registers_(&space.at(offset)), offset_(offset), bytes_(bytes) {
  NVMESIM_ASSERT(offset % 4 == 0 && bytes % 4 == 0 && offset + bytes <= ConfigSpace::kBytes,
                 "a block of configuration registers lies outside the space");
  space.blocks_.push_back(this);
}

void ConfigBlock::set(unsigned reg, std::uint32_t value) {
  registers_[reg / 4].value = value;
}
void ConfigBlock::set_reset(unsigned reg, std::uint32_t value) {
  ConfigRegister& at = registers_[reg / 4];
  at.value = at.reset = value;
}
void ConfigBlock::define(unsigned reg, const Bits& bits) {
  registers_[reg / 4] = {bits.reset, bits.reset, bits.writable, bits.write_one_clears, bits.sticky};
}

Capability::Capability(ConfigSpace& space, std::uint8_t id, unsigned bytes, std::uint16_t upper,
                       std::uint16_t upper_writable)
    : ConfigBlock(space, space.place(bytes), bytes) {
  define(0, {std::uint32_t{upper} << 16 | id, std::uint32_t{upper_writable} << 16, 0});
  ConfigRegister& previous =
      space.at(space.last_capability_ == 0 ? kCapabilityPointer : space.last_capability_);
  const unsigned shift = space.last_capability_ == 0 ? 0 : 8;
  previous.reset |= offset() << shift;
  previous.value = previous.reset;
  ConfigRegister& status = space.at(kStatusCommand);
  status.reset |= kStatusHasCapabilities;
  status.value = status.reset;
  space.last_capability_ = offset();
}

ExtendedCapability::ExtendedCapability(ConfigSpace& space, std::uint16_t id, unsigned version,
                                       unsigned bytes)
    : ConfigBlock(space, space.place_extended(bytes), bytes) {
  define(0, {version << 16 | id, 0, 0});
  if (space.last_extended_ != 0) {
    ConfigRegister& previous = space.at(space.last_extended_);
    previous.reset |= offset() << 20;
    previous.value = previous.reset;
  }
  space.last_extended_ = offset();
}

ConfigSpace::ConfigSpace() = default;

unsigned ConfigSpace::place(unsigned bytes) {
  const unsigned offset = next_free_;
  NVMESIM_ASSERT(offset + bytes <= 0x100, "no room for another capability");
  next_free_ += (bytes + 15) / 16 * 16;
  return offset;
}

unsigned ConfigSpace::place_extended(unsigned bytes) {
  const unsigned offset = next_extended_;
  NVMESIM_ASSERT(offset + bytes <= kBytes, "no room for another extended capability");
  next_extended_ += (bytes + 15) / 16 * 16;
  return offset;
}

std::uint32_t ConfigSpace::read(unsigned offset, unsigned bytes) const {
  const std::uint32_t bits = enabled_bits(offset, bytes);
  return (at(offset).value & bits) >> 8 * (offset % 4);
}

void ConfigSpace::write(unsigned offset, unsigned bytes, std::uint32_t value) {
  const std::uint32_t bits = enabled_bits(offset, bytes);
  const std::uint32_t written = (value << 8 * (offset % 4)) & bits;
  ConfigRegister& target = at(offset);
  const std::uint32_t writable = target.writable & bits;
  target.value = (target.value & ~writable) | (written & writable);
  target.value &= ~(written & target.write_one_clears);
  const unsigned aligned = offset & ~3U;
  for (ConfigBlock* block : blocks_) {
    if (aligned >= block->offset() && aligned - block->offset() < block->bytes()) {
      block->wrote({aligned - block->offset(), written, bits});
      return;
    }
  }
}

void ConfigSpace::reset() {
  for (ConfigRegister& each : registers_) {
    if (!each.sticky) each.value = each.reset;
  }
}

void ConfigSpace::power_cycle() {
  for (ConfigRegister& each : registers_) each.value = each.reset;
}

}  // namespace nvmesim::pcie
