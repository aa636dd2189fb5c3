#include "pcie/msix.hpp"

#include <algorithm>
#include <cstring>

#include "pcie/capabilities.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

MsixCapability::MsixCapability(ConfigSpace& space, const Layout& layout, base::Callback changed)
    : Capability(space, kCapabilityMsix, 12, static_cast<std::uint16_t>(layout.vectors - 1),
                 0xC000),  // Enable and Function Mask are software's
      changed_(changed) {
  define(4, {layout.table_offset | layout.table_bar, 0, 0});
  define(8, {layout.pba_offset | layout.pba_bar, 0, 0});
}

void MsixCapability::wrote(const Access& access) {
  if (access.reg == 0 && changed_) changed_();
}

void MsixTable::reset() {
  std::fill(entries_.begin(), entries_.end(), Entry{});
  std::fill(pending_.begin(), pending_.end(), 0);
}

void MsixTable::write_table(std::uint64_t offset, std::span<const std::byte> data) {
  if (offset % 4 != 0) return;
  for (; data.size() >= 4; data = data.subspan(4), offset += 4) {
    if (offset / kEntryBytes >= entries_.size()) return;
    Entry& entry = entries_[offset / kEntryBytes];
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), 4);
    switch (offset % kEntryBytes) {
      case 0:
        entry.address_low = value & ~3U;
        break;
      case 4:
        entry.address_high = value;
        break;
      case 8:
        entry.data = value;
        break;
      default:
        entry.control = value & 1;
        break;  // the rest is reserved
    }
  }
}

void MsixTable::read_table(std::uint64_t offset, std::span<std::byte> data) const {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (offset % 4 != 0) return;
  for (; data.size() >= 4; data = data.subspan(4), offset += 4) {
    if (offset / kEntryBytes >= entries_.size()) return;
    const Entry& entry = entries_[offset / kEntryBytes];
    const std::uint32_t words[] = {entry.address_low, entry.address_high, entry.data,
                                   entry.control};
    std::memcpy(data.data(), &words[offset % kEntryBytes / 4], 4);
  }
}

void MsixTable::read_pending(std::uint64_t offset, std::span<std::byte> data) const {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (offset >= pending_bytes()) return;
  const std::size_t bytes = std::min<std::size_t>(data.size(), pending_bytes() - offset);
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::uint64_t at = offset + i;
    data[i] = static_cast<std::byte>(pending_[at / 8] >> (at % 8 * 8));
  }
}

MsixTable::Message MsixTable::message(VectorId vector) const {
  const Entry& entry = entries_[vector.value()];
  return {std::uint64_t{entry.address_high} << 32 | entry.address_low, entry.data};
}

bool MsixTable::pending(VectorId vector) const {
  return (pending_[vector.value() / 64] >> (vector.value() % 64) & 1) != 0;
}

void MsixTable::set_pending(VectorId vector, bool pending) {
  const std::uint64_t bit = std::uint64_t{1} << (vector.value() % 64);
  std::uint64_t& word = pending_[vector.value() / 64];
  word = pending ? word | bit : word & ~bit;
}

bool MsixTable::any_pending() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](std::uint64_t word) { return word != 0; });
}

}  // namespace nvmesim::pcie
