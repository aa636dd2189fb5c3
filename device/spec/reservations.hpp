// Data structures of reservations (sections 6.10 to 6.13 and 8.8) and of log page 80h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nvmesim::device::spec {

enum class ReservationType : std::uint8_t {
  kNone = 0,
  kWriteExclusive = 1,
  kExclusiveAccess = 2,
  kWriteExclusiveRegistrants = 3,
  kExclusiveAccessRegistrants = 4,
  kWriteExclusiveAllRegistrants = 5,
  kExclusiveAccessAllRegistrants = 6,
};

#pragma pack(push, 1)

struct ReservationStatus {
  std::uint32_t gen;
  std::uint8_t rtype;
  std::uint16_t regctl;
  std::array<std::uint8_t, 2> reserved7;
  std::uint8_t ptpls;
  std::array<std::uint8_t, 14> reserved10;
};
static_assert(sizeof(ReservationStatus) == 24);

struct RegisteredController {
  std::uint16_t cntlid;
  std::uint8_t rcsts;  // bit 0: holds the reservation
  std::array<std::uint8_t, 5> reserved3;
  std::uint64_t hostid;
  std::uint64_t rkey;
};
static_assert(sizeof(RegisteredController) == 24);

// With 128-bit host identifiers the header is padded to the length of an entry.
struct RegisteredControllerExtended {
  std::uint16_t cntlid;
  std::uint8_t rcsts;
  std::array<std::uint8_t, 5> reserved3;
  std::uint64_t rkey;
  std::array<std::byte, 16> hostid;
  std::array<std::uint8_t, 32> reserved32;
};
static_assert(sizeof(RegisteredControllerExtended) == 64);

struct ReservationNotification {
  std::uint64_t log_page_count;
  std::uint8_t type;
  std::uint8_t available_pages;
  std::uint16_t reserved10;
  std::uint32_t nsid;
  std::array<std::uint8_t, 48> reserved16;
};
static_assert(sizeof(ReservationNotification) == 64);

#pragma pack(pop)

enum class ReservationEvent : std::uint8_t {
  kEmpty = 0,
  kRegistrationPreempted = 1,
  kReservationReleased = 2,
  kReservationPreempted = 3,
};

}  // namespace nvmesim::device::spec
