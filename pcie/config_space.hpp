// The 4 KiB configuration space of one function. Blocks (the header, the capabilities) own their
// registers: each defines bits as read-only, read-write or write-one-to-clear when it is built,
// and is told when software wrote into it. Everything not defined is reserved and reads zero.
//
// Blocks are built once and live as long as the space. Capabilities are placed and chained in the
// order of their construction, from 0x40 on; extended ones from 0x100 on.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace nvmesim::pcie {

class ConfigSpace;

struct ConfigRegister {
  std::uint32_t value = 0;
  std::uint32_t reset = 0;
  std::uint32_t writable = 0;
  std::uint32_t write_one_clears = 0;
  bool sticky = false;
};

// Registers [offset, offset + bytes) of a space. bytes is a multiple of 4.
class ConfigBlock {
 public:
  ConfigBlock(ConfigSpace& space, unsigned offset, unsigned bytes);
  virtual ~ConfigBlock() = default;
  ConfigBlock(const ConfigBlock&) = delete;
  ConfigBlock& operator=(const ConfigBlock&) = delete;

  unsigned offset() const { return offset_; }
  unsigned bytes() const { return bytes_; }

  struct Bits {
    std::uint32_t reset = 0;
    std::uint32_t writable = 0;          // read-write
    std::uint32_t write_one_clears = 0;  // RW1C
    bool sticky = false;                 // survives every reset but the loss of power
  };

 protected:
  friend class ConfigSpace;
  // Software wrote those bits of the 32-bit register at `reg` (counted from the block's start) that
  // `enabled` has; writable and RW1C bits have changed already.
  struct Access {
    unsigned reg;
    std::uint32_t written;  // zero where not enabled
    std::uint32_t enabled;
  };
  virtual void wrote(const Access&) {}

  // reg is counted from the block's start.
  std::uint32_t value(unsigned reg) const { return registers_[reg / 4].value; }
  void set(unsigned reg, std::uint32_t value);
  // Also what it is after a reset.
  void set_reset(unsigned reg, std::uint32_t value);
  void define(unsigned reg, const Bits& bits);

 private:
  ConfigRegister* registers_;  // from its start on
  unsigned offset_;
  unsigned bytes_;
};

// A capability of the chain that starts at 0x34.
class Capability : public ConfigBlock {
 public:
  Capability(ConfigSpace& space, std::uint8_t id, unsigned bytes, std::uint16_t upper = 0,
             std::uint16_t upper_writable = 0);
};

// A capability of the chain that starts at 0x100 (7.6.3). bytes counts its header.
class ExtendedCapability : public ConfigBlock {
 public:
  ExtendedCapability(ConfigSpace& space, std::uint16_t id, unsigned version, unsigned bytes);
};

class ConfigSpace {
 public:
  static constexpr unsigned kBytes = 4096;

  ConfigSpace();
  ConfigSpace(const ConfigSpace&) = delete;
  ConfigSpace& operator=(const ConfigSpace&) = delete;

  // An access by software of 1, 2 or 4 bytes that does not cross a 32-bit register.
  std::uint32_t read(unsigned offset, unsigned bytes) const;
  void write(unsigned offset, unsigned bytes, std::uint32_t value);

  // Everything back to its reset value but what is sticky; blocks are not told.
  void reset();
  // The loss of power: sticky registers too.
  void power_cycle();

 private:
  friend class ConfigBlock;
  friend class Capability;
  friend class ExtendedCapability;
  ConfigRegister& at(unsigned offset) { return registers_[offset / 4]; }
  const ConfigRegister& at(unsigned offset) const { return registers_[offset / 4]; }
  unsigned place(unsigned bytes);
  unsigned place_extended(unsigned bytes);

  std::array<ConfigRegister, kBytes / 4> registers_{};
  std::vector<ConfigBlock*> blocks_;
  unsigned next_free_ = 0x40;
  unsigned last_capability_ = 0;  // 0: the chain is empty
  unsigned next_extended_ = 0x100;
  unsigned last_extended_ = 0;
};

}  // namespace nvmesim::pcie
