#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

BlockStatus error_status(std::uint16_t status) {
  switch (status & kStatusMask) {
    case 0x000:
      return BlockStatus::kOk;
    case 0x081:  // capacity exceeded
      return BlockStatus::kNoSpace;
    case 0x080:  // LBA out of range
    case 0x021:  // command interrupted
    case 0x082:  // namespace not ready
      return BlockStatus::kTarget;
    case 0x180:  // conflicting attributes
    case 0x183:  // ONCS does not offer the command
    case 0x001:  // invalid opcode
    case 0x002:  // invalid field
    case 0x00b:  // invalid namespace or format
      return BlockStatus::kNotSupported;
    case 0x280:  // write fault
    case 0x281:  // unrecovered read error
    case 0x287:  // deallocated or unwritten block
    case 0x286:  // access denied
    case 0x182:  // attempted write to read-only range
    case 0x285:  // compare failure
      return BlockStatus::kMedium;
    case 0x282:  // guard check
    case 0x283:  // application tag check
    case 0x284:  // reference tag check
    case 0x181:  // invalid protection information
      return BlockStatus::kProtection;
    case 0x083:  // reservation conflict
      return BlockStatus::kNexus;
    case kHostPathError:
      return BlockStatus::kTransport;
    default:
      return BlockStatus::kIoError;
  }
}

bool is_path_error(std::uint16_t status) {
  return (status & 0x700) == 0x300;
}

bool is_ana_error(std::uint16_t status) {
  const unsigned code = status & kStatusMask;
  return code >= 0x301 && code <= 0x303;  // persistent loss, inaccessible, transition
}

Disposition decide_disposition(std::uint16_t status, const Attempt& attempt) {
  if (status == 0 || attempt.failfast || (status & kStatusDoNotRetry) != 0 ||
      attempt.retries >= attempt.max_retries)
    return Disposition::kComplete;
  if (attempt.multipath && (is_path_error(status) || attempt.dying)) return Disposition::kFailover;
  return attempt.dying && !attempt.multipath ? Disposition::kComplete : Disposition::kRetry;
}

}  // namespace nvmesim::host
