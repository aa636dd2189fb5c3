// MSI-X: the capability in configuration space, and the table and pending bits in memory space.
// Whoever owns them sends the message: this file decides only whether one may leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pcie/config_space.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/callback.hpp"

namespace nvmesim::pcie {

class MsixCapability final : public Capability {
 public:
  struct Layout {
    std::uint16_t vectors = 1;
    std::uint8_t table_bar = 0;
    std::uint32_t table_offset = 0;
    std::uint8_t pba_bar = 0;
    std::uint32_t pba_offset = 0;
  };
  // `changed` is called after a write to the enable or function mask bits.
  MsixCapability(ConfigSpace& space, const Layout& layout, base::Callback changed);

  bool enabled() const { return (value(0) & 1U << 31) != 0; }
  bool function_masked() const { return (value(0) & 1U << 30) != 0; }

 private:
  void wrote(const Access& access) override;
  base::Callback changed_;
};

// 16 bytes per vector: address low, address high, data, control (bit 0: mask). Pending: one bit
// per vector, in 64-bit words, read-only to software.
class MsixTable {
 public:
  static constexpr std::uint32_t kEntryBytes = 16;

  explicit MsixTable(std::uint16_t vectors) : entries_(vectors), pending_((vectors + 63u) / 64) {
    reset();
  }

  void reset();
  std::uint16_t vectors() const { return static_cast<std::uint16_t>(entries_.size()); }
  std::uint32_t table_bytes() const { return kEntryBytes * vectors(); }
  std::uint32_t pending_bytes() const { return static_cast<std::uint32_t>(pending_.size() * 8); }

  // Accesses by software; whole 32-bit words, others are ignored and read zero.
  void write_table(std::uint64_t offset, std::span<const std::byte> data);
  void read_table(std::uint64_t offset, std::span<std::byte> data) const;
  void read_pending(std::uint64_t offset, std::span<std::byte> data) const;

  struct Message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
  };
  Message message(VectorId vector) const;
  bool masked(VectorId vector) const { return (entries_[vector.value()].control & 1) != 0; }
  bool pending(VectorId vector) const;
  void set_pending(VectorId vector, bool pending);
  bool any_pending() const;

 private:
  struct Entry {
    std::uint32_t address_low = 0;
    std::uint32_t address_high = 0;
    std::uint32_t data = 0;
    std::uint32_t control = 1;
  };
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> pending_;
};

}  // namespace nvmesim::pcie
