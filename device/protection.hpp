// End-to-end data protection (section 8.3): the eight bytes of protection information of a logical
// block, their check and their making. Guard: CRC-16 T10-DIF over the data, and over the metadata
// in front of the protection information.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/block_format.hpp"
#include "device/spec/commands.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

inline constexpr std::uint32_t kProtectionBytes = 8;

// What a command says about protection (dwords 12, 14 and 15).
struct ProtectionFields {
  unsigned prinfo = 0;
  std::uint32_t reference = 0;  // of the first block
  std::uint16_t application = 0;
  std::uint16_t application_mask = 0;

  bool action() const { return (prinfo & spec::kPrinfoAction) != 0; }
};
ProtectionFields protection_fields(const spec::SubmissionEntry& sqe);

// Invalid Protection Information if the fields do not fit the format or the starting LBA.
spec::Status check_fields(const BlockFormat& format, const ProtectionFields& fields,
                          std::uint64_t starting_lba);

// `block` holds the data, `metadata` the format's metadata_bytes; `index` counts from the first
// block of the command. The kind of the first check that fails, or success.
spec::Status check_protection(const BlockFormat& format, const ProtectionFields& fields,
                              std::span<const std::byte> block, const std::byte* metadata,
                              std::uint64_t index);
// Writes the protection information into `metadata`.
void make_protection(const BlockFormat& format, const ProtectionFields& fields,
                     std::span<const std::byte> block, std::byte* metadata, std::uint64_t index);

}  // namespace nvmesim::device
