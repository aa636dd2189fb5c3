#include "device/protection.hpp"

#include <boost/crc.hpp>

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr std::uint16_t kNoCheck16 = 0xFFFF;
constexpr std::uint32_t kNoCheck32 = 0xFFFF'FFFF;

struct Tuple {
  std::uint16_t guard = 0;
  std::uint16_t application = 0;
  std::uint32_t reference = 0;
};

std::uint32_t load(const std::byte* from, unsigned bytes) {  // big-endian
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value = value << 8 | std::to_integer<std::uint32_t>(from[i]);
  return value;
}
void store(std::byte* into, unsigned bytes, std::uint32_t value) {
  for (unsigned i = bytes; i-- > 0; value >>= 8) into[i] = static_cast<std::byte>(value & 0xFF);
}

Tuple tuple_at(const std::byte* place) {
  return {static_cast<std::uint16_t>(load(place, 2)),
          static_cast<std::uint16_t>(load(place + 2, 2)), load(place + 4, 4)};
}

std::uint16_t guard_of(const BlockFormat& format, std::span<const std::byte> block,
                       const std::byte* metadata) {
  boost::crc_optimal<16, 0x8BB7, 0, 0, false, false> crc;
  crc.process_bytes(block.data(), block.size());
  if (!format.protection_first) crc.process_bytes(metadata, format.protection_offset());
  return static_cast<std::uint16_t>(crc.checksum());
}

// With type 3 the reference tag is the host's business.
std::uint32_t expected_reference(const BlockFormat& format, const ProtectionFields& fields,
                                 std::uint64_t index) {
  return format.protection_type == 3 ? fields.reference
                                     : fields.reference + static_cast<std::uint32_t>(index);
}

bool escaped(const BlockFormat& format, const Tuple& tuple) {
  if (tuple.application != kNoCheck16) return false;
  return format.protection_type != 3 || tuple.reference == kNoCheck32;
}

}  // namespace

ProtectionFields protection_fields(const spec::SubmissionEntry& sqe) {
  return {spec::RwControl{sqe.cdw12}.prinfo(), sqe.cdw14, static_cast<std::uint16_t>(sqe.cdw15),
          static_cast<std::uint16_t>(sqe.cdw15 >> 16)};
}

Status check_fields(const BlockFormat& format, const ProtectionFields& fields,
                    std::uint64_t starting_lba) {
  if (format.protection_type == 0 || (fields.prinfo & spec::kPrinfoReference) == 0) {
    return Status::kSuccess;
  }
  const bool first_is_lba = fields.reference == static_cast<std::uint32_t>(starting_lba);
  if (format.protection_type == 3 || (format.protection_type == 1 && !first_is_lba)) {
    return Status::kInvalidProtectionInformation;
  }
  return Status::kSuccess;
}

Status check_protection(const BlockFormat& format, const ProtectionFields& fields,
                        std::span<const std::byte> block, const std::byte* metadata,
                        std::uint64_t index) {
  const Tuple tuple = tuple_at(metadata + format.protection_offset());
  if (escaped(format, tuple)) return Status::kSuccess;
  if ((fields.prinfo & spec::kPrinfoGuard) != 0 &&
      tuple.guard != guard_of(format, block, metadata)) {
    return Status::kGuardCheckError;
  }
  if ((fields.prinfo & spec::kPrinfoApplication) != 0 &&
      ((tuple.application ^ fields.application) & fields.application_mask) != 0) {
    return Status::kApplicationTagCheckError;
  }
  if ((fields.prinfo & spec::kPrinfoReference) != 0 &&
      tuple.reference != expected_reference(format, fields, index)) {
    return Status::kReferenceTagCheckError;
  }
  return Status::kSuccess;
}

void make_protection(const BlockFormat& format, const ProtectionFields& fields,
                     std::span<const std::byte> block, std::byte* metadata, std::uint64_t index) {
  std::byte* place = metadata + format.protection_offset();
  store(place, 2, guard_of(format, block, metadata));
  store(place + 2, 2, fields.application);
  store(place + 4, 4, expected_reference(format, fields, index));
}

}  // namespace nvmesim::device
